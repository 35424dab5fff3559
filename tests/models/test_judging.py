"""What two classifiers say along a run that one of them guides, against closed forms."""

import numpy as np
import pytest
import torch

from diffview.engine.spec import Guidance, RunSpec
from diffview.frames import uphill
from diffview.models import sampling
from diffview.models.guides import CleanClassifier
from diffview.models.judging import judged, verdict
from diffview.models.together import Runner
from diffview.models.wrapped import wrap

A = torch.linspace(-1, 1, 16).reshape(1, 1, 4, 4)


def logits(x, t=None):
    """Two classes: p(0 | x) = sigmoid(A . x), so grad log p(0 | x) = (1 - p) A."""
    height = (x * A).sum((1, 2, 3))
    return torch.stack([height, torch.zeros_like(height)], 1)


NOISY, CLEAN = logits, CleanClassifier(logits)


def pair(weight=2.0):
    model = wrap(lambda x_t, t: 0.5 * x_t, shape=(1, 4, 4), prediction="x0")
    spec = RunSpec(
        "wrapped", n_steps=5, spacing="leading", seeds=(0, 1, 2), condition=0,
        guidance=Guidance("classifier", weight, "wrapped-classifier"),
    )  # fmt: skip
    return [Runner(sampling.trajectory_for(model.card, spec), model, g) for g in (CLEAN, NOISY)]


def p_of(x):
    return 1 / (1 + np.exp(-(x * A.numpy()).sum((1, 2, 3))))


def test_a_verdict_is_the_softmax_of_the_class_and_the_likeliest_one():
    x = np.stack([A[0].numpy(), -A[0].numpy()])
    found = verdict(NOISY, x, 3.0, 0)
    np.testing.assert_allclose(found.p, p_of(x), rtol=1e-5)
    assert found.seen.tolist() == [0, 1]


def test_the_clean_one_is_asked_about_the_estimate_and_both_about_the_state():
    runners = pair()
    told = list(judged(runners, CLEAN, NOISY, 0))
    assert [k for k, _ in told] == [0, 1] * 6
    for place, found in (told[4], told[5]):
        record = runners[place].trajectory[2]
        np.testing.assert_allclose(found.clean.p, p_of(record.base), rtol=1e-5)
        np.testing.assert_allclose(found.clean_of_state.p, p_of(record.x_t), rtol=1e-5)
        np.testing.assert_allclose(found.noisy.p, p_of(record.x_t), rtol=1e-5)


@pytest.mark.parametrize("clean", [True, False])
def test_the_gradient_s_picture_is_that_of_log_p_where_the_classifier_was_asked(clean):
    runners = pair()
    list(judged(runners, CLEAN, NOISY, 0))
    record = runners[0 if clean else 1].trajectory[1]
    asked = record.base if clean else record.x_t
    expected = (1 - p_of(asked))[:, None, None, None] * A.numpy()
    np.testing.assert_allclose(uphill.gradient(record, clean=clean), expected, rtol=1e-4)
    tiles = uphill.tiles(record, 1, clean=clean)
    np.testing.assert_allclose(tiles.values[0, ..., 0], expected[1, 0], rtol=1e-4)
    # A rises from -1 to 1: blue at the first pixel, amber at the last, both at full strength.
    assert tiles.pixels[0, 0, 0, :3].tolist() == [92, 162, 255]
    assert tiles.pixels[0, -1, -1, :3].tolist() == [255, 176, 72]


def test_nothing_pulls_at_the_clean_end():
    runners = pair()
    list(judged(runners, CLEAN, NOISY, 0))
    assert not uphill.gradient(runners[0].trajectory[-1], clean=True).any()
