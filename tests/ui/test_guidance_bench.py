"""The guidance bench in the window, on the bundled model and its two classifiers."""

from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest
from PySide6.QtWidgets import QLabel

from diffview.errors import InputError
from diffview.models.judging import Verdict, Verdicts
from diffview.ui.judging import GUIDES, Asked
from diffview.ui.panels.bench_cards import VerdictCard
from diffview.ui.workspaces.guidance_bench import GuidanceBench

QUICK = Asked(label=7, weight=1.0, n_steps=4, seeds=(0, 1))


@pytest.fixture
def made(make_session):
    session = make_session()
    session.window.central.go_to("guidance_bench")
    return session


@pytest.fixture
def bench(made, wait):
    """The bench after a short run."""
    workspace = made.window.central.current
    workspace.judging.start(QUICK)
    wait(lambda: not workspace.judging.running)
    return workspace


def label(session, name):
    return session.window.findChild(QLabel, name).text()


def test_both_runs_begin_with_the_same_noise_and_are_looked_at_together(made, bench):
    left, right = bench.judging.shown.runs
    assert (left.spec.guidance.guide, right.spec.guidance.guide) == GUIDES
    assert left.spec.option("clip") == "clamp" and left.spec.option("rederive_eps")
    np.testing.assert_array_equal(left[0].x_t, right[0].x_t)
    np.testing.assert_array_equal(left[0].base, right[0].base)
    assert np.abs(left[-1].x_t - right[-1].x_t).max() > 0.01
    assert made.window.transport.place.text() == "step 4/4 · image"
    assert "of 2 pictures" in label(made, "benchWords")
    made.window.transport.scrubber.setValue(1)
    for side, column in enumerate(bench.sides):
        record = bench.judging.shown.runs[side][1]
        shown = column.pictures.view._tiles.values[..., 0]
        np.testing.assert_array_equal(shown, record.x0_hat[:, 0])
        gradient = column.gradient._tiles.values[0, ..., 0]
        direction = record.direction[0, 0]
        cosine = (gradient * direction).sum() / np.sqrt((gradient**2).sum() * (direction**2).sum())
        assert cosine == pytest.approx(1, abs=1e-5)
        said = bench.judging.shown.verdicts[side][1]
        assert label(made, f"bench{side}_noisy") == f"{said.noisy.p[0]:.1%}"
    bench.steps.go_to(1)
    bench.sides[1].pictures.view.sampleSelected.emit(1)
    assert [column.pictures.view._selection for column in bench.sides] == [1, 1]
    curve = bench.sides[0].plot._curves[-1]
    expected = [one.clean.p[1] for one in bench.judging.shown.verdicts[0]]
    np.testing.assert_array_equal(curve.y, np.array(expected))


def test_the_weight_recombines_this_step_at_once_and_redoes_both_runs_behind_it(made, bench, wait):
    made.window.transport.scrubber.setValue(2)
    before = bench.judging.shown
    made.window.findChild(type(bench.weight_card.presets[1]), "benchWeight10Button").click()
    assert bench.judging.shown is before, "the old runs stay until the new ones are as far"
    record = before.runs[1][2]
    expected = np.clip(record.base + 10 * record.direction, -1, 1)
    shown = bench.sides[1].pictures.view._tiles.values
    np.testing.assert_allclose(shown[..., 0], expected[:, 0], atol=1e-6)
    assert bench.weight_card.this_step.text() == "This step: follows γ = 10"
    wait(lambda: not bench.judging.running)
    assert bench.judging.shown is not before
    assert bench.judging.shown.runs[0].spec.guidance.scale == 10
    assert bench.steps.index == 2
    assert bench.weight_card.this_step.text() == "This step: as it was sampled"
    made.window.commands.do("less_guidance")
    assert bench.judging.asked.weight == 9.75
    wait(lambda: not bench.judging.running)


def test_what_is_missing_is_said_where_the_pictures_would_be(made):
    del made.controller.shelf.guides[GUIDES[1]]
    workspace = made.window.central.current
    workspace.start()
    message = workspace.sides[0].pictures.view._message
    assert "'fashion-classifier-noisy' is not here" in message
    assert "diffview train fashion-classifier-noisy" in message
    assert not workspace.head.run.isEnabled()


def test_what_is_said_of_the_end_is_said_by_the_one_that_did_not_guide(qtbot):
    def seen(*labels):
        return Verdict(np.zeros(4, np.float32), np.array(labels))

    card = VerdictCard()
    qtbot.addWidget(card)
    ends = (
        Verdicts(seen(0, 0, 0, 0), clean_of_state=seen(7, 7, 7, 7), noisy=seen(7, 0, 0, 0)),
        Verdicts(seen(0, 0, 0, 0), clean_of_state=seen(7, 7, 0, 0), noisy=seen(7, 7, 7, 7)),
    )
    card.show_end(ends, 7, "Bag")
    assert card.words.text().splitlines() == [
        "Guided by the clean one: the noisy one, which took no part, sees Bag in 1 of 4 pictures "
        "at the end; the one that guided, in 4.",
        "Guided by the noisy one: the clean one, which took no part, sees Bag in 2 of 4 pictures "
        "at the end; the one that guided, in 4.",
    ]


def test_what_is_lacking_is_told_as_it_was_found():
    lacking = Mock(side_effect=["'guide' is not here", ""])  # it was installed in between
    bench = SimpleNamespace(judging=SimpleNamespace(lacking=lacking, source=None, asked=QUICK))
    with pytest.raises(InputError, match="'guide' is not here"):
        GuidanceBench.prepare(bench, {"weight": "2"})
