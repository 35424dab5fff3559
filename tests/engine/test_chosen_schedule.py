"""A run by a schedule that was chosen, of a denoiser that is exact at every level."""

import numpy as np
import pytest
import torch

from diffview.engine import divergence, schedules
from diffview.engine.run import run
from diffview.engine.schedules import OWN, SCHEDULES
from diffview.engine.spec import Facts, Guidance, RunSpec, checked, conflicts, idle

MEAN, STD = 0.3, 0.5
LINEAR = schedules.named("linear")


class Gaussian:
    """E[x_0 | x_t] of data N(MEAN, STD^2); its own schedule is linear."""

    schedule, data_shape, device = LINEAR, (1, 2, 2), torch.device("cpu")

    def __call__(self, x_t, level, condition):
        gain = level.alpha * STD**2 / (level.alpha**2 * STD**2 + level.sigma**2)
        return MEAN + gain * (x_t - level.alpha * MEAN)


def spec(name, **changes):
    plain = {"sampler": "heun", "n_steps": 200, "spacing": "karras"}
    return checked(RunSpec("m", **plain | changes, options=(("schedule", name),)))


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_run_ends_where_the_flow_of_that_schedule_does(name):
    """y_0 = mean + (y_T - mean) std / sqrt(std^2 + r_T^2) in y = x / alpha, r = sigma / alpha."""
    records = list(run(Gaussian(), spec(name)))
    first, end = records[0], records[-1]
    assert first.level == spec(name).levels(schedules.named(name))[0]
    at_T = first.x_t / first.level.alpha
    exact = MEAN + (at_T - MEAN) * STD / np.hypot(STD, first.level.ratio)
    np.testing.assert_allclose(end.x_t, exact, atol=0.01)


@pytest.mark.parametrize("name", SCHEDULES)
def test_as_many_steps_can_be_taken_as_that_schedule_has(name):
    schedule = schedules.named(name)
    assert spec(name).schedule(LINEAR) == schedule
    assert len(spec(name, n_steps=schedule.T, spacing="trailing").levels(LINEAR)) == schedule.T + 1


def test_only_what_is_exact_can_go_by_another_schedule():
    exact, network = Facts(LINEAR, "x0", exact=True), Facts(LINEAR)
    assert conflicts(spec("edm"), exact) == []
    assert conflicts(spec("edm"), network) == [
        "schedule: a network knows only the schedule that it was trained on"
    ]
    assert "schedule" in idle(spec(OWN), network) and "schedule" not in idle(spec(OWN), exact)


def test_what_goes_with_a_schedule_goes_with_the_chosen_one():
    exact = Facts(LINEAR, "x0", exact=True)
    assert "shift" in idle(spec(OWN, spacing="trailing"), exact)
    assert "shift" not in idle(spec("flow", spacing="trailing"), exact)
    assert "steps_offset" not in idle(spec(OWN, spacing="leading"), exact)
    assert "steps_offset" in idle(spec("edm", spacing="leading"), exact)
    heun = spec("cosine", n_steps=10, spacing="trailing")
    assert "diverges" in divergence.warning(heun, LINEAR)
    assert divergence.warning(spec(OWN, n_steps=10, spacing="leading"), LINEAR) == ""


def test_a_second_model_is_not_asked_by_a_schedule_that_it_does_not_know():
    exact = Facts(LINEAR, "x0", conditional=True, exact=True)
    for kind in Guidance.NEED_GUIDE:
        guided = spec("edm", guidance=Guidance(kind, 2.0, "another"), condition=0)
        assert any("which knows its own schedule" in why for why in conflicts(guided, exact))
        own = spec(OWN, guidance=Guidance(kind, 2.0, "another"), condition=0)
        assert conflicts(own, exact) == []
