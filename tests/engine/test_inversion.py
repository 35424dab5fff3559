"""DDIM inversion: the probability flow upwards, by closed form and by the way back."""

import math
from itertools import pairwise

import pytest
import torch

from diffview.engine import inversion, samplers, schedules, spacings
from diffview.engine.estimate import Estimate
from diffview.engine.levels import CLEAN

MEAN, STD = 0.3, 0.5


def grid(n_steps, family="cosine", spacing="logsnr"):
    return spacings.levels(schedules.named(family), n_steps, spacing)


def pictures():
    return MEAN + STD * torch.linspace(-2, 2, 5, dtype=torch.float64)[None]


def flow(x_0, level, first):
    """The exact flow of Gaussian data from alpha x_0 at level `first` up to `level`.

    In y = x / alpha over r = sigma / alpha, with y_0 at r_0:
    y = mean + (y_0 - mean) sqrt((s^2 + r^2) / (s^2 + r_0^2)).
    """
    stretch = math.hypot(STD * level.alpha, level.sigma) / math.hypot(STD, first.ratio)
    return level.alpha * MEAN + (x_0 - MEAN) * stretch


def nonlinear(x_t, level):
    """A denoiser of two points +-0.7 with some width: E[x_0 | x_t] is a tanh."""
    variance = 0.04 * level.alpha**2 + level.sigma**2
    gain = 0.04 * level.alpha / variance
    point = 0.7 * torch.tanh(0.7 * level.alpha * x_t / variance)
    return Estimate(point + gain * (x_t - level.alpha * point))


def climbed(denoise, x_0, levels, **options):
    return list(inversion.ascend(denoise, x_0, levels, **options))


def back(denoise, x_T, levels):
    """The states of DDIM without noise from x_T down, by step."""
    steps = samplers.find("ddim").generate(denoise, x_T, levels, None)
    return [step.x_t for step in steps]


def test_the_way_up_visits_the_grid_from_the_picture_to_its_first_level(gaussian_denoise):
    levels = grid(7)
    states = climbed(gaussian_denoise(MEAN, STD), pictures(), levels)
    assert [state.i for state in states] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert [state.level for state in states] == [CLEAN, *reversed(levels[:-1])]
    assert torch.equal(states[0].x_t, pictures())


@pytest.mark.parametrize("family", ["cosine", "linear", "edm", "flow"])
def test_on_gaussian_data_it_is_the_exact_flow_with_order_one(gaussian_denoise, family):
    def error(n_steps):
        levels = grid(n_steps, family)
        levels = levels[1:] if levels[0].alpha == 0 else levels
        state = climbed(gaussian_denoise(MEAN, STD), pictures(), levels)[-1]
        exact = flow(pictures(), state.level, levels[-2])
        return ((state.x_t - exact) / state.level.sigma).abs().max().item()

    errors = [error(n_steps) for n_steps in (80, 160, 320)]
    assert errors[2] < 0.05
    assert math.log2(errors[1] / errors[2]) == pytest.approx(1, abs=0.1)


def test_the_first_move_keeps_the_picture_as_the_flow_does_where_there_is_no_noise(
    gaussian_denoise,
):
    # From r = 0 the flow has slope 0: between 0 and r it only bends by r^2 / (2 s^2).
    levels = grid(50)
    x = climbed(gaussian_denoise(MEAN, STD), pictures(), levels)[1].x_t
    exact = flow(pictures(), levels[-2], CLEAN)
    bend = STD * 2 * levels[-2].ratio ** 2 / (2 * STD**2)
    assert (x - exact).abs().max() <= 1.01 * bend


@pytest.mark.parametrize("denoise", ["gaussian", "nonlinear"])
def test_the_round_trips_error_shrinks_with_the_number_of_steps(gaussian_denoise, denoise):
    f = gaussian_denoise(MEAN, STD) if denoise == "gaussian" else nonlinear
    errors = []
    for n_steps in (20, 40, 80, 160):
        levels = grid(n_steps)
        x_T = climbed(f, pictures(), levels)[-1].x_t
        errors.append((back(f, x_T, levels)[-1] - pictures()).abs().max().item())
    assert all(after < 0.7 * before for before, after in pairwise(errors))


@pytest.mark.parametrize("denoise", ["gaussian", "nonlinear"])
def test_refined_often_enough_the_way_up_is_the_inverse_of_the_way_down(gaussian_denoise, denoise):
    f = gaussian_denoise(MEAN, STD) if denoise == "gaussian" else nonlinear
    levels = grid(30)
    gaps = []
    for refine in (0, 2, 5, 250):
        up = climbed(f, pictures(), levels, refine=refine)
        down = back(f, up[-1].x_t, levels)
        gaps.append((down[-1] - pictures()).abs().max().item())
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] < 1e-9
    for state in up:
        torch.testing.assert_close(down[state.i], state.x_t, rtol=1e-8, atol=1e-8)


def test_from_pure_noise_the_last_move_takes_the_estimates_noise():
    levels = spacings.levels(schedules.named("flow"), 10, "trailing")
    assert levels[0].alpha == 0
    *_, before, top = climbed(nonlinear, pictures(), levels, refine=2)
    eps_hat = nonlinear(before.x_t, before.level).eps_hat(before.x_t, before.level)
    assert torch.equal(top.x_t, eps_hat)


@pytest.mark.parametrize("refine", [0, 1, 3])
@pytest.mark.parametrize("family", ["cosine", "flow"])
def test_as_many_evaluations_as_it_says(family, refine):
    calls = []

    def denoise(x_t, level):
        calls.append(level)
        return nonlinear(x_t, level)

    levels = spacings.levels(schedules.named(family), 9, "trailing")
    climbed(denoise, pictures(), levels, refine=refine)
    pure = levels[0].alpha == 0
    assert len(calls) == inversion.evaluations(9, refine, pure_noise=pure)
    assert all(level.sigma > 0 for level in calls)
