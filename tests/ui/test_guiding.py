"""Guidance and sampling panels in the real window: kinds, guides, curve, reasons, undo."""

import dataclasses

import numpy as np
import pytest
import torch
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QComboBox, QDoubleSpinBox, QSpinBox, QWidget

from diffview.engine import samplers, session
from diffview.engine.spec import declared_options
from diffview.models import guides
from diffview.ui import theme
from diffview.ui.guide_source import GuideSource
from diffview.ui.panels import guidance_panel

CLASSES = ("0", "1", "2", "3")


def brighter(x, t):
    """A classifier: label 0 the brighter, 1 the darker."""
    mean = x.mean(dim=(1, 2, 3))
    return torch.stack([mean, -mean, 0 * mean, 0 * mean], 1)


@pytest.fixture
def judge(make_model):
    card = dataclasses.replace(
        guides.card_of(brighter, make_model().card), id="judge", title="Judge", classes=CLASSES
    )
    return GuideSource(card, lambda model: guides.as_classifier(brighter))


def named(session, name):
    return session.window.findChild(QWidget, name)


def choose(combo, data):
    combo.setCurrentIndex(combo.findData(data))


@pytest.fixture
def settled(session, wait):
    def until():
        wait(lambda: not session.controller.activity.busy)

    return until


def test_a_guided_run_is_restored_while_a_model_of_another_shape_is_chosen(
    session, judge, settled, make_model, make_source
):
    c = session.controller
    c.add_guide(judge)
    settled()
    guided = c.choices
    c.add_source(make_source(make_model(id="large", shape=(3, 16, 16))))
    settled()
    assert c.card.id == "large" and c.choices.guide != "judge"
    assert c.restore(guided) == ""
    assert c.choices == guided
    settled()


def test_a_run_by_classifier_and_its_slider_at_a_recorded_step(session, judge, settled):
    session.controller.choose_spacing("leading")
    session.controller.add_guide(judge)
    settled()
    run = session.controller.run
    assert run.spec.guidance.kind == "classifier" and run.spec.guidance.guide == "judge"
    assert named(session, "guidanceKindCombo").currentData() == "classifier"
    assert named(session, "guideCombo").currentText() == "Judge"
    # this step, now: base + γ direction at the recorded x_t, whatever the kind
    session.controller.scrub_to(3)
    named(session, "guidanceSpinBox").setValue(7.5)
    record = run[3]
    shown = session.controller.frame.tiles[1].values
    want = record.base + 7.5 * record.direction
    old = slice(4, None)  # the first four may be of the new run already
    np.testing.assert_allclose(np.asarray(shown).reshape(want.shape)[old], want[old], atol=1e-6)
    settled()


def test_a_model_without_classes_is_steered_to_those_of_its_classifier(
    make_session, make_model, judge, wait
):
    made = make_session(make_model(classes=0, null=None))
    controller, asked = made.controller, made.window.condition_panel.combo
    controller.choose_spacing("leading")
    assert not asked.isEnabled() and controller.choices.condition is None
    controller.add_guide(judge)
    wait(lambda: not controller.activity.busy)
    assert [asked.itemText(row) for row in range(4)] == list(CLASSES) and asked.isEnabled()
    assert controller.choices.condition == 0 and asked.currentText() == "0"
    first = controller.run[3]
    np.testing.assert_allclose(first.base, 0.5 * np.tanh(first.x_t), atol=1e-6)
    assert (first.direction > 0).all()  # label 0 is the brighter, and 1 the darker
    asked.setCurrentIndex(1)
    wait(lambda: not controller.activity.busy)
    assert controller.run.spec.condition == 1 and (controller.run[3].direction < 0).all()
    row = named(made, "guidanceKindCombo").findData("classifier")
    assert named(made, "guidanceKindCombo").model().item(row).isEnabled()
    controller.choose_guidance_kind("none")  # and the model is asked for nothing again
    wait(lambda: not controller.activity.busy)
    assert controller.choices.condition is None and not asked.isEnabled()
    controller.undo()
    assert controller.choices.condition == 1 and asked.currentText() == "1"


def test_the_kept_runs_of_a_model_without_classes_are_called_by_the_classifier_s(
    make_session, make_model, judge, wait
):
    made = make_session(make_model(classes=0, null=None))
    controller = made.controller
    named_card = dataclasses.replace(judge.card, classes=("bright", "dark", "grey", "clear"))
    controller.choose_spacing("leading")
    controller.add_guide(GuideSource(named_card, lambda model: guides.as_classifier(brighter)))
    wait(lambda: not controller.activity.busy)
    controller.scrub_to(20)
    controller.branches.branch()
    wait(lambda: not controller.activity.busy)
    controller.choose_condition(1)
    wait(lambda: not controller.activity.busy)
    kept = named(made, "branchCombo")
    first, branch = (kept.itemText(row) for row in range(kept.count()))
    assert "bright" in first and "dark" in branch


def test_autoguidance_by_another_model_that_is_here(session, make_model, make_source, settled):
    weak = make_model(lambda x, t, label: 0.25 * x.tanh(), id="weak")
    controller = session.controller
    controller.add_source(make_source(weak))
    controller.choose_model("fake")
    settled()
    choose(named(session, "guidanceKindCombo"), "autoguidance")
    settled()
    run = controller.run
    assert (run.spec.guidance.kind, run.spec.guidance.guide) == ("autoguidance", "weak")
    np.testing.assert_allclose(run[0].base, 0.25 * np.tanh(run[0].x_t), atol=1e-6)


def test_a_saved_run_opens_with_its_guidance_and_without_its_guide_says_what_is_missing(
    session, judge, settled, make_session, tmp_path, wait
):
    controller = session.controller
    controller.choose_spacing("leading")
    controller.add_guide(judge)
    controller.choose_curve(((-2.0, 0.0), (1.0, 1.0)))
    controller.choose_option("interval", "0.1, 20")
    controller.request_run()
    settled()
    path = tmp_path / "run.dvsession"
    session.window.files.save(controller.run, path)
    wait(path.exists)
    saved, about = session_of(path)
    assert about["guide"]["id"] == "judge"
    controller.choose_guidance_kind("cfg")
    assert controller.restore(state_of(saved), about) == ""
    assert controller.choices.spec(controller.card) == saved.spec
    other = make_session()
    problem = other.controller.restore(state_of(saved), about)
    assert "the guide 'judge' is not here: open its file first" in problem


def session_of(path):
    return session.load(path)


def state_of(run):
    from diffview.ui import state

    return state.from_spec(run.spec)


def test_the_curve_is_one_step_of_undo_and_comes_back(session, settled):
    controller = session.controller
    for factor in (0.9, 0.7, 0.5):
        session.window.guidance_panel.curveRequested.emit(((0.0, factor),))
    session.window.guidance_panel.guidanceSettled.emit()
    settled()
    assert controller.run.spec.guidance.curve == ((0.0, 0.5),)
    controller.undo()
    assert controller.choices.curve == ()
    controller.redo()
    assert controller.choices.curve == ((0.0, 0.5),)
    settled()


def test_points_of_the_curve_can_be_typed_and_nonsense_is_told(session, settled):
    panel = session.window.guidance_panel
    panel.points.setText("1:0.5, -3:2")
    panel.points.editingFinished.emit()
    assert session.controller.choices.curve == ((-3.0, 2.0), (1.0, 0.5))
    panel.points.setText("-3")
    panel.points.editingFinished.emit()
    assert "is no knot" in panel.trouble.text() and not panel.trouble.isHidden()
    assert session.controller.choices.curve == ((-3.0, 2.0), (1.0, 0.5))
    settled()


def test_the_interval_has_two_ends_that_never_cross(session):
    low, high = named(session, "intervalLowSpinBox"), named(session, "intervalHighSpinBox")
    assert (low.text(), high.text()) == ("0", "∞")
    high.setValue(1.61)
    low.setValue(0.19)
    assert session.controller.choices.spec(session.controller.card).option("interval")
    numbers = [float(n) for n in str(session.controller.choices.option("interval")).split(",")]
    assert numbers == [0.19, 1.61]
    low.setValue(5.0)
    assert low.value() < high.value()
    low.setValue(0.0)
    high.setValue(1e6)
    assert session.controller.choices.option("interval") == ""


def test_w_stands_beside_gamma(session, settled):
    named(session, "guidanceSpinBox").setValue(2.5)
    assert "w = γ − 1 = 1.5" in session.window.guidance_panel.this_step.text()
    settled()


@pytest.mark.parametrize("name", sorted(samplers.every()))
def test_every_declared_option_has_a_knob_with_its_help_and_source(session, name):
    session.controller.choose_sampler(name)
    for option in declared_options(name).values():
        found = session.window.findChildren(QWidget, f"option_{option.name}")
        assert len(found) == 1, option.name
        assert option.help in found[0].toolTip() and option.source in found[0].toolTip()
        if isinstance(found[0], QDoubleSpinBox | QSpinBox):
            assert (found[0].minimum(), found[0].maximum()) == (option.low, option.high)
        elif isinstance(found[0], QComboBox):
            assert found[0].count() == len(option.choices)


def test_what_is_idle_is_greyed_out_and_says_why_in_sight_and_on_hover(session):
    knob = session.window.sampling_panel._knobs["rho"]
    assert not knob.field.isEnabled()
    assert "only spacing 'karras'" in knob.field.toolTip()
    assert "only spacing 'karras'" in knob.reason.text() and not knob.reason.isHidden()
    session.controller.choose_spacing("karras")
    assert knob.field.isEnabled() and knob.reason.isHidden()


def test_a_choice_that_cannot_be_made_is_greyed_out_with_its_reason(session):
    combo = named(session, "guidanceKindCombo")
    row = combo.findData("classifier")
    assert not combo.model().item(row).isEnabled()
    assert "no classifier is here" in combo.itemText(row)
    assert "no classifier is here" in combo.itemData(row, Qt.ItemDataRole.ToolTipRole)


def test_folded_knobs_show_when_asked_for_and_what_is_set_there_is_counted(session):
    panel = session.window.sampling_panel
    assert not named(session, "option_clip").isVisible()
    session.controller.choose_option("clip", "clamp")
    assert panel.fold.button.text() == "More · 1"
    panel.fold.button.click()
    assert named(session, "option_clip").isVisible()
    assert {"interval", "rescale", "rescale_space"} == {o.name for o in guidance_panel.OPTIONS}


def test_the_panel_fits_the_smallest_window_without_scrolling(session, wait, qapp):
    theme.apply(qapp, theme.DARK)  # its letters are larger than those of an undressed window
    session.window.resize(1280, 800)
    bar = session.window.left_dock._area.verticalScrollBar()
    wait(lambda: bar.maximum() == 0)
    # of a trained network there is more to say than of the fake one, and others are there
    named_network = dataclasses.replace(
        session.controller.card, prediction="v", classes=CLASSES * 3, parameters=3_000_000
    )
    others = [dataclasses.replace(named_network, id=f"other {k}") for k in range(4)]
    session.window.model_panel.show_models([named_network, *others])
    session.window.model_panel.show_model(named_network)
    about = session.window.model_panel.about
    wait(lambda: about.height() >= about.heightForWidth(about.width()))  # nothing is cut off
    assert about.height() < 3 * about.fontMetrics().lineSpacing() and bar.maximum() == 0


def type_into(field, text):
    from PySide6.QtTest import QTest

    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, text)
    QTest.keyClick(field, Qt.Key.Key_Return)


def test_more_steps_than_the_schedule_has_become_the_most_and_it_says_so(session):
    field = named(session, "stepsSpinBox")
    type_into(field, "1001")  # once a 100: the field swallowed the last digit
    assert field.value() == 1000 and session.controller.choices.n_steps == 1000
    said = session.window.sampling_panel.warning
    assert "1000 times" in said.text() and not said.isHidden()
    type_into(field, "7")
    assert session.controller.choices.n_steps == 7 and said.isHidden()


def turn_the_wheel(widget, notches):
    centre = QPointF(widget.rect().center())
    for _ in range(abs(notches)):
        up = QPoint(0, 120 if notches > 0 else -120)
        event = QWheelEvent(
            centre, widget.mapToGlobal(centre), QPoint(), up, Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(widget, event)


def test_turns_of_the_wheel_on_gamma_are_one_step_of_undo(session, settled):
    slider = named(session, "guidanceSlider")
    before = session.controller.choices.guidance_scale
    turn_the_wheel(slider, 5)
    assert session.controller.choices.guidance_scale == pytest.approx(before + 0.5)
    session.controller.undo()
    assert session.controller.choices.guidance_scale == before
    settled()


def test_heun_in_few_steps_on_cosine_is_warned_of_in_the_panel(make_session, make_model):
    made = make_session(make_model(schedule="cosine"))
    made.controller.choose_sampler("heun")
    made.controller.choose_steps(10)
    warning = made.window.sampling_panel.warning
    assert "diverges in 10 steps" in warning.text() and not warning.isHidden()
    made.controller.choose_spacing("leading")
    assert warning.isHidden()
