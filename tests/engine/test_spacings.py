"""Spacings against diffusers where it is right, and against their laws everywhere."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from diffview.engine import schedules, spacings
from diffview.engine.levels import CLEAN
from diffview.errors import InputError

NAMES = ("leading", "linspace", "trailing")
BY_TIME = (*NAMES, "quadratic")
BY_RATIO = ("logsnr", "karras", "exponential")
COUNTS = (1, 2, 5, 7, 10, 13, 20, 25, 50, 100, 1000)


def diffusers_times(spacing, n_steps):
    scheduler = DDIMScheduler(timestep_spacing=spacing, steps_offset=0)
    scheduler.set_timesteps(n_steps)
    return scheduler.timesteps.tolist()


@pytest.mark.parametrize("n_steps", COUNTS)
@pytest.mark.parametrize("spacing", NAMES)
def test_times_equal_those_of_diffusers(spacing, n_steps):
    assert spacings.BY_TIME[spacing](1000, n_steps) == diffusers_times(spacing, n_steps)


@pytest.mark.parametrize(
    ("spacing", "published"),
    [
        ("linspace", [999, 888, 777, 666, 555, 444, 333, 222, 111, 0]),
        ("leading", [900, 800, 700, 600, 500, 400, 300, 200, 100, 0]),
        ("trailing", [999, 899, 799, 699, 599, 499, 399, 299, 199, 99]),
    ],
)
def test_ten_steps_of_a_thousand_are_those_of_the_paper(spacing, published):
    assert spacings.BY_TIME[spacing](1000, 10) == published


@settings(max_examples=300)
@given(data=st.data(), T=st.integers(1, 5000), spacing=st.sampled_from(BY_TIME))
def test_every_spacing_gives_exactly_n_different_falling_times_within_range(data, T, spacing):
    n_steps = data.draw(st.integers(1, T))
    times = spacings.BY_TIME[spacing](T, n_steps)
    assert len(times) == n_steps
    assert all(isinstance(t, int) for t in times)
    assert all(before > after for before, after in pairwise(times))
    assert times[-1] >= 0
    assert times[0] <= T - 1


@pytest.mark.parametrize("spacing", BY_TIME)
def test_no_number_of_steps_of_a_thousand_gives_one_more_or_a_time_twice_or_below_zero(spacing):
    for n_steps in range(1, 1001):
        times = spacings.BY_TIME[spacing](1000, n_steps)
        assert len(set(times)) == len(times) == n_steps
        assert min(times) >= 0


@given(data=st.data(), T=st.integers(2, 5000))
def test_where_each_spacing_starts_and_ends(data, T):
    n_steps = data.draw(st.integers(2, T))
    leading, linspace, trailing = (spacings.BY_TIME[name](T, n_steps) for name in NAMES)
    assert leading[-1] == 0
    assert set(np.diff(leading)) == {-(T // n_steps)}
    assert (linspace[0], linspace[-1]) == (T - 1, 0)
    assert trailing[0] == T - 1


@pytest.mark.parametrize("spacing", BY_TIME)
def test_as_many_steps_as_times_visits_every_time(spacing):
    assert spacings.BY_TIME[spacing](37, 37) == list(range(36, -1, -1))


@pytest.mark.parametrize("n_steps", [61, 103, 121, 122, 201])
def test_trailing_keeps_n_times_where_diffusers_adds_a_time_of_minus_one(n_steps):
    theirs = diffusers_times("trailing", n_steps)
    assert len(theirs) == n_steps + 1
    assert theirs[-1] == -1
    assert spacings.BY_TIME["trailing"](1000, n_steps) == theirs[:-1]


def test_levels_are_those_of_the_times_and_end_clean():
    schedule = schedules.named("linear")
    levels = spacings.levels(schedule, 4, "trailing")
    assert [level.t for level in levels[:-1]] == [999, 749, 499, 249]
    assert levels[-1] == CLEAN
    assert levels[1].alphas_cumprod == pytest.approx(schedule.alphas_cumprod[749])


@pytest.mark.parametrize("n_steps", [0, -1, 1001])
def test_an_impossible_number_of_steps_is_refused_with_the_possible_ones(n_steps):
    with pytest.raises(InputError, match=f"{n_steps} steps cannot be taken.*1 to 1000 steps"):
        spacings.levels(schedules.named("linear"), n_steps, "trailing")


def test_an_unknown_spacing_is_refused_with_the_known_names():
    with pytest.raises(
        InputError, match=r"'fibonacci'; known are .*leading, linspace.*, trailing"
    ):
        spacings.levels(schedules.named("linear"), 10, "fibonacci")


KINDS = {
    **{name: schedules.named(name) for name in schedules.SCHEDULES},
    "zero_snr": schedules.named("linear", zero_snr=True),
    "sigmas": schedules.given(sigmas=np.geomspace(0.01, 50, 1000)),
    "shifted": schedules.flow(3.0),
}


@settings(max_examples=200)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    spacing=st.sampled_from((*BY_TIME, *BY_RATIO)),
    n_steps=st.integers(1, 1000),
    rho=st.floats(0.5, 20),
    offset=st.integers(0, 2000),
)
def test_in_every_schedule_every_spacing_gives_n_levels_each_less_noisy_than_the_one_before(
    kind, spacing, n_steps, rho, offset
):
    levels = spacings.levels(KINDS[kind], n_steps, spacing, rho=rho, steps_offset=offset)
    assert len(levels) == n_steps + 1
    assert levels[-1] == CLEAN
    assert all(before.ratio > after.ratio for before, after in pairwise(levels))
    assert all(before.t > after.t for before, after in pairwise(levels[:-1]))
    low, high = KINDS[kind].span
    assert levels[0].t <= high
    assert levels[-2].t >= (low * (1 - 1e-12) if spacing != "trailing" else 0)


@pytest.mark.parametrize("steps", [10, 18, 50])
def test_karras_ends_at_the_ends_of_the_schedule(steps):
    levels = spacings.levels(schedules.named("linear"), steps, "karras")
    assert (levels[0].t, levels[-2].t) == (999, 0)
    edm = spacings.levels(schedules.edm(), steps, "karras")
    assert (edm[0].sigma, edm[-2].sigma) == (80, 0.002)


def test_karras_gives_the_sigmas_of_the_papers_cifar_sampler():
    published = (
        "80 57.5860 40.7856 28.3746 19.3525 12.9101 8.4009 5.3152 3.2568 1.9233 1.0882 .5853 "
        ".2964 .1395 .0599 .0229 .0075 .002"
    )
    levels = spacings.levels(schedules.edm(), 18, "karras")
    sigmas = [float(word) for word in published.split()]
    # Four digits behind the point.
    np.testing.assert_allclose([level.sigma for level in levels[:-1]], sigmas, atol=5.1e-5)
    assert all(level.t == level.sigma for level in levels[:-1])


@pytest.mark.parametrize(
    ("spacing", "flag"),
    [("karras", "use_karras_sigmas"), ("exponential", "use_exponential_sigmas")],
)
@pytest.mark.parametrize("name", ["linear", "scaled_linear"])
@pytest.mark.parametrize("n_steps", [1, 2, 7, 25, 100])
def test_levels_by_sigma_equal_those_of_diffusers_with_their_times(name, spacing, flag, n_steps):
    ends = {"beta_start": 0.00085, "beta_end": 0.012} if name == "scaled_linear" else {}
    theirs = EulerDiscreteScheduler(
        beta_schedule=name,
        timestep_spacing="linspace",
        beta_start=ends.get("beta_start", 1e-4),
        beta_end=ends.get("beta_end", 0.02),
        **{flag: True},
    )
    if n_steps == 1:  # theirs begins and ends at sigma_min: linspace from 0 to 999 of one is 0
        level, _ = spacings.levels(schedules.named(name), 1, spacing)
        assert level.ratio == pytest.approx(schedules.named(name).level(999).ratio)
        return
    theirs.set_timesteps(n_steps)
    levels = spacings.levels(schedules.named(name), n_steps, spacing)
    np.testing.assert_allclose(
        [level.ratio for level in levels[:-1]], theirs.sigmas[:-1].numpy(), rtol=1e-4
    )
    np.testing.assert_allclose(
        [level.t for level in levels[:-1]], theirs.timesteps.numpy(), atol=0.02
    )


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_logsnr_is_even_in_log_snr_and_exponential_is_its_other_name(kind):
    levels = spacings.levels(KINDS[kind], 30, "logsnr")
    steps = np.diff([level.lam for level in levels[:-1]])
    np.testing.assert_allclose(steps, steps.mean(), rtol=1e-9)
    assert spacings.levels(KINDS[kind], 30, "exponential") == levels


def test_rho_of_one_is_even_in_sigma():
    levels = spacings.levels(schedules.edm(), 20, "karras", rho=1.0)
    np.testing.assert_allclose([v.sigma for v in levels[:-1]], np.linspace(80, 0.002, 20))


@pytest.mark.parametrize(("kind", "t"), [("zero_snr", 998), ("flow", 0.999)])
@pytest.mark.parametrize("spacing", BY_RATIO)
def test_where_a_schedule_ends_in_pure_noise_log_snr_starts_at_the_last_signal(kind, t, spacing):
    levels = spacings.levels(KINDS[kind], 5, spacing)
    assert levels[0].t == pytest.approx(t)
    assert all(math.isfinite(level.lam) for level in levels[:-1])
    assert spacings.levels(KINDS[kind], 5, "trailing")[0].alpha == 0


@pytest.mark.parametrize("n_steps", [10, 20, 50, 100])
def test_quadratic_times_are_those_of_the_ddim_code(n_steps):
    # ermongroup/ddim, runners/diffusion.py: the expression as it stands there.
    seq = np.linspace(0, np.sqrt(1000 * 0.8), n_steps) ** 2
    seq = [int(s) for s in list(seq)]
    found = spacings.BY_TIME["quadratic"](1000, n_steps)[::-1]
    if len(set(seq)) == n_steps:
        assert found == seq
    else:  # the code asks the network the same time again and again; we move on by one
        assert found[-1] == seq[-1]
        assert all(ours >= theirs for ours, theirs in zip(found, seq, strict=True))


@pytest.mark.parametrize(
    ("n_steps", "offset", "first"), [(50, 1, 981), (1000, 1, 999), (2, 600, 999)]
)
def test_an_offset_moves_leading_as_far_as_the_schedule_goes(n_steps, offset, first):
    levels = spacings.levels(schedules.named("linear"), n_steps, "leading", steps_offset=offset)
    assert levels[0].t == first
    if n_steps == 50:
        theirs = DDIMScheduler(timestep_spacing="leading", steps_offset=1)
        theirs.set_timesteps(50)
        assert [level.t for level in levels[:-1]] == theirs.timesteps.tolist()


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("n_steps", [1, 2, 7, 28, 100])
def test_flow_times_equal_those_of_diffusers(n_steps, shift):
    theirs = FlowMatchEulerDiscreteScheduler(shift=shift)
    theirs.set_timesteps(sigmas=np.linspace(1.0, 1 / n_steps, n_steps))
    expected = theirs.sigmas[:-1].numpy()
    own = spacings.levels(schedules.flow(shift), n_steps, "trailing")
    asked = spacings.levels(schedules.flow(), n_steps, "trailing", shift=shift)
    for levels in (own, asked):
        np.testing.assert_allclose([level.sigma for level in levels[:-1]], expected, rtol=1e-6)
        np.testing.assert_allclose([v.t for v in levels[:-1]], expected, rtol=1e-6)


@given(shift=st.floats(0.01, 0.5), n_steps=st.integers(1, 60))
@pytest.mark.parametrize("spacing", ["trailing", "linspace", "quadratic"])
def test_a_flow_shifted_towards_the_picture_still_starts_at_pure_noise(spacing, shift, n_steps):
    """shift 1 / (1 + (shift - 1) 1) is 1, and rounded it was above: no time of the schedule."""
    levels = spacings.levels(schedules.flow(), n_steps, spacing, shift=shift)
    assert (levels[0].t, levels[0].alpha) == (1.0, 0.0)
    plain = spacings.levels(schedules.flow(), n_steps, spacing)
    expected = [
        Fraction(shift) * s / (1 + (Fraction(shift) - 1) * s)
        for s in (Fraction(level.t) for level in plain[:-1])
    ]
    assert [level.t for level in levels[:-1]] == pytest.approx(
        [float(t) for t in expected], rel=1e-12
    )


@pytest.mark.parametrize("n_steps", [2, 7, 28])
def test_flow_linspace_ends_at_a_thousandth_as_that_of_diffusers(n_steps):
    theirs = FlowMatchEulerDiscreteScheduler()
    theirs.set_timesteps(n_steps)
    levels = spacings.levels(schedules.flow(), n_steps, "linspace")
    np.testing.assert_allclose([v.t for v in levels[:-1]], theirs.sigmas[:-1], rtol=1e-6)


def test_a_listed_time_may_lie_between_two_whole_ones():
    schedule = schedules.named("linear")
    levels = spacings.levels(schedule, 3, "list", times=(999, 250.5, 10))
    assert levels == (schedule.level(999), schedule.level(250.5), schedule.level(10), CLEAN)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ((900, 500), "has 2 times and the run 3 steps"),
        ((900, 500, 500), "must fall"),
        ((1, 2, 3), "must fall"),
        ((1000, 500, 1), "outside the schedule's 0 to 999"),
        ((900,), "has 1 time and the run 3 steps"),
        ((), "has 0 times"),
    ],
)
def test_a_list_that_is_no_run_is_refused_with_the_reason(times, message):
    with pytest.raises(InputError, match=message):
        spacings.levels(schedules.named("linear"), 3, "list", times=times)


def test_two_levels_of_which_one_is_pure_noise_are_too_few_for_log_snr():
    schedule = schedules.given(alphas_cumprod=[0.5, 0.0])
    with pytest.raises(InputError, match="need two levels with some signal"):
        spacings.levels(schedule, 2, "karras")
    assert spacings.levels(schedule, 1, "karras")[0].ratio == 1
