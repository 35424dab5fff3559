"""DDIM against diffusers step by step, and against closed forms where diffusers is wrong."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from diffview.engine import guidance, samplers, schedules, spacings
from diffview.engine.estimate import Estimate
from diffview.engine.finishing import Finish
from diffview.engine.samplers.ddim import noise_std

# diffusers takes t - T // N as the next time: right for leading, and for trailing if N divides T.
RIGHT = [
    *(("leading", n) for n in (1, 2, 5, 7, 10, 13, 20, 25, 50, 100)),
    *(("trailing", n) for n in (1, 2, 5, 10, 20, 25, 50, 100)),
    ("linspace", 1),
]


@pytest.mark.parametrize("eta", [0.0, 0.35, 1.0])
@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize(("spacing", "n_steps"), RIGHT)
def test_ddim_equals_diffusers_on_every_step(
    bench, predicting_network, spacing, n_steps, prediction, eta
):
    network, denoise = predicting_network(prediction)
    steps = bench.ours("ddim", denoise, n_steps, spacing, eta=eta)
    x_0, estimates = bench.ddim(network, prediction, n_steps, spacing, eta=eta)
    assert len(steps) == n_steps + 1
    for step, theirs in zip(steps, estimates, strict=False):
        torch.testing.assert_close(step.estimate.x0_hat, theirs, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(steps[-1].x_t, x_0, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("spacing", "prediction", "eta"),
    [("leading", "eps", 0.0), ("trailing", "v", 1.0), ("linspace", "x0", 0.35)],
)
def test_ddim_equals_diffusers_over_all_thousand_times(
    bench, predicting_network, spacing, prediction, eta
):
    network, denoise = predicting_network(prediction)
    ours = bench.ours("ddim", denoise, 1000, spacing, eta=eta)[-1].x_t
    theirs, _ = bench.ddim(network, prediction, 1000, spacing, eta=eta)
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("rederive", [True, False])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize(("spacing", "n_steps"), RIGHT)
def test_clipped_ddim_equals_diffusers_with_eps_before_and_after_clipping(
    bench, predicting_network, spacing, n_steps, prediction, eta, rederive
):
    network, raw = predicting_network(prediction)
    clipped = guidance.finish(raw, Finish(clip="clamp", low=-1, high=1), rederive_eps=rederive)
    steps = bench.ours("ddim", clipped, n_steps, spacing, eta=eta)
    x_0, estimates = bench.ddim(
        network,
        prediction,
        n_steps,
        spacing,
        clip=True,
        eta=eta,
        use_clipped_model_output=rederive,
    )
    for step, theirs in zip(steps, estimates, strict=False):
        torch.testing.assert_close(step.estimate.x0_hat, theirs, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(steps[-1].x_t, x_0, rtol=1e-8, atol=1e-8)


def test_where_eps_comes_from_makes_a_difference_when_something_is_clipped(
    bench, predicting_network
):
    _, raw = predicting_network("v")
    ends = [
        bench.ours(
            "ddim",
            guidance.finish(raw, Finish(clip="clamp", low=-0.2, high=0.2), rederive_eps=on),
            10,
            "trailing",
        )[-1]
        for on in (True, False)
    ]
    assert (ends[0].x_t - ends[1].x_t).abs().max() > 1e-3


# On these grids the next time is not t - T // N, which is what diffusers takes.
WRONG = [("linspace", 10), ("linspace", 50), ("trailing", 7), ("trailing", 13)]
POINT = 0.4


def on_the_path(steps, x_t, level):
    """Where DDIM without noise must be at `level` if the data are one point.

    x_t is alpha x_0 + sigma eps all along, with the eps of the start.
    """
    start = steps[0]
    eps = (start.x_t - start.level.alpha * POINT) / start.level.sigma
    return (x_t - level.alpha * POINT - level.sigma * eps).abs().max().item()


def one_point(x, _):
    return torch.full_like(x, POINT)


@pytest.mark.parametrize(("spacing", "n_steps"), [*WRONG, ("trailing", 10), ("leading", 7)])
def test_ddim_stays_on_the_exact_path_of_one_data_point_on_any_grid(bench, spacing, n_steps):
    steps = bench.ours("ddim", lambda x, _: Estimate(one_point(x, _)), n_steps, spacing)
    for step in steps:
        assert on_the_path(steps, step.x_t, step.level) < 1e-12


@pytest.mark.parametrize(("spacing", "n_steps"), WRONG)
def test_diffusers_leaves_that_path_where_its_next_time_is_not_the_grids(bench, spacing, n_steps):
    steps = bench.ours("ddim", lambda x, _: Estimate(one_point(x, _)), n_steps, spacing)
    _, _, states = bench.ddim_states(one_point, "x0", n_steps, spacing)
    levels = [step.level for step in steps[1:]]
    away = [on_the_path(steps, x_t, level) for x_t, level in zip(states, levels, strict=True)]
    assert max(away) > 5e-3


@pytest.mark.parametrize("n_steps", [7, 13])
def test_trailing_ends_without_noise_where_diffusers_leaves_that_of_the_first_time(bench, n_steps):
    steps = bench.ours("ddim", lambda x, _: Estimate(one_point(x, _)), n_steps, "trailing")
    theirs, _ = bench.ddim(one_point, "x0", n_steps, "trailing")
    torch.testing.assert_close(steps[-1].x_t, one_point(theirs, 0), rtol=0, atol=1e-12)
    assert (theirs - POINT).abs().max() > 5e-3


def test_published_noise_of_the_first_steps_of_the_linear_schedule():
    # beta_1 = 1.199199e-4 and the posterior's beta~_1 = 5.453188e-5; at eta = 1 DDIM adds beta~.
    schedule = schedules.named("linear")
    assert noise_std(schedule.level(1), schedule.level(0), 1.0) ** 2 == pytest.approx(
        5.453188e-5, rel=1e-6
    )
    assert noise_std(schedule.level(999), schedule.level(998), 1.0) ** 2 == pytest.approx(
        0.01999998, rel=1e-6
    )


def test_half_of_eta_adds_half_the_noise():
    schedule = schedules.named("cosine")
    level, target = schedule.level(700), schedule.level(600)
    whole = noise_std(level, target, 1.0)
    assert noise_std(level, target, 0.5) == pytest.approx(whole / 2)
    assert noise_std(level, target, 0.0) == 0


def test_ddim_without_eta_asks_for_no_noise(bench, predicting_network):
    _, denoise = predicting_network("v")
    levels = spacings.levels(bench.schedule(), 5, "trailing")

    def refuse(i):
        raise AssertionError(f"noise was drawn at step {i}")

    steps = list(samplers.find("ddim").generate(denoise, torch.ones(1, 2), levels, refuse))
    assert len(steps) == 6


def test_the_error_of_ddim_falls_as_one_over_the_number_of_steps(gaussian_denoise, affine):
    # The probability flow of Gaussian data in closed form (numerics: section 6):
    # x_0 = mean + std (x_T - alpha_T mean) / sqrt(alpha_T^2 std^2 + sigma_T^2).
    mean, std = 0.3, 0.5
    schedule = schedules.named("linear", 1000)
    counts = [25, 50, 100, 200]
    errors = []
    for n_steps in counts:
        levels = spacings.levels(schedule, n_steps, "trailing")
        top = levels[0]
        exact = std / math.hypot(top.alpha * std, top.sigma)
        out = affine("ddim", gaussian_denoise(mean, std), levels)
        gain_error = abs(out.gains[0] - exact)
        mean_error = abs(out.mean - (mean - exact * top.alpha * mean))
        errors.append(gain_error + mean_error)
    slope = -np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope == pytest.approx(1, abs=0.1)


def exact_spread(schedule, times, mean, std, eta):
    """Mean and standard deviation of what N steps make of Gaussian data, by recursion.

    In variance-exploding terms, y = x / alpha and r = sigma / alpha, where a step is
    y' = D + sqrt(r'^2 - s^2) (y - D) / r + s z with s = eta r' sqrt(1 - r'^2 / r^2).
    """
    ratios = [math.sqrt(1 / schedule.alphas_cumprod[t] - 1) for t in times] + [0.0]
    m, v = 0.0, 1 / schedule.alphas_cumprod[times[0]]
    for r, r_next in pairwise(ratios):
        s = eta * r_next * math.sqrt(1 - (r_next / r) ** 2)
        keep = math.sqrt(r_next**2 - s**2) / r
        away = r**2 / (std**2 + r**2)  # y - D = away (y - mean)
        gain = 1 - away + keep * away
        m = mean + gain * (m - mean)
        v = gain**2 * v + s**2
    return m, math.sqrt(v)


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize("n_steps", [10, 50, 250])
def test_gaussian_data_come_out_with_exactly_the_spread_of_the_recursion(
    gaussian_denoise, affine, n_steps, spacing, eta
):
    schedule = schedules.named("linear")
    levels = spacings.levels(schedule, n_steps, spacing)
    out = affine("ddim", gaussian_denoise(0.3, 0.5), levels, eta=eta)
    mean, std = exact_spread(schedule, spacings.BY_TIME[spacing](1000, n_steps), 0.3, 0.5, eta)
    assert out.mean == pytest.approx(mean, rel=1e-9)
    assert out.std == pytest.approx(std, rel=1e-9)
