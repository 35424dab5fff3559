"""Completions of one state: their mean is the estimate, as Tweedie says, but for chance."""

import math

import numpy as np
import pytest
import torch

from diffview.errors import InputError
from diffview.frames.completions import summary
from diffview.models import branching, sampling
from diffview.models.wrapped import wrap

MU, S = 0.3, 0.5


def gaussian():
    """The exact denoiser of N(MU, S^2) in every value: x0_hat = E[x_0 | x_t]."""

    def x0_hat(x, t):
        levels = [model.schedule.level(float(one)) for one in t]
        alpha = torch.tensor([a.alpha for a in levels]).reshape(-1, 1, 1, 1)
        variance = torch.tensor([a.sigma**2 for a in levels]).reshape(-1, 1, 1, 1)
        return (S**2 * alpha * x + variance * MU) / (S**2 * alpha**2 + variance)

    model = wrap(x0_hat, shape=(1, 8, 8), prediction="x0", schedule="cosine")
    return model


def test_mean_and_spread_are_those_of_the_numbers():
    ends = np.array([[0.0, 1.0], [1.0, 1.0], [2.0, 4.0]], np.float32)
    made = summary(ends, np.array([1.0, 1.0], np.float32))
    np.testing.assert_allclose(made.mean, [1.0, 2.0])
    np.testing.assert_allclose(made.std, [1.0, math.sqrt(3)], rtol=1e-6)
    assert made.gap == pytest.approx(math.sqrt(0.5))
    assert made.spread == pytest.approx(math.sqrt(2))
    assert made.chance == pytest.approx(math.sqrt(2 / 3))


def test_of_an_exact_denoiser_mean_and_spread_are_the_posteriors():
    """Data N(mu, s^2): Cov[x_0 | x_t] = s^2 sigma^2 / (alpha^2 s^2 + sigma^2)."""
    model, k = gaussian(), 80
    spec = sampling.spec_for(model.card, steps=240, seeds=(1,))
    run = sampling.trajectory_for(model.card, spec)
    for _ in sampling.sample_into(run, model):
        pass
    made = branching.complete(run, model.card, k, 64, sampler="ddpm")
    for _ in branching.continue_into(made, model):
        pass
    found, level = summary(made.trajectory[-1].x_t, run[k].x0_hat[0]), run[k].level
    spread = S * level.sigma / math.sqrt(level.alpha**2 * S**2 + level.sigma**2)
    assert found.spread == pytest.approx(spread, rel=0.05)
    assert found.gap == pytest.approx(found.chance, rel=0.3), "64 values, 64 completions"


def test_one_completion_has_no_spread():
    with pytest.raises(InputError, match="twice"):
        summary(np.zeros((1, 2), np.float32), np.zeros(2, np.float32))
