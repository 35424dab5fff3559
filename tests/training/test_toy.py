"""The small network: it nears the exact field, its loss nears the least there is."""

import numpy as np
import pytest
import torch

from diffview.engine import schedules
from diffview.errors import InputError
from diffview.frames.plane_error import plane_error
from diffview.models.exact.grid import square
from diffview.models.exact.mixture import mixture, points
from diffview.models.exact.mixture_denoiser import MixtureDenoiser
from diffview.models.exact.plane import guided_field
from diffview.models.exact.toys import mixture_card
from diffview.training.toy import BINS, ToySettings, least_loss, train_toy

torch.set_num_threads(1)
DATA = mixture([[-0.5, 0.3], [0.5, -0.2]], 0.02, labels=[0, 1], classes=("left", "right"))
SHORT = ToySettings(steps=400, batch=128, width=48, depth=2, report_every=100)


def exact(data=DATA, schedule=None):
    return MixtureDenoiser(mixture_card(data, "toy", "Toy", schedule=schedule), data)


@pytest.mark.parametrize("prediction", ["v", "eps", "x0", "flow"])
def test_training_nears_the_exact_field(prediction):
    model = exact(schedule=schedules.flow() if prediction == "flow" else None)
    settings = ToySettings(**{**_fields(SHORT), "prediction": prediction})
    *_, last = train_toy(DATA, model.card, settings)
    level = model.schedule.level(0.4 if prediction == "flow" else 400)
    # The classes lie 1.1 apart; to say nothing but the mean of both is wrong by 0.5.
    fields = (guided_field(one, square(1.5, 20), level, 1) for one in (last.model, model))
    assert plane_error(*fields, 1.0).mean < 0.15


def _fields(settings):
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


def test_the_loss_nears_the_least_loss_from_above():
    model = exact()
    *_, last = train_toy(DATA, model.card, SHORT)
    least = least_loss(model, SHORT)
    assert last.loss_by_level.shape == least.shape == (BINS,)
    # 12,800 draws in the last report, so a level's mean is good to a few hundredths.
    assert (last.loss_by_level > least - 0.05).all()
    assert last.loss < least.mean() + 0.1


def test_the_least_loss_of_a_gaussian_is_the_closed_form():
    """x_0 ~ N(0, s^2): E|v - E v|^2 per number = s^2 / (alpha^2 s^2 + sigma^2), as r = 1."""
    s, model = 0.5, exact(mixture([[0.0, 0.0]], 0.25))
    t = np.arange(1000).reshape(BINS, 100)
    levels = [[model.schedule.level(float(k)) for k in part[::5]] for part in t]
    closed = [
        np.mean([s**2 / (at.alpha**2 * s**2 + at.sigma**2) for at in part]) for part in levels
    ]
    np.testing.assert_allclose(least_loss(model, draws=40_000), closed, rtol=0.04)


def test_reports_come_regularly_and_at_the_end_and_equal_seeds_are_equal():
    settings = ToySettings(steps=25, batch=32, width=16, depth=1, report_every=10)
    card = exact().card
    one, two = (list(train_toy(DATA, card, settings)) for _ in range(2))
    assert [step.step for step in one] == [10, 20, 25]
    assert [step.loss for step in one] == [step.loss for step in two]
    assert all(np.diff([step.seconds for step in one]) > 0)


def test_a_models_weights_stay_what_they_were_when_it_was_handed_over():
    settings = ToySettings(steps=20, batch=32, width=16, depth=1, report_every=10)
    model = exact()
    steps = train_toy(DATA, model.card, settings)
    first = next(steps).model
    level, x = model.schedule.level(300), torch.randn(4, 2)
    before = first(x, level, None)
    list(steps)
    torch.testing.assert_close(first(x, level, None), before, rtol=0, atol=0)


def test_points_without_labels_are_learned_too():
    data = points([[0.5, 0.5], [-0.5, 0.0]])
    card = mixture_card(data, "drawn", "Drawn")
    settings = ToySettings(steps=10, batch=32, width=16, depth=1, report_every=10)
    (step,) = train_toy(data, card, settings)
    assert step.model.null_condition(1) is None
    assert step.model(torch.zeros(3, 2), card.schedule.level(5), None).shape == (3, 2)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"steps": 0}, "start at 1"),
        ({"lr": 0.0}, "between 0 and 1"),
        ({"prediction": "score"}, "unknown prediction 'score'; known are v"),
    ],
)
def test_settings_that_cannot_be_trained_are_refused(changed, words):
    with pytest.raises(InputError, match=words):
        ToySettings(**changed)


def test_a_schedule_that_lets_the_state_grow_is_refused():
    with pytest.raises(InputError, match="choose linear, cosine or flow"):
        next(train_toy(DATA, exact(schedule=schedules.edm()).card))


def test_a_card_of_other_points_is_refused():
    with pytest.raises(InputError, match="not that of these points"):
        next(train_toy(points([[0.0, 0.0]]), exact().card))
