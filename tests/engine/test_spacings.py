"""Spacings against diffusers where it is right, and against their laws everywhere."""

from itertools import pairwise

import numpy as np
import pytest
from diffusers import DDIMScheduler
from hypothesis import given, settings
from hypothesis import strategies as st

from diffview.engine import schedules, spacings
from diffview.engine.levels import CLEAN
from diffview.errors import InputError

NAMES = ("leading", "linspace", "trailing")
COUNTS = (1, 2, 5, 7, 10, 13, 20, 25, 50, 100, 1000)


def diffusers_times(spacing, n_steps):
    scheduler = DDIMScheduler(timestep_spacing=spacing, steps_offset=0)
    scheduler.set_timesteps(n_steps)
    return scheduler.timesteps.tolist()


@pytest.mark.parametrize("n_steps", COUNTS)
@pytest.mark.parametrize("spacing", NAMES)
def test_times_equal_those_of_diffusers(spacing, n_steps):
    assert spacings.times(1000, n_steps, spacing) == diffusers_times(spacing, n_steps)


@pytest.mark.parametrize(
    ("spacing", "published"),
    [
        ("linspace", [999, 888, 777, 666, 555, 444, 333, 222, 111, 0]),
        ("leading", [900, 800, 700, 600, 500, 400, 300, 200, 100, 0]),
        ("trailing", [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]),
    ],
)
def test_ten_steps_of_a_thousand_are_those_of_the_paper(spacing, published):
    assert spacings.times(1000, 10, spacing) == published


@settings(max_examples=300)
@given(data=st.data(), T=st.integers(1, 5000), spacing=st.sampled_from(NAMES))
def test_every_spacing_gives_exactly_n_different_falling_times_within_range(data, T, spacing):
    n_steps = data.draw(st.integers(1, T))
    times = spacings.times(T, n_steps, spacing)
    assert len(times) == n_steps
    assert all(isinstance(t, int) for t in times)
    assert all(before > after for before, after in pairwise(times))
    assert times[-1] >= 0
    assert times[0] <= T - 1


@given(data=st.data(), T=st.integers(2, 5000))
def test_where_each_spacing_starts_and_ends(data, T):
    n_steps = data.draw(st.integers(2, T))
    leading, linspace, trailing = (spacings.times(T, n_steps, name) for name in NAMES)
    assert leading[-1] == 0
    assert set(np.diff(leading)) == {-(T // n_steps)}
    assert (linspace[0], linspace[-1]) == (T - 1, 0)
    assert trailing[0] == T - 1


@pytest.mark.parametrize("spacing", NAMES)
def test_as_many_steps_as_times_visits_every_time(spacing):
    assert spacings.times(37, 37, spacing) == list(range(36, -1, -1))


@pytest.mark.parametrize("n_steps", [61, 103, 121, 122, 201])
def test_trailing_keeps_n_times_where_diffusers_adds_a_time_of_minus_one(n_steps):
    theirs = diffusers_times("trailing", n_steps)
    assert len(theirs) == n_steps + 1
    assert theirs[-1] == -1
    assert spacings.times(1000, n_steps, "trailing") == theirs[:-1]


def test_levels_are_those_of_the_times_and_end_clean():
    schedule = schedules.named("linear")
    levels = spacings.levels(schedule, 4, "trailing")
    assert [level.t for level in levels[:-1]] == [999, 749, 499, 249]
    assert levels[-1] == CLEAN
    assert levels[1].alphas_cumprod == pytest.approx(schedule.alphas_cumprod[749])


@pytest.mark.parametrize("n_steps", [0, -1, 1001])
def test_an_impossible_number_of_steps_is_refused_with_the_possible_ones(n_steps):
    with pytest.raises(InputError, match=f"{n_steps} steps cannot be taken.*1 to 1000 steps"):
        spacings.times(1000, n_steps, "trailing")


def test_an_unknown_spacing_is_refused_with_the_known_names():
    with pytest.raises(
        InputError, match=r"'fibonacci'; known are .*leading, linspace.*, trailing"
    ):
        spacings.times(1000, 10, "fibonacci")
