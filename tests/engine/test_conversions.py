"""Conversions: round trips as laws, and the algebra of x_t = alpha x_0 + sigma eps."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine import conversions
from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError

numbers = st.floats(-3, 3)


@st.composite
def noisy_levels(draw):
    angle = draw(st.floats(0.01, math.pi / 2 - 0.01))
    return NoiseLevel(t=1.0, alpha=math.cos(angle), sigma=math.sin(angle))


def mixed(x0, eps, level):
    x0, eps = np.array([x0]), np.array([eps])
    return x0, eps, level.alpha * x0 + level.sigma * eps


@given(x0=numbers, eps=numbers, level=noisy_levels())
def test_every_prediction_of_the_same_truth_gives_the_same_x0(x0, eps, level):
    x0, eps, x_t = mixed(x0, eps, level)
    v = level.alpha * eps - level.sigma * x0
    predictions = {"eps": eps, "x0": x0, "v": v}
    assert set(conversions.TO_X0) == set(predictions)
    for name, prediction in predictions.items():
        found = conversions.TO_X0[name](x_t, prediction, level)
        np.testing.assert_allclose(found, x0, atol=1e-12 / level.alpha)


@given(x0=numbers, eps=numbers, level=noisy_levels())
def test_eps_v_and_score_follow_from_x0(x0, eps, level):
    x0, eps, x_t = mixed(x0, eps, level)
    v = level.alpha * eps - level.sigma * x0
    tolerance = 1e-12 / level.sigma**2
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
