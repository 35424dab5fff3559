"""A run that begins where a picture is expected is told of, whatever its sampler."""

from dataclasses import replace

import pytest

from diffview.engine import beginning, samplers, schedules
from diffview.engine.origin import Origin
from diffview.engine.spec import RunSpec

COSINE = schedules.named("cosine")


@pytest.mark.parametrize("name", samplers.every())
def test_one_leading_step_takes_noise_for_a_picture_and_says_so(name):
    told = beginning.warning(RunSpec("m", name, 1, "leading"), COSINE)
    assert told.startswith(
        "1 step of spacing 'leading' begins at t = 0, where x_t is more picture"
    )
    assert beginning.warning(RunSpec("m", name, 1, "trailing"), COSINE) == ""
    assert beginning.warning(RunSpec("m", name, 2, "leading"), COSINE) == ""  # at t = 500


def test_a_branch_has_its_signal_from_the_run_that_it_left():
    late = RunSpec("m", n_steps=2, spacing="list", options=(("times", "90, 10"),))
    assert "2 steps of spacing 'list' begin at t = 90" in beginning.warning(late, COSINE)
    assert beginning.warning(replace(late, origin=Origin(late, 1)), COSINE) == ""


@pytest.mark.parametrize("n_steps", [1, 10])
def test_a_schedule_by_sigma_begins_at_its_largest(n_steps):
    spec = RunSpec("m", "euler", n_steps, "karras")
    assert beginning.warning(spec, schedules.named("edm")) == ""
