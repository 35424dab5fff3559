"""Every knob in the real window: usable where it makes sense, else greyed out with the reason."""

import dataclasses

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QObject
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QWidget

from diffview.engine import samplers, spacings
from diffview.engine.schedules import CONTINUOUS_STEPS

FLOW = {"schedule": "flow"}


def knob(session, name):
    return session.window.findChild(QWidget, f"option_{name}")


def reason(session, name):
    """Why a knob is greyed out, in sight and on hover; "" where it is usable."""
    panels = (session.window.sampling_panel._knobs, session.window.guidance_panel.knobs)
    one = next(knobs[name] for knobs in panels if name in knobs)
    assert one.field is knob(session, name)
    shown = one.reason.text() if not one.reason.isHidden() else ""
    assert (shown == "") == one.field.isEnabled() and shown in one.field.toolTip()
    return shown.removeprefix("Not used: ")


@pytest.fixture
def chosen(make_session, make_model):
    """A window with these choices made, which has not run anything."""

    def make(sampler="ddim", spacing="trailing", options=(), kind="cfg", **model):
        session = make_session(make_model(**model), shown=False)
        controller = session.controller
        controller.request_run = lambda *_, **__: None  # only the panels are looked at
        controller.choose_sampler(sampler)
        controller.choose_spacing(spacing)
        for name, value in options:
            controller.choose_option(name, value)
        controller.choose_guidance_kind(kind)
        return session

    return make


def test_options_of_spacings_and_clipping_are_usable_where_they_do_something(chosen):
    session = chosen()
    choose, spaced = session.controller.choose_option, session.controller.choose_spacing
    why = {
        name: reason(session, name)
        for name in (
            "rho",
            "steps_offset",
            "times",
            "shift",
            "threshold",
            "rederive_eps",
            "rescale_space",
        )
    }
    assert "karras" in why["rho"] and "leading" in why["steps_offset"]
    assert "list" in why["times"] and "flow" in why["shift"]
    assert "quantile" in why["threshold"] and "nothing is clipped" in why["rederive_eps"]
    assert "rescale is 0" in why["rescale_space"]
    for spacing, name in (("karras", "rho"), ("leading", "steps_offset"), ("list", "times")):
        spaced(spacing)
        assert reason(session, name) == "", name
    assert not session.window.sampling_panel.steps.isEnabled()
    assert "as many steps as times" in session.window.sampling_panel.steps.toolTip()
    choose("clip", "clamp")
    assert reason(session, "rederive_eps") == "" and "quantile" in reason(session, "threshold")
    choose("clip", "threshold")
    assert reason(session, "threshold") == ""
    choose("rescale", 0.7)
    assert reason(session, "rescale_space") == ""
    session.controller.choose_guidance_kind("none")
    for name in ("interval", "rescale"):
        assert "guidance" in reason(session, name)


def test_typed_times_are_as_many_steps_and_nonsense_is_told(chosen):
    session = chosen(spacing="list")
    field, controller = knob(session, "times"), session.controller
    field.setText("900, 500, 20")
    field.editingFinished.emit()
    assert controller.choices.n_steps == 3 and controller.spec.n_steps == 3
    assert session.window.sampling_panel.steps.value() == 3
    field.setText("20, 500")
    field.editingFinished.emit()
    warning = session.window.sampling_panel.warning
    assert "Cannot be run" in warning.text() and not warning.isHidden()


def test_a_flow_is_shifted_and_goes_by_its_own_samplers(chosen):
    session = chosen(sampler="flow_euler", **FLOW)
    assert reason(session, "shift") == ""
    session.controller.choose_spacing("karras")
    assert "does not go by time" in reason(session, "shift")
    assert "not counted" in reason(session, "steps_offset") or "leading" in reason(
        session, "steps_offset"
    )


def test_what_is_exact_goes_by_any_schedule_and_a_network_by_its_own(make_session, make_model):
    model = make_model()
    session = make_session(model, shown=False)
    assert "a network knows only the schedule" in reason(session, "schedule")
    model.card = dataclasses.replace(model.card, id="exact", family="pictures")
    session = make_session(model, shown=False)
    controller, panel = session.controller, session.window.sampling_panel
    controller.request_run = lambda *_, **__: None
    assert reason(session, "schedule") == ""
    choice = knob(session, "schedule")
    shown = [choice.itemText(row) for row in range(choice.count())]
    assert shown[:3] == ["Own", "Linear", "Scaled linear"] and shown[-2:] == ["Flow", "EDM"]
    choice.setCurrentIndex(choice.findText("EDM"))
    assert controller.spec.option("schedule") == "edm" and panel.steps.most == CONTINUOUS_STEPS
    # Karras et al. 2022: sigma from 80 to 0.002.
    assert session.window.guidance_panel.curve._span == pytest.approx((-np.log(80), np.log(500)))
    panel.steps.setValue(2000)
    assert controller.spec.n_steps == 2000 and panel.warning.isHidden()
    controller.choose_option("schedule", "linear")
    assert "2000 steps cannot be taken" in panel.warning.text()
    controller.undo()
    assert controller.spec.option("schedule") == "edm" and panel.warning.isHidden()


def test_noise_is_an_option_of_samplers_that_add_some(chosen):
    session = chosen(sampler="ddim")
    assert "adds no noise" in reason(session, "noise_path")
    session.controller.choose_option("eta", 0.5)
    assert reason(session, "noise_path") == ""
    session.controller.choose_sampler("euler")
    for name in ("s_tmin", "s_tmax", "s_noise"):
        assert reason(session, name) == "churn is 0"
    session.controller.choose_option("churn", 5.0)
    assert reason(session, "s_tmin") == "" == reason(session, "noise_path")


def test_choices_that_this_model_cannot_have_are_greyed_out_in_their_lists(chosen):
    session = chosen(sampler="ddpm")
    variance = knob(session, "variance")
    row = variance.property("choices").index("learned")
    assert not variance.model().item(row).isEnabled()
    assert "learned no variance" in variance.itemText(row)
    panel = session.window.sampling_panel
    names = [panel.sampler.itemData(row) for row in range(panel.sampler.count())]
    assert names == list(samplers.every())
    shown = {panel.spacing.itemData(row) for row in range(panel.spacing.count())}
    assert shown == set(spacings.SPACINGS)


@pytest.mark.parametrize(
    ("sampler", "model", "stage", "evaluated"),
    [
        ("heun", {}, "second stage", True),
        ("flow_heun", FLOW, "second stage", True),
        ("unipc", {}, "corrector", False),
    ],
)
def test_what_a_step_evaluates_beside_itself_is_seen_in_the_panes(
    make_session, make_model, wait, sampler, model, stage, evaluated
):
    session = make_session(make_model(**model), shown=False)
    controller = session.controller
    controller.choose_sampler(sampler)
    controller.choose_spacing("leading")
    controller.choose_steps(5)
    controller.request_run()
    wait(lambda: not controller.activity.busy and controller.run is not None)
    controller.scrub_to(2)
    stages, point = session.window.findChild(QWidget, "stageCombo"), controller.run[2].stages[0]
    assert not stages.isHidden() and stage in stages.itemText(1).lower()
    plain = [np.asarray(tiles.values) for tiles in controller.frame.tiles]
    stages.setCurrentIndex(1)
    x_t, x0_hat = (np.asarray(tiles.values)[..., 0] for tiles in controller.frame.tiles)
    np.testing.assert_array_equal(x_t, point.x_t[:, 0])
    assert not np.array_equal(x_t, plain[0][..., 0])
    if evaluated:
        np.testing.assert_array_equal(x0_hat, point.x0_hat[:, 0])
        assert "Evaluation 2" in stages.itemText(1)
    else:
        np.testing.assert_array_equal(x0_hat, plain[1][..., 0])
        assert "not evaluated" in stages.itemText(1)
    assert stage in session.window.transport.place.text()
    controller.scrub_to(5)
    assert stages.isHidden()


@pytest.mark.parametrize("text", ["800, 4oo, 100", "abc", "900;500"])
def test_times_that_are_no_numbers_stay_in_the_field_are_told_and_are_not_run(
    make_session, heard, text
):
    session = make_session(shown=False)
    controller, field = session.controller, knob(session, "times")
    controller.choose_spacing("list")
    said = heard(controller.noticed)
    field = knob(session, "times")
    field.setText(text)
    field.editingFinished.emit()
    trouble = session.window.sampling_panel._knobs["times"].trouble
    assert "is not a number" in trouble.text() and not trouble.isHidden()
    controller.request_run()
    assert not controller.activity.busy and "is not a number" in said[-1].text
    assert field.text() == text
    field.setText("800, 400")
    field.editingFinished.emit()
    assert trouble.isHidden() and controller.obstacle == ""


def test_points_of_a_curve_that_cannot_be_read_stay_are_told_and_nothing_else_is_run(
    make_session, heard
):
    session = make_session(shown=False)
    controller, panel = session.controller, session.window.guidance_panel
    said = heard(controller.noticed)
    panel.points.setText("0:a")
    panel.points.editingFinished.emit()
    assert "'0:a' is no knot" in panel.trouble.text() and not panel.trouble.isHidden()
    controller.choose_condition(2)
    controller.request_run()
    assert not controller.activity.busy and "'0:a' is no knot" in said[-1].text
    assert panel.points.text() == "0:a" and "'0:a'" in controller.obstacle
    controller.choose_guidance_kind("none")  # where there is no curve nothing is misread
    assert controller.obstacle == "" and panel.trouble.isHidden()
    controller.stop()


def test_while_gamma_is_dragged_nobody_is_told_to_press_run(session, network, wait):
    window, controller = session.window, session.controller
    shown = []

    class Watch(QObject):
        def eventFilter(self, watched, event):
            if event.type() == QEvent.Type.Show:
                shown.append(watched.text())
            return False

    watch = Watch()
    window.hint.installEventFilter(watch)
    network.hold()
    for scale in (3.5, 4.0, 4.5, 5.0):  # the run is still at its start when the next comes
        controller.choose_guidance(scale)
        assert window.hint.isHidden()
        QTest.qWait(5)
        assert window.hint.isHidden()
    network.release()
    wait(lambda: not controller.activity.busy)
    assert shown == []
    controller.choose_steps(7)
    wait(window.hint.isVisible)
    assert shown == ["Settings changed: press Run"]
    controller.request_run()
    wait(window.hint.isHidden)
    window.hint.removeEventFilter(watch)


def test_what_cannot_be_run_is_not_offered_and_the_hint_says_why(make_session):
    session = make_session(shown=False)
    window, controller = session.window, session.controller
    controller.request_run = lambda *_, **__: None
    assert window.run_button.isEnabled()
    controller.choose_spacing("list")
    controller.choose_option("times", "20, 500")
    assert not window.run_button.isEnabled()
    assert "fall" in window.hint.text() and not window.hint.isHidden()
    assert window.hint.text() == window.run_button.toolTip()
    assert (
        window.hint.text().startswith("Cannot be run: ") and "press Run" not in window.hint.text()
    )
    controller.choose_option("times", "500, 20")
    assert window.run_button.isEnabled() and "Cannot" not in window.run_button.toolTip()


def test_run_takes_text_that_was_typed_but_not_entered(make_session, qtbot, monkeypatch):
    session = make_session()
    window, controller = session.window, session.controller
    monkeypatch.setattr(controller, "request_run", lambda *_, **__: None)
    controller.choose_spacing("list")
    controller.choose_option("times", "900")
    window.sampling_panel.fold.button.setChecked(True)
    field = knob(session, "times")
    field.setFocus()
    field.selectAll()
    qtbot.keyClicks(field, "800, 400")
    window.commands.do("run")
    assert controller.spec.option("times") == "800, 400"
