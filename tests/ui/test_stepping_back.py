"""Stepping back in from the real window: keys, buttons, dialogs, the mark on the scrubber."""

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QWidget

from diffview.engine import schedules
from diffview.engine import session as sessions

CTRL = Qt.KeyboardModifier.ControlModifier


def named(session, name, kind=QWidget):
    return session.window.findChild(kind, name)


def press(session, key, modifier=CTRL):
    QTest.keyClick(session.window, key, modifier)


@pytest.fixture
def settled(session, wait):
    def until():
        wait(lambda: not session.controller.activity.busy)

    return until


@pytest.fixture
def at_step(session, wait):
    """Scrub to a step and let the buttons follow."""

    def scrub(step):
        session.controller.scrub_to(step)
        wait(lambda: not session.window.run_cards.back._due.isActive())

    return scrub


def test_a_branch_by_its_key_is_seen_to_be_one_and_leads_back(session, settled, at_step, wait):
    controller, actions = session.controller, session.window.commands.actions
    at_step(50)
    button, action = named(session, "branchButton"), actions["branch"]
    assert not button.isEnabled() and "clean end" in button.toolTip()
    assert not action.isEnabled() and "clean end" in action.toolTip()
    assert "clean end" in named(session, "branchReason").text()
    at_step(20)
    assert button.isEnabled() and action.isEnabled() and "clean end" not in action.toolTip()
    assert named(session, "branchCombo").isHidden()
    parent, content = controller.run, session.window.right_dock._content
    room = content.minimumSizeHint().width()
    press(session, Qt.Key.Key_B)
    settled()
    controller.choose_guidance(8.0)
    settled()
    assert controller.run.spec.origin.step == 20
    scrubber = named(session, "timestepScrubber")
    assert scrubber.marks() == (20,) and "at step 20" in scrubber.toolTip()
    assert "step 20/50" in named(session, "branchLabel").text()
    assert content.minimumSizeHint().width() == room, "nothing is pushed out of the dock"
    combo = named(session, "branchCombo")
    titles = [combo.itemText(row) for row in range(combo.count())]
    assert len(titles) == 2 and "γ 8" in titles[1] and combo.currentIndex() == 1
    press(session, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert controller.run is parent and scrubber.marks() == ()
    assert combo.currentIndex() == 0 and named(session, "branchLabel").isHidden()
    combo.setCurrentIndex(1)
    assert controller.run.spec.origin.step == 20 and combo.currentIndex() == 1


def test_a_sampler_that_cannot_begin_in_pure_noise_can_branch_from_a_later_step(
    make_session, make_model, wait, tmp_path
):
    zero = schedules.named("linear", zero_snr=True)
    session = make_session(make_model(schedule=zero))
    controller, window = session.controller, session.window
    controller.choose_steps(6)
    controller.request_run()
    wait(lambda: not controller.activity.busy)
    combo = named(session, "samplerCombo")
    heun = combo.model().item(combo.findData("heun"))
    assert not heun.isEnabled() and "cannot begin" in heun.toolTip()
    controller.scrub_to(2)
    assert heun.isEnabled()
    controller.choose_sampler("heun")
    wait(lambda: "cannot begin" in window.run_button.toolTip())
    assert "Only a branch can be run so" in window.sampling_panel.warning.text()
    wait(window.commands.actions["branch"].isEnabled)
    controller.branches.branch()
    wait(lambda: not controller.activity.busy)
    assert controller.run.spec.sampler == "heun" and controller.run.complete
    assert window.sampling_panel.warning.text() == ""
    sessions.save(controller.run, tmp_path / "branch.dvsession", controller.about)
    controller.choose_sampler("ddim")
    said = []
    controller.noticed.connect(said.append)
    window.files.open(tmp_path / "branch.dvsession")
    wait(lambda: window.files.saved is controller.run)
    assert said == [] and controller.choices.sampler == "heun"


def test_completions_are_asked_for_by_number_and_greyed_where_they_would_be_one(
    session, settled, at_step, wait
):
    controller, button = session.controller, named(session, "completeButton")
    at_step(20)
    assert not button.isEnabled() and "adds no noise" in button.toolTip()
    controller.choose_sampler("ddpm")
    wait(button.isEnabled)
    named(session, "completionsSpinBox").setValue(3)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    settled()
    assert controller.run.spec.origin.rows == (0, 0, 0) and controller.run.complete
    assert named(session, "samplesSpinBox").value() == 3


def test_a_stopped_run_offers_to_be_resumed(make_session, network, wait, qtbot):
    made = make_session()
    made.controller.choose_steps(6)
    network.hold()
    made.controller.request_run()
    network.allow(3)
    wait(lambda: made.controller.run is not None and len(made.controller.run) == 3)
    button = named(made, "resumeButton")
    press(made, Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier)
    network.release()
    wait(lambda: not made.controller.activity.busy)
    wait(lambda: not button.isHidden() and button.isEnabled())
    press(made, Qt.Key.Key_R)
    wait(lambda: made.controller.run.complete)
    wait(button.isHidden)


def test_another_state_is_asked_for_in_a_dialog(session, at_step, wait):
    parent = session.controller.run
    at_step(10)
    session.window.commands.do("edit_state")
    dialog = named(session, "stateDialog", QDialog)
    dialog.seed.setValue(77)
    dialog.part.setCurrentIndex(dialog.part.findData("left"))
    ok = dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok)
    QTest.mouseClick(ok, Qt.MouseButton.LeftButton)
    wait(lambda: session.controller.run is not parent and session.controller.run.complete)
    changed = session.controller.run.at(10).x_t != parent.at(10).x_t
    assert changed[..., :4].all() and not changed[..., 4:].any()


def test_a_dropped_picture_is_what_would_be_inverted_and_its_error_is_drawn(
    session, settled, tmp_path, wait
):
    controller, window = session.controller, session.window
    controller.choose_steps(8)
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(tmp_path / "grey.png")
    assert window.run_cards.back.errors.isHidden()
    window.files.open(tmp_path / "grey.png")
    wait(lambda: window.central.name == "forward")
    window.commands.actions["invert"].trigger()
    dialog = named(session, "invertDialog", QDialog)
    assert dialog.picture.currentText() == "grey.png" and dialog.gamma.value() == 1.0
    dialog.refine.setValue(3)
    ok = dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)
    QTest.mouseClick(ok, Qt.MouseButton.LeftButton)
    wait(lambda: not window.run_cards.back.errors.isHidden())
    settled()
    assert window.central.name == "denoising" and controller.run.spec.n_steps == 8
    controller.scrub_to(8)
    end = controller.branches.shown.errors[-1]
    assert f"mean |Δ| {end.mean_abs:.3g}" in named(session, "inversionNumbers").text()
    assert controller.look.guidance_scale is None, "what is shown is what was asked for"
    window.run_cards.back.errors.stepRequested.emit(2)
    assert controller.look.index == 2
    controller.request_run()
    settled()
    wait(window.run_cards.back.errors.isHidden)


def test_every_wish_has_a_command_with_its_own_key():
    from diffview.ui.actions import COMMANDS

    keys = [key for command in COMMANDS for key in command.keys]
    assert len(keys) == len(set(keys))
    wishes = {"resume", "branch", "edit_state", "complete", "invert", "parent"}
    assert wishes <= {command.name for command in COMMANDS if command.keys and command.help}
