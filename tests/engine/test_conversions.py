"""Conversions: round trips as laws, and the algebra of x_t = alpha x_0 + sigma eps."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine import conversions, schedules
from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError

numbers = st.floats(-3, 3)


@st.composite
def noisy_levels(draw):
    """Variance preserving, variance exploding (alpha = 1), and flow (alpha + sigma = 1)."""
    angle = draw(st.floats(0.01, math.pi / 2 - 0.01))
    alpha, sigma = math.cos(angle), math.sin(angle)
    scale = draw(st.sampled_from([1.0, 1 / alpha, 1 / (alpha + sigma)]))
    return NoiseLevel(t=1.0, alpha=alpha * scale, sigma=sigma * scale)


def mixed(x0, eps, level):
    x0, eps = np.array([x0]), np.array([eps])
    return x0, eps, level.alpha * x0 + level.sigma * eps


def truths(x0, eps, level):
    """What a perfect network of each kind would say, by the definitions of the papers."""
    s, d = level.sigma / level.alpha, 0.5
    y = x0 + s * eps
    skip = d**2 / (s**2 + d**2)
    return {
        "eps": eps,
        "x0": x0,
        "v": (level.alpha * eps - level.sigma * x0) / math.hypot(level.alpha, level.sigma),
        "flow": eps - x0,
        "edm": (x0 - skip * y) / (s * d / math.sqrt(s**2 + d**2)),
    }


@given(x0=numbers, eps=numbers, level=noisy_levels())
def test_every_prediction_of_the_same_truth_gives_the_same_x0(x0, eps, level):
    x0, eps, x_t = mixed(x0, eps, level)
    predictions = truths(x0, eps, level)
    assert set(conversions.TO_X0) == set(conversions.FROM_X0) == set(predictions)
    for name, prediction in predictions.items():
        found = conversions.TO_X0[name](x_t, prediction, level)
        np.testing.assert_allclose(found, x0, atol=1e-12 / level.alpha)
        back = conversions.FROM_X0[name](x_t, x0, level)
        np.testing.assert_allclose(back, prediction, atol=1e-11 * (1 + level.ratio**-2))


@given(x0=numbers, eps=numbers, level=noisy_levels())
def test_eps_v_and_score_follow_from_x0(x0, eps, level):
    x0, eps, x_t = mixed(x0, eps, level)
    v = truths(x0, eps, level)["v"]
    tolerance = 1e-11 * (1 + 1 / level.sigma**2) * (1 + level.sigma)
    np.testing.assert_allclose(conversions.eps_from_x0(x_t, x0, level), eps, atol=tolerance)
    np.testing.assert_allclose(conversions.v_from_x0(x_t, x0, level), v, atol=tolerance)
    np.testing.assert_allclose(
        conversions.score_from_x0(x_t, x0, level), -eps / level.sigma, atol=tolerance / level.sigma
    )


@given(x_t=numbers, level=noisy_levels(), mean=numbers, std=st.floats(0.1, 2))
def test_the_score_of_gaussian_data_is_the_gradient_of_its_log_density(x_t, level, mean, std):
    variance = level.alpha**2 * std**2 + level.sigma**2
    x0_hat = mean + level.alpha * std**2 / variance * (x_t - level.alpha * mean)
    gradient = -(x_t - level.alpha * mean) / variance
    assert conversions.score_from_x0(x_t, x0_hat, level) == pytest.approx(gradient, rel=1e-6)


@pytest.mark.parametrize("t", [0, 17, 500, 999])
def test_noising_and_v_are_those_of_diffusers(t):
    from diffusers import DDPMScheduler

    theirs = DDPMScheduler()
    theirs.alphas_cumprod = theirs.alphas_cumprod.double()
    generator = torch.Generator().manual_seed(t)
    x0, eps = torch.randn(2, 3, 4, generator=generator, dtype=torch.float64)
    level = schedules.given(alphas_cumprod=theirs.alphas_cumprod).level(t)
    times = torch.full((3,), t)
    x_t = level.alpha * x0 + level.sigma * eps
    torch.testing.assert_close(x_t, theirs.add_noise(x0, eps, times), rtol=1e-12, atol=1e-12)
    v = conversions.FROM_X0["v"](x_t, x0, level)
    torch.testing.assert_close(v, theirs.get_velocity(x0, eps, times), rtol=1e-9, atol=1e-9)


def test_tensors_stay_tensors_of_their_own_dtype():
    level = NoiseLevel(t=1.0, alpha=0.8, sigma=0.6)
    x_t = torch.ones(2, 3, dtype=torch.float32)
    for convert in conversions.TO_X0.values():
        assert convert(x_t, x_t, level).dtype == torch.float32


def test_eps_at_alpha_zero_is_refused_and_says_what_to_use_instead():
    noise = NoiseLevel(t=999, alpha=0.0, sigma=1.0)
    with pytest.raises(InputError, match=r"alpha = 0.*v- or x0-predicting"):
        conversions.x0_from_eps(torch.ones(1), torch.ones(1), noise)


def test_v_at_alpha_zero_is_minus_x0():
    noise = NoiseLevel(t=999, alpha=0.0, sigma=1.0)
    x0_hat = conversions.x0_from_v(torch.ones(1), torch.full((1,), -0.25), noise)
    assert x0_hat.item() == 0.25


@pytest.mark.parametrize("sigma", [0.002, 0.3, 5.0, 80.0])
def test_edm_preconditioning_is_that_of_diffusers(sigma):
    from diffusers import EDMEulerScheduler

    theirs = EDMEulerScheduler()
    level = schedules.edm().level(sigma)
    x, F = torch.tensor([[0.7, -1.2]]), torch.tensor([[0.1, 0.4]])
    ours = conversions.x0_from_edm(x, F, level)
    torch.testing.assert_close(ours, theirs.precondition_outputs(x, F, torch.tensor(sigma)))
    c = conversions.preconditioning(level)
    torch.testing.assert_close(c.into * x, theirs.precondition_inputs(x, torch.tensor(sigma)))
    assert c.noise == pytest.approx(theirs.precondition_noise(torch.tensor(sigma)).item())


@given(x0=numbers, eps=numbers, level=noisy_levels(), factor=st.floats(0.1, 10))
def test_a_prediction_is_the_same_however_the_state_is_scaled(x0, eps, level, factor):
    x0, eps, x_t = mixed(x0, eps, level)
    scaled = NoiseLevel(1.0, factor * level.alpha, factor * level.sigma)
    for name in ("eps", "v", "flow", "edm"):
        prediction = conversions.FROM_X0[name](x_t, x0, level)
        same = conversions.FROM_X0[name](factor * x_t, x0, scaled)
        np.testing.assert_allclose(same, prediction, atol=1e-10 * (1 + 1 / level.ratio**2))


def test_a_flow_knows_the_picture_from_pure_noise_and_edm_does_not():
    noise = schedules.flow().level(1.0)
    x0_hat = conversions.x0_from_flow(torch.ones(1), torch.full((1,), 1.25), noise)
    assert x0_hat.item() == -0.25
    with pytest.raises(InputError, match="alpha = 0"):
        conversions.x0_from_edm(torch.ones(1), torch.ones(1), noise)
