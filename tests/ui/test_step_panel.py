"""The step panel: the formula it shows, with the numbers it shows, gives the next state."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import diffview
from diffview.frames import quantities
from diffview.frames.compose import ViewState, at_stage, compose
from diffview.ui.panels.step_panel import (
    EQUATION,
    EQUATION_RAW,
    NO_SUM,
    OLDER_TERM,
    StepPanel,
    step_numbers,
)


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


def shown_number(shown, name):
    text = shown[name].replace("−", "-")
    return 0.0 if text in ("–", "") else float(text)


@pytest.mark.parametrize(
    ("sampler", "options"),
    [("ddim", {}), ("euler", {}), ("heun", {}), ("dpmpp_2m", {}), ("unipc", {"order": 1}),
     ("unipc", {"order": 2}), ("unipc", {"order": 3}), ("lms", {"order": 1})],
)  # fmt: skip
def test_the_shown_numbers_add_up_to_the_next_state_also_with_older_estimates(sampler, options):
    records = list(run_of(sampler, options).trajectory)
    for i, (record, after) in enumerate(pairwise(records)):
        shown = step_numbers(record, 0, 6)
        x = shown_number(shown, "w0") * record.x0_hat + shown_number(shown, "w1") * record.x_t
        for k in (1, 2, 3):
            if i >= k:
                x = x + shown_number(shown, f"w_past{k}") * records[i - k].x0_hat
        if record.stages and record.stages[0].x0_hat is not None:
            x = x + shown_number(shown, "w_stage") * record.stages[0].x0_hat
        scale = np.abs(after.x_t).max()
        assert np.abs(x - after.x_t).max() < 1e-3 * max(1, scale), i  # four decimals are shown


def test_the_formula_names_older_estimates_where_they_have_a_weight(qtbot):
    panel = StepPanel()
    qtbot.addWidget(panel)
    panel.show()
    run = run_of("dpmpp_2m", {}).trajectory
    panel.show_step(run[0], 0, 6)
    assert not panel.more.isVisible()
    panel.show_step(run[2], 0, 6)
    assert panel.more.markup() == OLDER_TERM and panel.numbers.text("w_past1") != "–"
    panel.show_step(run_of("heun", {}).trajectory[2], 0, 6)
    assert "x}_{0,s}" in panel.more.markup()
    panel.show_step(run_of("lms", {}).trajectory[2], 0, 6)
    assert panel.equation.markup() == NO_SUM


@pytest.mark.parametrize(
    ("sampler", "second"),
    [("heun", "Evaluation 2: second stage"), ("unipc", "Corrector, not evaluated")],
)
def test_the_evaluations_of_a_step_are_offered_by_name(qtbot, sampler, second):
    panel = StepPanel()
    qtbot.addWidget(panel)
    panel.show()
    run = run_of(sampler, {}).trajectory
    panel.show_stages(run[2], 1)
    assert [panel.stages.itemText(k) for k in range(2)] == ["Evaluation 1: the step", second]
    assert panel.stages.currentIndex() == 1 and panel.stages.isVisible()
    panel.show_stages(run[6], 1)
    assert not panel.stages.isVisible(), "the clean end has none"


def test_the_panes_show_the_second_stage_s_own_state_and_estimate(qtbot):
    run = run_of("heun", {}).trajectory
    stage = run[2].stages[0]
    frame = compose(run, ViewState(index=2, stage=1))
    assert np.array_equal(frame.tiles[0].values[..., 0], stage.x_t[:, 0])
    assert np.array_equal(frame.tiles[1].values[..., 0], stage.x0_hat[:, 0])
    assert frame.level == stage.level
    assert frame.key != compose(run, ViewState(index=2)).key
    end = compose(run, ViewState(index=6, stage=1))
    assert np.array_equal(end.tiles[0].values[..., 0], run[6].x_t[:, 0])


def test_where_the_network_was_not_asked_again_the_estimate_stays(qtbot):
    run = run_of("unipc", {}).trajectory
    record = at_stage(run[2], 1)
    assert np.array_equal(record.x_t, run[2].stages[0].x_t)
    assert not np.array_equal(record.x_t, run[2].x_t)
    assert np.array_equal(record.x0_hat, run[2].x0_hat)


def test_before_a_run_there_are_no_rows_for_what_few_samplers_have(qtbot):
    panel = StepPanel()
    qtbot.addWidget(panel)
    panel.show()
    assert panel.stages.isHidden() and panel.more.isHidden()
    names = ("w_past1", "w_past3", "w_raw", "w_stage", "w0")
    shown = [name for name in names if panel.numbers._values[name].isVisible()]
    assert shown == ["w0"]
