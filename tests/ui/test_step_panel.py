"""The step panel: the formula it shows, with the numbers it shows, gives the next state."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import diffview
from diffview.frames import quantities
from diffview.ui.panels.step_panel import EQUATION, EQUATION_RAW, StepPanel, step_numbers


def far_off(x_t, t):
    """A network whose estimate leaves the data's range, so that clipping does something."""
    return 2.5 * torch.tanh(x_t) + 0.4


def run_of(sampler, options):
    model = diffview.wrap(far_off, shape=(1, 4, 4), prediction="x0")
    return diffview.sample(model, sampler=sampler, steps=6, seeds=range(3), options=options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"clip": "clamp"},
        {"clip": "clamp", "rederive_eps": False},
    ],
    ids=["as it is", "clipped", "clipped, eps from before"],
)
def test_the_shown_weights_give_the_next_state(options):
    records = list(run_of("ddim", options).trajectory)
    for record, after in pairwise(records):
        shown = step_numbers(record, 0, 6)
        w0, w1, w_raw = (float(shown[name].replace("−", "-")) for name in ("w0", "w1", "w_raw"))
        raw = record.x0_hat if record.x0_raw is None else record.x0_raw
        x = w0 * record.x0_hat + w1 * record.x_t + w_raw * raw
        assert np.abs(x - after.x_t).max() < 1e-3  # four decimals are shown


def test_the_shown_noise_is_the_one_the_sampler_used():
    records = list(run_of("ddim", {"clip": "clamp", "rederive_eps": False}).trajectory)
    for record, after in pairwise(records[:-1]):
        eps = quantities.find("eps").values(record)
        expected = after.level.alpha * record.x0_hat + after.level.sigma * eps
        np.testing.assert_allclose(after.x_t, expected, atol=1e-5)


def test_the_formula_has_a_term_more_where_eps_follows_another_estimate(qtbot):
    panel = StepPanel()
    qtbot.addWidget(panel)
    panel.show()
    panel.show_step(run_of("ddim", {}).trajectory[0], 0, 6)
    assert panel.equation.markup() == EQUATION
    run = run_of("ddim", {"clip": "clamp", "rederive_eps": False}).trajectory
    panel.show_step(run[0], 0, 6)
    assert panel.equation.markup() == EQUATION_RAW
