"""What a set says of one state: the same as its parts say, for all pictures and for a class."""

import math

import numpy as np
import pytest
import torch

from diffview.datasets import LabelledPictures
from diffview.engine import schedules
from diffview.engine.levels import CLEAN
from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.exact.pictures import ExactPictures
from diffview.models.exact.reading import read

COSINE = schedules.named("cosine")
LEVEL = COSINE.level(600)
SIZE = (1, 4, 4)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (30, *SIZE), dtype=np.uint8)
    return LabelledPictures(pictures, (np.arange(30) % 3).astype(np.int64))


@pytest.fixture(scope="module")
def model(data):
    return ExactPictures(
        ModelCard("t", "T", "pictures", SIZE, "x0", COSINE, ("a", "b", "c")), data
    )


@pytest.fixture(scope="module")
def x_t(data):
    z = torch.randn(SIZE, generator=torch.Generator().manual_seed(1)).numpy()
    return (LEVEL.alpha * (data.pictures[4] / 127.5 - 1) + LEVEL.sigma * z).astype(np.float32)


def by_hand(data, x_t, keep):
    """Estimate, entropy and log p of one state by their definitions, in float64."""
    x = data.pictures[keep].reshape(keep.sum(), -1) / 127.5 - 1
    log_w = -((x_t.ravel() - LEVEL.alpha * x) ** 2).sum(1) / (2 * LEVEL.sigma**2)
    w = np.exp(log_w - log_w.max())
    log_p = math.log(w.mean()) + log_w.max() - 0.5 * x.shape[1] * math.log(2 * math.pi * LEVEL.sigma**2)  # fmt: skip # noqa: E501
    w /= w.sum()
    return (w @ x).reshape(SIZE), -(w * np.log(w)).sum(), log_p


@pytest.mark.parametrize("which", ["free", "under"])
def test_the_sums_are_those_of_their_pictures(data, model, x_t, which):
    told = getattr(read(model, x_t, LEVEL, 1), which)
    keep = np.ones(30, bool) if which == "free" else data.labels == 1
    x0_hat, entropy, log_p = by_hand(data, x_t, keep)
    np.testing.assert_allclose(told.x0_hat, x0_hat, atol=2e-6)
    assert told.count == keep.sum()
    assert told.entropy == pytest.approx(entropy, abs=1e-9)
    assert told.effective == pytest.approx(math.exp(entropy), rel=1e-9)
    assert told.log_prob == pytest.approx(log_p, abs=1e-8)
    assert np.array_equal(told.pictures, data.pictures[told.numbers])
    assert np.array_equal(told.labels, data.labels[told.numbers])


def test_a_class_of_few_pictures_lists_no_others(data, x_t):
    labels = np.where(np.arange(30) < 2, 0, 1).astype(np.int64)
    few = ExactPictures(
        ModelCard("t", "T", "pictures", SIZE, "x0", COSINE, ("few", "many")),
        LabelledPictures(data.pictures, labels),
    )
    told = read(few, x_t, LEVEL, 0)
    assert told.under.count == 2 and set(told.under.numbers) == {0, 1}
    assert len(told.under.pictures) == len(told.under.labels) == len(told.under.weights) == 2
    assert told.under.weights.sum() == pytest.approx(1) and len(told.free.numbers) > 2


def test_guidance_goes_from_all_pictures_through_the_class_and_beyond(data, model, x_t):
    told = read(model, x_t, LEVEL, 2)
    free, under = (by_hand(data, x_t, k)[0] for k in (np.ones(30, bool), data.labels == 2))
    for gamma in (0.0, 1.0, 4.0):
        np.testing.assert_allclose(told.at(gamma), free + gamma * (under - free), atol=1e-5)
    alone = read(model, x_t, LEVEL)
    assert alone.under is None and np.array_equal(alone.at(4.0), alone.free.x0_hat)


def test_the_picture_nearest_to_another_estimate_is_found(data, model, x_t):
    beside = (data.pictures[[9, 4]] / 127.5 - 1).astype(np.float32) + np.float32(0.01)
    told = read(model, x_t, LEVEL, None, beside)
    assert told.nearest == (9, 4) and told.distance == pytest.approx((0.01, 0.01), rel=1e-4)


def test_what_cannot_be_asked_is_refused(model, x_t):
    with pytest.raises(InputError, match="no density without noise"):
        read(model, x_t, CLEAN)
    with pytest.raises(InputError, match="has 3 classes, not 3"):
        read(model, x_t, LEVEL, 3)
    with pytest.raises(InputError, match="have shape"):
        read(model, x_t[:, :2], LEVEL)
