"""The probability flow at any place, against its closed form."""

import numpy as np
import pytest
import torch

from diffview.engine import schedules
from diffview.models.exact import fields
from diffview.models.exact.mixture import mixture


@pytest.mark.parametrize(
    "schedule",
    [schedules.named("linear"), schedules.named("cosine"), schedules.flow(), schedules.edm()],
    ids=lambda s: s.name,
)
def test_the_velocity_is_that_of_the_closed_flow_of_a_gaussian(exact_model, schedule):
    """Data N(m, s^2): x_t = alpha m + r (x_T - alpha_T m), r = the ratio of the levels' stds.

    Its derivative in t at a path through x is d(alpha) m + (x - alpha m) d(log std).
    """
    m, s = np.array([0.3, -0.2]), 0.5
    model = exact_model(mixture([m], s**2), schedule)
    t = {"linear": 400.0, "cosine": 400.0, "flow": 0.4, "edm": 3.0}[schedule.name]
    h = 0.25 if schedule.discrete else 1e-4
    low, level, high = (schedule.level(t + k * h) for k in (-1, 0, 1))

    def std(at):
        return np.hypot(at.alpha * s, at.sigma)

    alpha_rate = (high.alpha - low.alpha) / (2 * h)
    log_rate = (np.log(std(high)) - np.log(std(low))) / (2 * h)
    x = np.random.default_rng(0).normal(size=(5, 2))
    expected = alpha_rate * m + (x - level.alpha * m) * log_rate
    x0_hat = model(torch.from_numpy(x), level, None).numpy()
    made = fields.velocity(x, x0_hat, level, schedule)
    np.testing.assert_allclose(made, expected, rtol=2e-3, atol=1e-7)
