"""Schedules against published figures, against diffusers, and against their own laws."""

import math

import numpy as np
import pytest
from diffusers import DDPMScheduler
from hypothesis import given as for_all
from hypothesis import strategies as st

from diffview.engine import schedules
from diffview.errors import InputError

DIFFUSERS_NAME = {"linear": "linear", "cosine": "squaredcos_cap_v2"}


@pytest.mark.parametrize(
    ("name", "first", "last", "first_ratio", "last_ratio"),
    [
        ("linear", 0.99990000, 4.035830e-05, 0.0100005, 157.407281),
        ("cosine", 0.99995872, 2.428767e-09, 0.0064254, 20291.17),
    ],
)
def test_a_schedule_has_the_published_values_at_its_ends(
    name, first, last, first_ratio, last_ratio
):
    schedule = schedules.named(name)
    assert schedule.T == 1000
    assert schedule.alphas_cumprod[0] == pytest.approx(first, abs=5e-9)
    assert schedule.alphas_cumprod[-1] == pytest.approx(last, rel=2e-7)
    start, end = schedule.level(0), schedule.level(999)
    assert start.sigma / start.alpha == pytest.approx(first_ratio, rel=1e-5)
    assert end.sigma / end.alpha == pytest.approx(last_ratio, rel=1e-7)


def test_the_linear_schedule_ends_with_the_published_amount_of_signal():
    assert schedules.named("linear").level(999).alpha == pytest.approx(6.352818e-03, rel=1e-6)


@pytest.mark.parametrize("T", [10, 100, 1000, 4000])
@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_a_schedule_equals_that_of_diffusers(name, T):
    theirs = DDPMScheduler(num_train_timesteps=T, beta_schedule=DIFFUSERS_NAME[name])
    ours = np.array(schedules.named(name, T).alphas_cumprod)
    betas = 1 - ours / np.concatenate([[1.0], ours[:-1]])
    np.testing.assert_allclose(betas, theirs.betas.numpy(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours[:-1], theirs.alphas_cumprod[:-1].numpy(), rtol=1e-5)
    # The cosine's last beta is 0.999, and float32 holds 1 - 0.999 to 6e-5 of itself only.
    np.testing.assert_allclose(ours[-1], theirs.alphas_cumprod[-1].numpy(), rtol=6e-5)


@for_all(name=st.sampled_from(["linear", "cosine"]), T=st.integers(1, 3000))
def test_alpha_bar_falls_and_every_level_keeps_unit_variance(name, T):
    schedule = schedules.named(name, T)
    acp = np.array(schedule.alphas_cumprod)
    assert len(acp) == schedule.T == T
    assert np.all(np.diff(acp) < 0)
    assert np.all((acp > 0) & (acp < 1))
    for t in {0, T // 2, T - 1}:
        level = schedule.level(t)
        assert level.alpha**2 + level.sigma**2 == pytest.approx(1, abs=1e-15)
        assert level.alphas_cumprod == pytest.approx(acp[t], rel=1e-14)
        assert level.t == t


def test_betas_give_the_cumulative_product_of_one_minus_beta():
    schedule = schedules.given(betas=[0.5, 0.25, 0.1])
    assert schedule.alphas_cumprod == pytest.approx([0.5, 0.375, 0.3375])


def test_alphas_cumprod_are_taken_as_they_are():
    schedule = schedules.given(alphas_cumprod=[0.9, 0.5, 0.1])
    assert schedule.alphas_cumprod == (0.9, 0.5, 0.1)
    assert schedule.level(1).alpha == pytest.approx(math.sqrt(0.5))


def test_a_model_that_ends_in_pure_noise_has_a_last_level_without_signal():
    # Rescaled to zero terminal SNR (Lin et al. 2023): alphas_cumprod end at 0, betas at 1.
    ending_in_noise = schedules.given(alphas_cumprod=[0.9, 0.4, 0.0])
    assert schedules.given(betas=[0.1, 0.5, 1.0]).alphas_cumprod[-1] == 0
    last = ending_in_noise.level(2)
    assert (last.alpha, last.sigma) == (0, 1)
    assert ending_in_noise.level(0.5).alpha > ending_in_noise.level(1).alpha


@pytest.mark.parametrize("name", ["linear", "cosine"])
def test_between_two_times_the_noise_ratio_is_their_geometric_mean(name):
    schedule = schedules.named(name)
    for t in (0, 17, 500, 998):
        low, half, high = (schedule.level(t + step) for step in (0, 0.5, 1))
        ratios = [level.sigma / level.alpha for level in (low, half, high)]
        assert ratios[1] == pytest.approx(math.sqrt(ratios[0] * ratios[2]), rel=1e-12)
        assert half.alpha**2 + half.sigma**2 == pytest.approx(1, abs=1e-15)
        assert half.t == t + 0.5


@for_all(t=st.floats(0, 999), u=st.floats(0, 999))
def test_a_later_time_never_has_less_noise(t, u):
    schedule = schedules.named("linear")
    low, high = schedule.level(min(t, u)), schedule.level(max(t, u))
    assert low.sigma <= high.sigma * (1 + 1e-12)


@pytest.mark.parametrize("t", [-1, -0.001, 999.001, 1000, math.nan, math.inf])
def test_a_time_outside_the_schedule_is_refused_with_its_range(t):
    with pytest.raises(InputError, match=r"outside the schedule's 0 to 999"):
        schedules.named("linear").level(t)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "either betas or alphas_cumprod"),
        ({"betas": [0.1], "alphas_cumprod": [0.9]}, "either betas or alphas_cumprod"),
        ({"betas": [0.1, 0.0]}, "betas must lie"),
        ({"betas": [0.1, 1.5]}, "betas must lie"),
        ({"betas": [0.1, float("nan")]}, "betas must lie"),
        ({"betas": []}, "one row of numbers"),
        ({"betas": [[0.1, 0.2]]}, "one row of numbers"),
        ({"betas": ["a", "b"]}, "one row of numbers"),
        ({"betas": [[0.1], [0.2, 0.3]]}, "one row of numbers"),
        ({"alphas_cumprod": [1.0, 0.5]}, "alphas_cumprod must lie"),
        ({"alphas_cumprod": [0.5, -0.1]}, "alphas_cumprod must lie"),
        ({"alphas_cumprod": [0.5, 0.0, 0.0]}, "alphas_cumprod must lie"),
        ({"alphas_cumprod": [0.5, 0.6]}, "must fall"),
        ({"alphas_cumprod": [0.5, 0.5]}, "must fall"),
    ],
)
def test_numbers_that_are_no_schedule_are_refused_with_the_reason(arguments, message):
    with pytest.raises(InputError, match=message):
        schedules.given(**arguments)


def test_an_unknown_schedule_is_refused_with_the_known_names():
    with pytest.raises(
        InputError, match=r"unknown schedule 'stairs'; known are .*cosine, .*linear"
    ):
        schedules.named("stairs")


@pytest.mark.parametrize("T", [0, -5, 10**7, 10**15])
def test_a_schedule_of_no_times_or_of_absurdly_many_is_refused_at_once(T):
    with pytest.raises(InputError, match=f"T = {T}"):
        schedules.named("linear", T)


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.named("cosine", 50),
        schedules.given(betas=[0.1, 0.2, 0.3]),
        schedules.given(betas=[0.1, 0.2, 0.3], name="linear"),
    ],
    ids=["named", "given", "given under a known name"],
)
def test_a_schedule_survives_json(schedule):
    assert schedules.from_json(schedule.to_json()) == schedule
