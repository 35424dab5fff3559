"""Two runs on one clock in the window: sampled together, scrubbed together, counted apart."""

import numpy as np
import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSlider,
)

from diffview.models import catalog, palette
from diffview.ui import jobs
from diffview.ui.pair_timeline import PairTimeline, beside
from diffview.ui.racing import SHOWN_RUN, Settings, Wanted
from diffview.ui.views.grid_view import GridView
from diffview.ui.workspaces import race as workspace


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(palette, "_cache_folder", lambda: tmp_path / "palettes")


@pytest.fixture
def made(make_session, writers):
    """A window with the fake model of noise and two models that write, at the race."""
    session = make_session()
    for name in ("text", "pixel"):
        source = jobs.source_of(catalog.entry(writers / f"{name}.safetensors"))
        session.controller.shelf.add(source)
    session.window.central.go_to("race")
    return session


@pytest.fixture
def race(made):
    return made.window.central.current


def run(race, wait, left, right):
    race.choose_pair(left, right)
    wait(lambda: not race.racing.running)


def text(session, name):
    return session.window.findChild(QLabel, name).text()


def test_both_are_scrubbed_by_one_clock_of_evaluations(made, race, wait):
    race.racing.wanted = Wanted("red apple", "Shirt", (3, 4))
    run(race, wait, "tiny-ar", "fake")  # 16 tokens at γ = 3, 50 steps at γ = 3
    tokens, noise = (entrant.run for entrant in race.racing.entrants)
    assert (tokens.nfe, noise.nfe) == (32, 100)
    assert tokens.spec.seeds == noise.spec.seeds == (3, 4)
    transport = made.window.transport
    assert transport.scrubber.maximum() == 100
    assert transport.place.text() == "100 evaluations"
    transport.scrubber.setValue(21)
    assert text(made, "raceLeftUsed") == "21 of 32 evaluations"
    assert text(made, "raceRightUsed") == "21 of 100 evaluations"
    assert race.panes[0].place.text() == "token 10 of 16"
    shown = race.panes[1].view._tiles.values
    np.testing.assert_array_equal(shown[..., 0], noise[9].x0_hat[:, 0])
    QTest.keyClick(QApplication.focusWidget() or made.window, Qt.Key.Key_End)
    assert text(made, "raceWords").splitlines()[0] == "Left is done: it took 32."
    assert race.panes[0].place.text() == "done, 16 tokens"


def test_each_run_is_the_one_the_model_makes_alone(made, race, wait):
    race.racing.wanted = Wanted("", "Bag", (0,))
    run(race, wait, "tiny-pixel", "fake")
    beside_it = race.racing.entrants[1].run
    made.controller.choose_seeds(0, 1)
    made.controller.choose_condition(beside_it.spec.condition)
    made.controller.choose_guidance(beside_it.spec.guidance.scale)
    made.controller.request_run()
    wait(lambda: not made.controller.activity.busy)
    np.testing.assert_array_equal(made.controller.run[-1].x_t, beside_it[-1].x_t)


def test_a_gamma_of_one_asks_once_a_step(race, wait):
    run(race, wait, "tiny-pixel", "fake")
    assert race.racing.entrants[0].run.nfe == 25, "its own γ is 1"
    race._on_settings(1, Settings(10, 1.0))
    wait(lambda: not race.racing.running)
    assert race.racing.entrants[1].run.nfe == 10
    race._on_settings(1, Settings(10, 2.0))
    wait(lambda: not race.racing.running)
    assert race.racing.entrants[1].run.nfe == 20


def test_each_side_has_options_of_its_own(race, wait):
    race.racing.wanted = Wanted("red apple", "Shirt", (0, 1, 2))
    run(race, wait, "tiny-ar", "fake")
    words, noise = race.entrant_cards
    assert noise.sampler.isVisible() and noise.steps.isVisible()
    assert not (noise.temperature.isVisible() or noise.top_k.isVisible())
    noise.steps.setValue(8)
    noise.sampler.setCurrentIndex(noise.sampler.findData("heun"))
    wait(lambda: not race.racing.running)
    spec = race.racing.entrants[1].run.spec
    assert (spec.sampler, spec.n_steps) == ("heun", 8)
    assert race.racing.entrants[1].run.nfe == 2 * (2 * 8 - 1), "two calls a step but the last"
    assert words.temperature.isVisible() and words.top_k.isVisible()
    assert not (words.sampler.isVisible() or words.steps.isVisible())
    assert words.top_k.maximum() == 12, "as many as there are codes"
    drawn = race.racing.entrants[0].run[-1].x_t
    assert not np.array_equal(drawn[0], drawn[1])
    words.top_k.setValue(1)
    wait(lambda: not race.racing.running)
    likeliest = race.racing.entrants[0].run[-1].x_t
    assert (likeliest == likeliest[0]).all(), "chance has no say among one"
    words.top_k.setValue(0)
    words.temperature.setValue(0)
    wait(lambda: not race.racing.running)
    np.testing.assert_array_equal(race.racing.entrants[0].run[-1].x_t, likeliest)
    assert race.racing.entrants[1].run.spec == spec, "the other side stays as it was"
    assert race.racing.wanted.prompt == "red apple"


def test_what_is_missing_is_said_and_the_other_runs_alone(made, race, wait, monkeypatch):
    monkeypatch.setattr(workspace, "PAIRS", (("Of the lecture", "untrained", "fake"),))
    run(race, wait, "untrained", "fake")
    assert "'untrained' is not here" in race.panes[0].view._message
    assert "diffview train untrained" in race.panes[0].view._message
    assert race.racing.entrants[1].run.complete
    assert text(made, "raceWords") == "Right is done: it took 100."
    row = race.panes[0].model.findData("untrained")
    assert not race.panes[0].model.model().item(row).isEnabled()


def test_a_prompt_of_any_letters_is_told_of_and_read_as_far_as_it_can(made, race, wait):
    run(race, wait, "tiny-ar", "fake")
    prompt = race.head.prompt
    prompt.setPlainText("תפוח\x07 red " + "x" * 10_000)
    assert "were left out" in made.window.notices.text.text()
    prompt.commit()
    wait(lambda: not race.racing.running)
    asked = race.racing.entrants[0].run.spec.condition
    assert asked.startswith("תפוח red x") and len(asked) <= 10_000
    assert "unknown to the model and ignored: תפוח" in made.window.notices.text.text()


def test_one_that_breaks_leaves_the_other_running(race, wait, network):
    network.fails_at = network.calls + 4
    run(race, wait, "tiny-pixel", "fake")
    assert race.racing.entrants[0].run.complete
    assert "the fake network broke" in race.racing.entrants[1].error
    assert len(race.racing.entrants[1].run) == 4
    assert race.head.run.text() == "Run both"


def test_the_run_of_denoising_can_take_part_as_it_is(made, race, wait):
    run(race, wait, "tiny-pixel", "fake")
    made.controller.choose_steps(7)
    made.controller.request_run()
    wait(lambda: not made.controller.activity.busy)
    race._on_chosen(1, SHOWN_RUN)
    wait(lambda: not race.racing.running)
    kept = race.racing.entrants[1].run
    assert kept.spec == made.controller.run.spec
    made.controller.choose_steps(9)
    made.controller.request_run()
    race.racing.start()
    wait(lambda: not race.racing.running and not made.controller.activity.busy)
    assert race.racing.entrants[1].run is kept
    made.controller.focus_sample(9)  # which the left side has not
    made.window.commands.do("copy")
    copied = QApplication.clipboard().image()
    # four pairs, two by two: 8 pixels beside 8, one between, each drawn four times, gaps of 2
    assert (copied.width(), copied.height()) == (2 * 4 * 17 + 2, 2 * 4 * 8 + 2)


def test_stopping_keeps_what_there_is(race, wait, network):
    network.hold()
    race.choose_pair("fake", "tiny-pixel")
    network.allow(3)
    wait(lambda: len(race.racing.entrants[0].run) == 3)
    assert race.head.run.text() == "Stop"
    race.do("stop")
    network.release()
    assert race.head.run.text() == "Run both"
    wait(lambda: not race.desk.jobs.busy)
    assert 3 <= len(race.racing.entrants[0].run) <= 4


def test_the_selected_sample_is_the_same_on_both_sides_and_on_the_strip(made, race, wait):
    run(race, wait, "tiny-pixel", "fake")
    race.panes[0].view.sampleSelected.emit(2)
    assert [pane.view._selection for pane in race.panes] == [2, 2]
    strip = made.window.transport.strip
    small, high = strip._thumbnails[100], 8
    expected = race.panes[1].view._tiles.pixels[2]
    np.testing.assert_array_equal(small[:, -high:], expected)


def test_a_timeline_of_pairs_follows_until_a_person_goes_elsewhere(qapp, heard):
    line = PairTimeline(lambda place: np.zeros((2, 2, 4), np.uint8), str, ("a", "b"))
    went = heard(line.chosen)
    line.show_length(3, 10)
    line.show_length(5, 10)
    line.go_to(2)
    line.show_length(7, 10)
    assert went == [2, 4, 2]
    line.go_to(99)
    line.show_length(8, 10)
    assert went[2:] == [2, 6, 7]
    line.begin()
    assert line.index == 0
    assert line.following


def test_a_pair_of_pictures_is_as_high_as_the_higher_one():
    low = np.full((2, 2, 4), 9, np.uint8)
    high = np.arange(6 * 6 * 4, dtype=np.uint8).reshape(6, 6, 4)
    made = beside(low, high, (1, 2, 3))
    assert made.shape == (6, 13, 4)
    np.testing.assert_array_equal(made[:, 7:], high)
    assert (made[:, :6] == 9).all()
    assert made[0, 6].tolist() == [1, 2, 3, 255]
    assert (beside(None, high, (1, 2, 3))[:, :6, :3] == (1, 2, 3)).all()


def test_all_that_can_be_used_says_what_it_is_and_is_in_the_tab_order(made):
    kinds = QAbstractButton, QComboBox, QAbstractSpinBox, QPlainTextEdit, GridView, QSlider
    for name in ("race", "guidance_bench", "codebook", "training"):
        made.window.central.go_to(name)
        workspace = made.window.central.current
        found = [
            widget
            for part in (workspace, *workspace.cards)
            for kind in kinds
            for widget in part.findChildren(kind)
            if not widget.objectName().startswith("qt_")
        ]
        assert len(found) > 8
        for widget in found:
            assert widget.accessibleName(), widget
            assert widget.toolTip() or isinstance(widget, QPushButton), widget.accessibleName()
            assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus, widget.accessibleName()
