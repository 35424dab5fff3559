"""Schedules against published figures, against diffusers, and against their own laws."""

import json
import math

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, EDMEulerScheduler, FlowMatchEulerDiscreteScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr
from hypothesis import given as for_all
from hypothesis import strategies as st

from diffview.engine import schedules
from diffview.engine.schedules import Schedule
from diffview.errors import InputError

DIFFUSERS_NAME = {
    "linear": "linear",
    "scaled_linear": "scaled_linear",
    "cosine": "squaredcos_cap_v2",
    "sigmoid_beta": "sigmoid",
}


@pytest.mark.parametrize(
    ("name", "first", "last", "first_ratio", "last_ratio"),
    [
        ("linear", 0.99990000, 4.035830e-05, 0.0100005, 157.407281),
        ("scaled_linear", 0.99915, 4.660099e-03, 0.0291672, 14.614641),
        ("cosine", 0.99995872, 2.428767e-09, 0.0064254, 20291.17),
        ("sigmoid_beta", 0.99985079, 3.968182e-05, 0.0122159, 158.743),
        ("sigmoid_alphabar", 0.99969972, 3.002792e-07, 0.0173312, 1824.89),
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
    assert end.sigma / end.alpha == pytest.approx(last_ratio, rel=5e-6)


def test_the_linear_schedule_ends_with_the_published_amount_of_signal():
    assert schedules.named("linear").level(999).alpha == pytest.approx(6.352818e-03, rel=1e-6)


@pytest.mark.parametrize("T", [10, 100, 1000, 4000])
@pytest.mark.parametrize("name", sorted(DIFFUSERS_NAME))
def test_a_schedule_equals_that_of_diffusers(name, T):
    ends = {"beta_start": 0.00085, "beta_end": 0.012} if name == "scaled_linear" else {}
    theirs = DDPMScheduler(num_train_timesteps=T, beta_schedule=DIFFUSERS_NAME[name], **ends)
    ours = np.array(schedules.named(name, T).alphas_cumprod)
    betas = 1 - ours / np.concatenate([[1.0], ours[:-1]])
    np.testing.assert_allclose(betas, theirs.betas.numpy(), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours[:-1], theirs.alphas_cumprod[:-1].numpy(), rtol=1e-5)
    # The cosine's last beta is 0.999, and float32 holds 1 - 0.999 to 6e-5 of itself only.
    np.testing.assert_allclose(ours[-1], theirs.alphas_cumprod[-1].numpy(), rtol=6e-5)


@for_all(name=st.sampled_from(sorted(schedules.BETAS)), T=st.integers(1, 3000))
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
        ({"sigmas": [0.1, 0.0]}, "sigmas must be finite numbers above 0"),
        ({"sigmas": [0.1, math.inf]}, "sigmas must be finite numbers above 0"),
        ({"sigmas": [0.5, 0.5]}, "sigmas must rise"),
        ({"sigmas": [0.5], "betas": [0.1]}, "only one of them"),
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
        schedules.given(sigmas=[0.01, 1.0, 50.0]),
        schedules.named("scaled_linear", 30, zero_snr=True),
        schedules.given(alphas_cumprod=[0.9, 0.5, 0.0]),
        schedules.flow(3.0),
        schedules.edm(0.01, 50.0, 1.0),
    ],
    ids=[
        "named",
        "given",
        "given under a known name",
        "sigmas",
        "zero SNR",
        "ending in noise",
        "flow",
        "edm",
    ],
)
def test_a_schedule_survives_json(schedule):
    back = schedules.from_json(json.loads(json.dumps(schedule.to_json())))
    assert back == schedule
    assert isinstance(back, Schedule)
    assert hash(back) == hash(schedule)


@pytest.mark.parametrize(
    "value",
    [
        {"name": "flow", "shift": 0},
        {"name": "flow", "shift": "3"},
        {"name": "flow", "shift": True},
        {"name": "flow", "shift": math.inf},
        {"name": "edm", "sigma_min": 2.0, "sigma_max": 1.0},
        {"name": "edm", "sigma_data": -1},
        {"name": "linear"},
        {"name": "linear", "T": 1, "zero_snr": True},
        {"name": "linear", "T": 10, "zero_snr": "yes"},
        {"sigmas": "many"},
        [],
    ],
)
def test_a_damaged_schedule_is_an_input_error(value):
    with pytest.raises(InputError):
        schedules.from_json(value)


def test_a_schedule_whose_signal_no_number_can_hold_is_refused():
    with pytest.raises(InputError, match=r"keeps no signal.*T = 500000"):
        schedules.named("linear", 500_000)


def lucidrains_alphas_cumprod(T, start=-3, end=3, tau=1):
    """denoising-diffusion-pytorch's sigmoid_beta_schedule, as it stands there."""
    t = torch.linspace(0, T, T + 1, dtype=torch.float64) / T
    v_start = torch.tensor(start / tau, dtype=torch.float64).sigmoid()
    v_end = torch.tensor(end / tau, dtype=torch.float64).sigmoid()
    acp = (-((t * (end - start) + start) / tau).sigmoid() + v_end) / (v_end - v_start)
    acp = acp / acp[0]
    betas = torch.clip(1 - (acp[1:] / acp[:-1]), 0, 0.999)
    return torch.cumprod(1 - betas, dim=0).numpy()


@pytest.mark.parametrize("T", [10, 1000])
def test_the_sigmoid_of_alpha_bar_is_the_one_of_its_code(T):
    ours = schedules.named("sigmoid_alphabar", T).alphas_cumprod
    np.testing.assert_allclose(ours, lucidrains_alphas_cumprod(T), rtol=1e-9)


@pytest.mark.parametrize("name", sorted(DIFFUSERS_NAME))
def test_zero_terminal_snr_equals_that_of_diffusers_and_ends_in_pure_noise(name):
    ours = np.array(schedules.named(name, zero_snr=True).alphas_cumprod)
    plain = np.array(schedules.named(name).alphas_cumprod)
    betas = torch.tensor(1 - plain / np.concatenate([[1.0], plain[:-1]]))
    theirs = torch.cumprod(1 - rescale_zero_terminal_snr(betas), 0).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)
    assert ours[-1] == 0
    assert ours[0] == pytest.approx(plain[0], rel=1e-12)


def test_the_linear_schedule_rescaled_by_hand():
    # sqrt(alphas_cumprod) of betas .5 is s = r, r^2, r^3 with r = sqrt(.5): (s - r^3) times
    # r / (r - r^3) = 1 / (1 - r^2) = 2, so 2 r (1 - r^2), 2 r^2 (1 - r) and 0.
    acp = schedules._zero_snr(np.array([0.5, 0.25, 0.125]))
    r = math.sqrt(0.5)
    np.testing.assert_allclose(acp, [r**2, (2 * r**2 * (1 - r)) ** 2, 0], atol=1e-15)


def test_above_the_last_noisy_time_alpha_falls_evenly_to_nothing():
    schedule = schedules.named("linear", zero_snr=True)
    before = schedule.level(998).alpha
    for part in (0.25, 0.5, 0.75):
        level = schedule.level(998 + part)
        assert level.alpha == pytest.approx((1 - part) * before, rel=1e-12)
        assert level.alpha**2 + level.sigma**2 == pytest.approx(1, abs=1e-15)
        assert schedule.at_ratio(level.ratio).t == pytest.approx(level.t, abs=1e-9)
    assert schedule.at_ratio(math.inf) == schedule.level(999)


every_kind = pytest.mark.parametrize(
    "schedule",
    [
        *(schedules.named(name) for name in sorted(schedules.BETAS)),
        schedules.named("cosine", zero_snr=True),
        schedules.given(sigmas=np.geomspace(0.01, 50, 200)),
        schedules.flow(),
        schedules.edm(),
    ],
    ids=lambda schedule: schedule.name,
)


@every_kind
@for_all(part=st.floats(0, 1))
def test_the_time_of_a_noise_ratio_leads_back_to_it(schedule, part):
    low, high = schedule.span
    level = schedule.level(low + part * (high - low))
    found = schedule.at_ratio(level.ratio)
    assert found.t == pytest.approx(level.t, rel=1e-6, abs=1e-6)
    assert found.alpha == pytest.approx(level.alpha, rel=1e-12)
    assert found.sigma == pytest.approx(level.sigma, rel=1e-12)


@pytest.mark.parametrize("name", sorted(schedules.BETAS))
def test_a_ratio_beyond_the_table_takes_the_time_of_its_end(name):
    schedule = schedules.named(name)
    for factor, t in [(0.5, 0), (2.0, 999)]:
        ratio = schedule.level(t).ratio * factor
        found = schedule.at_ratio(ratio)
        assert found.t == t
        assert found.ratio == pytest.approx(ratio, rel=1e-12)


def test_a_flow_is_a_straight_line_from_picture_to_noise():
    level = schedules.flow().level(0.25)
    assert (level.t, level.alpha, level.sigma) == (0.25, 0.75, 0.25)
    end = schedules.flow().level(1.0)
    assert (end.alpha, end.sigma) == (0, 1)


def test_flow_sigmas_are_the_times_of_diffusers():
    theirs = FlowMatchEulerDiscreteScheduler()
    for sigma in theirs.sigmas.tolist()[:-1:100]:
        level = schedules.flow().level(sigma)
        noise = torch.ones(1, 1)
        mixed = theirs.scale_noise(torch.zeros(1, 1), torch.tensor([sigma * 1000]), noise)
        assert level.sigma == pytest.approx(mixed.item(), rel=1e-6)


def test_edm_keeps_the_picture_and_adds_sigma():
    schedule, theirs = schedules.edm(), EDMEulerScheduler()
    level = schedule.level(3.5)
    assert (level.t, level.alpha, level.sigma, level.ratio) == (3.5, 1, 3.5, 3.5)
    assert schedule.span == (theirs.config.sigma_min, theirs.config.sigma_max) == (0.002, 80)
    assert schedule.sigma_data == theirs.config.sigma_data


@pytest.mark.parametrize("t", [0, -0.1, 1.001, math.nan])
def test_a_time_outside_the_flow_is_refused(t):
    with pytest.raises(InputError, match="outside the schedule's 0 to 1"):
        schedules.flow().level(t)


@pytest.mark.parametrize("t", [0, -1, math.inf, math.nan])
def test_a_sigma_that_is_no_noise_is_refused(t):
    with pytest.raises(InputError, match="cannot be used as a time"):
        schedules.edm().level(t)


def test_a_run_starts_from_noise_of_the_schedules_own_size():
    assert schedules.named("linear").initial_std(schedules.named("linear").level(999)) == 1
    assert schedules.flow().initial_std(schedules.flow().level(1)) == 1
    assert schedules.edm().initial_std(schedules.edm().level(80)) == 80
    exploding = schedules.given(sigmas=[0.01, 1, 50])
    assert exploding.initial_std(exploding.level(2)) == 50


@pytest.mark.parametrize("s", [1.0, 0.75, 0.5, 0.1])
def test_a_flow_begun_below_pure_noise_starts_with_the_spread_of_such_a_state(s):
    """Of data with unit variance x_s = (1 - s) x_0 + s eps has (1 - s)^2 + s^2."""
    flow = schedules.flow()
    assert flow.initial_std(flow.level(s)) == pytest.approx(math.sqrt((1 - s) ** 2 + s**2))
    assert flow.initial_std(flow.level(1.0)) == 1.0


@pytest.mark.parametrize(("schedule", "discrete"), [("linear", True), ("flow", False)])
def test_every_kind_is_a_schedule_and_says_whether_its_times_are_whole(schedule, discrete):
    found = schedules.named(schedule)
    assert isinstance(found, Schedule)
    assert found.discrete is discrete


def test_zero_snr_is_for_schedules_with_betas():
    with pytest.raises(InputError, match="'flow' has no zero_snr"):
        schedules.named("flow", zero_snr=True)
