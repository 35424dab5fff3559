"""The real window on a fake network: names, keys, mouse, layout, closing, and bad moments."""

import dataclasses
import threading

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QDockWidget,
    QDoubleSpinBox,
    QLineEdit,
    QListWidget,
    QMainWindow,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollBar,
    QSlider,
    QSpinBox,
    QTabBar,
    QToolButton,
    QWidget,
)

from diffview.ui import theme
from diffview.ui.actions import COMMANDS
from diffview.ui.settings import Settings
from diffview.ui.state import Notice

NAMES = {
    "modelList": QListWidget,
    "runButton": QPushButton,
    "stopButton": QPushButton,
    "timestepScrubber": QSlider,
    "guidanceSlider": QSlider,
    "guidanceSpinBox": QDoubleSpinBox,
    "samplerCombo": QComboBox,
    "stepsSpinBox": QSpinBox,
    "seedSpinBox": QSpinBox,
    "samplesSpinBox": QSpinBox,
    "conditionCombo": QComboBox,
    "promptEdit": QPlainTextEdit,
    "xtView": QWidget,
    "x0HatView": QWidget,
    "filmStrip": QWidget,
    "playButton": QToolButton,
    "exportButton": QPushButton,
    "statusProgress": QProgressBar,
}
INTERACTIVE = (QAbstractButton, QAbstractItemView, QAbstractSlider, QAbstractSpinBox, QComboBox)
INTERACTIVE = (*INTERACTIVE, QLineEdit)


def named(session, name):
    return session.window.findChild(QWidget, name)


def index(session):
    return session.controller.look.index


def key(session, key, modifiers=Qt.KeyboardModifier.NoModifier):
    """A real key press and release on whatever has the keyboard."""
    QTest.keyClick(QApplication.focusWidget() or session.window, key, modifiers)


def done(session):
    return not session.controller.activity.busy


def mouse(widget, kind, pos, button=Qt.MouseButton.LeftButton, held=Qt.MouseButton.LeftButton):
    """A mouse event sent straight to the widget: QTest's moves go through the real pointer."""
    where = QPointF(pos)
    event = QMouseEvent(
        kind, where, QPointF(widget.mapToGlobal(where)), button, held, Qt.KeyboardModifier(0)
    )
    QApplication.sendEvent(widget, event)


def click(widget, pos):
    mouse(widget, QEvent.Type.MouseButtonPress, pos)
    mouse(widget, QEvent.Type.MouseButtonRelease, pos, held=Qt.MouseButton.NoButton)


def drag(widget, *places):
    mouse(widget, QEvent.Type.MouseButtonPress, places[0])
    for place in places[1:]:
        mouse(widget, QEvent.Type.MouseMove, place, button=Qt.MouseButton.NoButton)
    mouse(widget, QEvent.Type.MouseButtonRelease, places[-1], held=Qt.MouseButton.NoButton)


def notice(session):
    bar = session.window.notices
    return bar.text.text() if bar.isVisible() else ""


# -- names ----------------------------------------------------------------------------------------


def test_every_promised_name_is_there_once_and_of_its_kind(make_session):
    window = make_session(shown=False).window
    assert window.objectName() == "mainWindow" and isinstance(window, QMainWindow)
    for name, kind in NAMES.items():
        found = window.findChildren(QWidget, name)
        assert len(found) == 1 and isinstance(found[0], kind), name


def own_widgets(window):
    """The interactive widgets a person meets: not the parts Qt makes of them."""
    parts = (QAbstractSpinBox, QComboBox, QAbstractItemView, QTabBar)
    for widget in window.findChildren(QWidget):
        inner = isinstance(widget, QScrollBar) or isinstance(widget.parent(), parts)
        inner = inner or isinstance(widget.parent(), QDockWidget) or "qt_" in widget.objectName()
        inner = inner or widget.window() is not window
        wants = isinstance(widget, INTERACTIVE) or widget.objectName() in ("xtView", "x0HatView")
        if wants and not inner:
            yield widget


def test_every_interactive_widget_says_what_it_is_and_can_be_reached(session):
    widgets = list(own_widgets(session.window))
    assert len(widgets) > 25
    for widget in widgets:
        name = widget.objectName() or type(widget).__name__
        assert widget.accessibleName(), f"{name} has no accessible name"
        assert widget.toolTip(), f"{name} has no tool tip"
        assert widget.focusPolicy() & Qt.FocusPolicy.TabFocus, f"{name} is not in the tab order"


def test_tab_goes_through_the_window_and_comes_back(session):
    seen = set()
    for _ in range(120):
        key(session, Qt.Key.Key_Tab)
        seen.add(QApplication.focusWidget().objectName())
    assert {"modelList", "conditionCombo", "guidanceSlider", "stepsSpinBox", "xtView"} <= seen
    assert {"timestepScrubber", "playButton", "runButton", "exportButton"} <= seen


# -- keys -----------------------------------------------------------------------------------------

FOCUS = ("", "modelList", "conditionCombo", "guidanceSlider", "guidanceSpinBox", "stepsSpinBox",
         "timestepScrubber", "xtView", "playButton", "samplerCombo", "option_eta", "runButton",
         "fpsSpinBox")  # fmt: skip


def focus_on(session, name):
    """Give the keyboard to one widget, as if a person had tabbed to it; "" to none of them."""
    if name:
        named(session, name).setFocus(Qt.FocusReason.TabFocusReason)
    else:
        QApplication.focusWidget().clearFocus()


def test_the_steps_keys_work_wherever_the_focus_is(session):
    choices = session.controller.choices
    none, shift = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
    for name in FOCUS:
        focus_on(session, name)
        for pressed, modifiers, place in (
            (Qt.Key.Key_Home, none, 0),
            (Qt.Key.Key_Right, none, 1),
            (Qt.Key.Key_Right, shift, 11),
            (Qt.Key.Key_Left, none, 10),
            (Qt.Key.Key_Left, shift, 0),
            (Qt.Key.Key_End, none, 50),
        ):
            key(session, pressed, modifiers)
            assert index(session) == place, f"{pressed} on {name}"
        assert session.controller.choices == choices, f"{name} took a key for itself"


def test_the_commands_keys_work_wherever_the_focus_is(session, wait):
    controller, control = session.controller, Qt.KeyboardModifier.ControlModifier
    gamma = controller.choices.guidance_scale
    for name in FOCUS:
        focus_on(session, name)
        for pressed, modifiers, expected in (
            (Qt.Key.Key_BracketRight, Qt.KeyboardModifier.NoModifier, gamma + 0.25),
            (Qt.Key.Key_BracketLeft, Qt.KeyboardModifier.NoModifier, gamma),
            (Qt.Key.Key_BracketLeft, Qt.KeyboardModifier.NoModifier, gamma - 0.25),
            (Qt.Key.Key_Z, control, gamma),
            (Qt.Key.Key_Z, control | Qt.KeyboardModifier.ShiftModifier, gamma - 0.25),
            (Qt.Key.Key_Z, control, gamma),
        ):
            key(session, pressed, modifiers)
            assert controller.choices.guidance_scale == expected, f"{pressed} on {name}"
        wait(lambda: done(session))
        run = controller.run
        key(session, Qt.Key.Key_Return, control)
        wait(lambda run=run: done(session) and controller.run is not run)


def test_space_plays_and_pauses_except_on_a_button_that_was_tabbed_to(session, wait):
    transport = session.window.transport
    for name in FOCUS:
        focus_on(session, name)
        key(session, Qt.Key.Key_Space)
        assert transport.playing == (name != "runButton"), name
        assert session.controller.activity.busy == (name == "runButton")
        transport.pause()
        wait(lambda: done(session))


def test_a_click_on_a_button_does_not_take_the_keyboard(session):
    named(session, "xtView").setFocus()
    for name in ("runButton", "playButton", "exportButton", "openButton", "stopButton"):
        assert not named(session, name).focusPolicy() & Qt.FocusPolicy.ClickFocus, name


def test_while_a_number_is_typed_its_keys_are_its_own(session, wait):
    spin, place = named(session, "stepsSpinBox"), index(session)
    spin.setFocus()
    spin.selectAll()
    QTest.keyClicks(spin, "20")
    assert session.controller.choices.n_steps == 50, "typed, but not entered yet"
    key(session, Qt.Key.Key_Left)
    key(session, Qt.Key.Key_Home)
    assert index(session) == place
    key(session, Qt.Key.Key_Return)
    assert session.controller.choices.n_steps == 20
    key(session, Qt.Key.Key_Home)
    assert index(session) == 0, "entered: the keys go to the steps again"


def test_digits_in_a_field_are_digits(session):
    spin = named(session, "stepsSpinBox")
    spin.setFocus()
    spin.selectAll()
    QTest.keyClicks(spin, "100")
    key(session, Qt.Key.Key_Return)
    assert session.controller.choices.n_steps == 100


@pytest.mark.parametrize("how", ["Ctrl+Return", "the button"])
def test_run_takes_a_number_that_was_typed_but_not_entered(session, wait, how):
    spin = named(session, "stepsSpinBox")
    spin.setFocus()
    spin.selectAll()
    QTest.keyClicks(spin, "20")
    if how == "the button":
        button = named(session, "runButton")
        click(button, QPointF(button.rect().center()))
    else:
        key(session, Qt.Key.Key_Return, Qt.KeyboardModifier.ControlModifier)
    wait(lambda: done(session) and session.controller.run.spec.n_steps == 20)


def test_escape_stops(session, network, wait):
    network.hold()
    session.controller.request_run()
    key(session, Qt.Key.Key_Escape)
    assert "Stopping" in session.window.status.remaining.text()
    network.release()
    wait(lambda: done(session))


def dialog(session):
    """The dialog that is open, if one is."""
    return next((d for d in session.window.findChildren(QDialog) if d.isVisible()), None)


@pytest.mark.parametrize(
    ("pressed", "modifiers", "title"),
    [
        (Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier, "Commands"),
        (Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier, "Preferences"),
        (Qt.Key.Key_E, Qt.KeyboardModifier.ControlModifier, "Export"),
        (Qt.Key.Key_F1, Qt.KeyboardModifier.NoModifier, "diffview help"),
    ],
)
def test_a_dialog_opens_by_its_key_closes_by_escape_and_is_gone(
    session, wait, pressed, modifiers, title
):
    key(session, pressed, modifiers)
    wait(lambda: dialog(session) is not None)
    assert dialog(session).windowTitle() == title
    QTest.keyClick(dialog(session), Qt.Key.Key_Escape)
    wait(lambda: not session.window.findChildren(QDialog))


@pytest.mark.parametrize(
    ("pressed", "asks"), [(Qt.Key.Key_O, "getOpenFileName"), (Qt.Key.Key_S, "getSaveFileName")]
)
def test_open_and_save_ask_for_a_file(session, monkeypatch, pressed, asks):
    asked = []

    def ask(parent, title, *rest):
        asked.append(title)
        return "", ""

    monkeypatch.setattr(f"diffview.ui.files.QFileDialog.{asks}", ask)
    key(session, pressed, Qt.KeyboardModifier.ControlModifier)
    assert len(asked) == 1


def test_full_screen_and_back(session, wait):
    key(session, Qt.Key.Key_F11)
    wait(session.window.isFullScreen)
    key(session, Qt.Key.Key_F11)
    wait(lambda: not session.window.isFullScreen())


def test_every_command_has_its_action_and_no_key_is_taken_twice(session):
    actions = [session.window.commands.actions[command.name] for command in COMMANDS]
    keys = [shortcut.toString() for action in actions for shortcut in action.shortcuts()]
    assert len(keys) == len(set(keys)) > 20


def test_the_palette_shows_a_command_that_cannot_be_done_now_greyed_with_the_reason(session, wait):
    window = session.window
    wait(lambda: not window.commands.actions["parent"].isEnabled())
    window.commands.do("palette")
    palette = dialog(session)
    QTest.keyClicks(palette.edit, "parent run")
    (item,) = (palette.list.item(row) for row in range(palette.list.count()))
    assert not item.flags() & Qt.ItemFlag.ItemIsEnabled
    assert item.text().endswith("not now: this run is no branch: it has left no other")
    QTest.keyClick(palette.edit, Qt.Key.Key_Return)
    assert palette.isVisible() and session.controller.branches.shown.leave is None
    palette.edit.setText("run")
    assert palette.list.currentItem().text().startswith("Run"), "it is called so, others say so"
    palette.edit.clear()
    QTest.keyClick(palette.edit, Qt.Key.Key_Up)  # never onto what is greyed
    for _ in range(palette.list.count()):
        assert palette.list.currentItem().flags() & Qt.ItemFlag.ItemIsEnabled
        QTest.keyClick(palette.edit, Qt.Key.Key_Down)
    palette.reject()


def test_the_palette_finds_and_does_a_command(session, wait):
    key(session, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    wait(lambda: dialog(session) is not None)
    palette = dialog(session)
    QTest.keyClicks(palette.edit, "first")
    QTest.keyClick(palette.edit, Qt.Key.Key_Return)
    assert index(session) == 0
    wait(lambda: dialog(session) is None)


# -- mouse ----------------------------------------------------------------------------------------


def test_the_scrubber_by_mouse(session):
    scrubber = named(session, "timestepScrubber")
    assert scrubber.value() == 50
    click(scrubber, scrubber.handle_centre(10))
    assert index(session) == scrubber.value() == 10
    drag(scrubber, scrubber.handle_centre(10), scrubber.handle_centre(33))
    assert index(session) == 33
    assert "step 33/50" in session.window.transport.place.text()


def test_the_scrubber_shows_where_a_run_has_come_to(session, network, wait):
    network.hold()
    calls = network.calls
    session.controller.request_run()
    network.allow(12)
    wait(lambda: network.calls == calls + 13 and index(session) == 11)
    wait(lambda: named(session, "timestepScrubber").value() == 11)


def test_the_guidance_slider_by_mouse_has_two_effects(session, network, wait):
    slider, view = named(session, "guidanceSlider"), session.window.denoising.right.view
    key(session, Qt.Key.Key_Home)
    network.hold()
    before = view._tiles.values.copy()
    drag(slider, slider.handle_centre(3), slider.handle_centre(4), slider.handle_centre(6))
    assert session.controller.choices.guidance_scale == 6.0
    assert not np.array_equal(view._tiles.values, before), "this step at once"
    assert named(session, "guidanceSpinBox").value() == 6.0
    network.release()
    wait(lambda: done(session) and session.controller.run.spec.guidance.scale == 6.0)
    session.controller.undo()
    assert session.controller.choices.guidance_scale == 3.0, "a drag is one undo"


def test_a_click_on_the_film_strip_goes_there(session):
    strip = session.window.transport.strip
    place = len(strip.steps_on_strip()) // 2
    click(strip, strip.place_rect(place).center())
    assert index(session) == strip.steps_on_strip()[place]


def test_a_click_selects_a_sample_everywhere_and_its_numbers_follow(session):
    session.controller.choose_condition(None)
    left, right = session.window.denoising.left.view, session.window.denoising.right.view
    numbers = session.window.run_cards.step.numbers
    key(session, Qt.Key.Key_Home)
    before = numbers.text("eps")
    click(right, right.tile_rect(5).center())
    assert session.controller.look.sample == 5
    assert left._selection == right._selection == 5
    assert numbers.text("eps") != before, "the noise of the selected sample, not of the one before"


def test_a_double_click_shows_one_sample_alone_and_all_again(session):
    view = session.window.denoising.left.view
    for expected in (3, None):
        sample = 3 if expected else session.controller.look.sample
        mouse(view, QEvent.Type.MouseButtonDblClick, view.tile_rect(sample).center())
        assert session.controller.look.focus == expected


def wheel(widget):
    centre = QPointF(widget.rect().center())
    event = QWheelEvent(
        centre, widget.mapToGlobal(centre), QPoint(), QPoint(0, -120),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


@pytest.mark.parametrize(
    "name", ["conditionCombo", "stepsSpinBox", "samplerCombo", "guidanceSpinBox", "seedSpinBox"]
)
def test_scrolling_over_a_field_does_not_change_it(session, name):
    named(session, "xtView").setFocus()
    before = session.controller.choices
    wheel(named(session, name))
    assert session.controller.choices == before
    named(session, name).setFocus()
    wheel(named(session, name))
    assert (session.controller.choices != before) or name == "seedSpinBox"


def test_stop_is_offered_only_while_there_is_something_to_stop(session, network, wait):
    stop = named(session, "stopButton")
    assert not stop.isEnabled()
    network.hold()
    session.controller.request_run()
    assert stop.isEnabled()
    click(stop, QPointF(stop.rect().center()))
    network.release()
    wait(lambda: done(session))
    assert not stop.isEnabled()


# -- what is chosen is what is shown --------------------------------------------------------------


def test_the_fields_show_what_is_chosen_after_a_change_of_model(
    make_session, make_model, make_source
):
    session = make_session(make_model(id="one"))
    session.controller.choose_condition(3)
    session.controller.add_source(make_source(make_model(id="two")))
    assert named(session, "conditionCombo").currentIndex() == 3
    assert session.controller.choices.condition == 3
    assert named(session, "modelList").currentItem().text().startswith("Two")


def restored(session, **changes):
    choices = dataclasses.replace(session.controller.choices, **changes)
    assert session.controller.restore(choices) == ""
    return choices


def test_large_seeds_and_many_samples_are_shown_truly_and_not_changed(session):
    choices = restored(session, seeds=tuple(range(2**40, 2**40 + 300)))
    assert str(2**40) in named(session, "seedSpinBox").text()
    assert named(session, "samplesSpinBox").value() == 300
    assert session.controller.choices == choices
    session.controller.choose_steps(20)
    assert session.controller.choices.seeds == choices.seeds


def test_fewer_samples_keep_a_large_first_seed(session):
    restored(session, seeds=tuple(range(2**40, 2**40 + 300)))
    named(session, "samplesSpinBox").setValue(3)
    assert session.controller.choices.seeds == (2**40, 2**40 + 1, 2**40 + 2)
    named(session, "seedSpinBox").setValue(8)
    assert session.controller.choices.seeds == (8, 9, 10)
    assert named(session, "seedSpinBox").text() == "8"


def test_seeds_that_are_no_range_stay_until_they_are_edited(session):
    choices = restored(session, seeds=(5, 1, 77))
    assert session.controller.choices == choices
    assert "5" in named(session, "seedSpinBox").text()


def test_a_guidance_beyond_the_slider_is_shown_truly(session):
    restored(session, guidance_scale=250000.0)
    assert named(session, "guidanceSpinBox").value() == 250000.0
    restored(session, guidance_scale=-300.0)
    assert named(session, "guidanceSpinBox").value() == -300.0


@pytest.mark.parametrize("condition", [99, -1, (0, 99), (-5, 1), "a cat", (1,), (3, 3, 2)])
def test_a_condition_from_a_file_that_the_model_does_not_know_is_shown_and_refused(
    session, wait, condition
):
    restored(session, condition=condition)
    session.controller.request_run()
    wait(lambda: done(session))
    known = condition in ((1,), (3, 3, 2))
    assert bool(notice(session)) != known, notice(session)


# -- notices --------------------------------------------------------------------------------------


def test_an_error_has_details_one_click_away(session):
    bar = session.window.notices
    bar.show_notice(Notice("It broke", "error", "Traceback: here"))
    assert not bar.details.isVisible()
    bar.more.click()
    assert bar.details.isVisible() and "here" in bar.details.toPlainText()
    bar.dismiss.click()
    assert not bar.isVisible()


def test_a_second_notice_does_not_hide_an_error_that_was_not_read(session):
    bar = session.window.notices
    bar.show_notice(Notice("It broke", "error", "Traceback: here"))
    bar.show_notice(Notice("Saved run.dvsession"))
    assert "It broke" in bar.text.text() and "Saved" in bar.text.text()


def test_a_network_that_breaks_is_told_and_the_frames_stay(make_session, network, wait):
    session = make_session()
    network.fails_at = 17
    session.controller.request_run()
    wait(lambda: done(session))
    assert "the fake network broke" in notice(session)
    assert index(session) == 16 and named(session, "timestepScrubber").value() == 16
    key(session, Qt.Key.Key_Home)
    assert index(session) == 0


# -- look and layout ------------------------------------------------------------------------------


def test_the_theme_is_switched_and_remembered(session, settings):
    was_dark = theme.current().dark
    key(session, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert theme.current().dark != was_dark
    assert Settings(settings._path).get("theme", "") == ("light" if was_dark else "dark")
    key(session, Qt.Key.Key_T, Qt.KeyboardModifier.ControlModifier)
    assert theme.current().dark == was_dark


def test_docks_are_closed_and_come_back_through_the_view_menu(session):
    menu = next(a.menu() for a in session.window.menuBar().actions() if a.text() == "View")
    for dock in session.window.findChildren(QDockWidget):
        entry = next(action for action in menu.actions() if action.text() == dock.windowTitle())
        dock.close()
        assert not dock.isVisible() and not entry.isChecked()
        entry.trigger()
        assert dock.isVisible() and entry.isChecked()


def test_the_layout_is_remembered(make_session, settings, make_model, wait):
    first = make_session()
    first.window.resize(1100, 720)
    first.window.right_dock.close()
    first.window.transport.fps.setValue(24)
    first.window.transport.next_loop()
    first.controller.choose_steps(33)
    first.window.close()
    second = make_session(settings=Settings(settings._path))
    room = second.window.screen().availableGeometry()
    if room.width() > first.window.width():  # else Qt shrinks what it restores
        assert second.window.size() == first.window.size()
    assert not second.window.right_dock.isVisible()
    assert second.window.left_dock.isVisible()
    assert second.window.transport.fps.value() == 24
    assert second.window.transport.loop_mode == "loop"


def test_a_window_from_a_screen_that_is_gone_is_moved_back(make_session, settings):
    first = make_session()
    first.window.move(150, 120)
    first.window.close()
    geometry = settings.get("geometry", "")
    first.window.move(9000, 7000)
    settings.save(geometry=first.window.saveGeometry().toBase64().toStdString())
    assert settings.get("geometry", "") != geometry
    second = make_session(settings=Settings(settings._path))
    screens = [screen.availableGeometry() for screen in QApplication.screens()]
    assert any(screen.contains(second.window.geometry().center()) for screen in screens)


@pytest.mark.parametrize(
    "values",
    [
        {"geometry": "é", "layout": "!!", "fps": 10**15, "loop": -7, "theme": "purple"},
        {"geometry": "AAAA", "layout": "AAAA", "fps": -3, "loop": 10**30, "budget_mb": -5},
        {"geometry": 5, "layout": None, "fps": "x", "loop": [], "theme": {}, "budget_mb": 10**40},
        {"choices": {"version": 99}, "budget_mb": 0, "autorun": "no"},
        {"choices": {"version": 1, "model_id": "fake", "seeds": ["x"]}},
        {"choices": {"version": 1}},
    ],
)
def test_strange_settings_do_not_keep_the_window_from_opening(
    make_session, settings, wait, values
):
    settings.save(**values)
    session = make_session()
    session.controller.request_run()
    wait(lambda: done(session))
    assert session.controller.run is not None and session.controller.run.complete


# -- playing --------------------------------------------------------------------------------------


def test_play_goes_through_the_steps_and_stops_at_the_end(session, wait):
    transport = session.window.transport
    transport.fps.setValue(60)
    session.controller.scrub_to(44)
    key(session, Qt.Key.Key_Space)
    wait(lambda: not transport.playing)
    assert index(session) == 50


def test_ping_pong_on_a_run_of_two_records(make_session, wait):
    session = make_session()
    session.controller.choose_steps(1)
    session.controller.request_run()
    wait(lambda: done(session))
    transport, seen = session.window.transport, set()
    transport.show_loop(2)
    transport.stepRequested.connect(seen.add)
    transport.fps.setValue(60)
    transport.toggle_play()
    wait(lambda: seen >= {0, 1})
    transport.pause()


# -- closing --------------------------------------------------------------------------------------


def test_closing_while_sampling_joins(session, network):
    network.hold()
    session.controller.request_run()
    threading.Timer(0.2, network.release).start()
    session.window.close()
    assert not session.sampling._thread.isRunning()
    assert not session.filing._thread.isRunning()
    assert not session.window.isVisible()


def test_the_window_goes_at_once_even_when_a_step_takes_long(session, network):
    network.hold()
    session.controller.request_run()
    seen = []

    def look():
        seen.append(session.window.isVisible())
        network.release()

    threading.Timer(0.2, look).start()
    session.window.close()
    assert seen == [False]


def test_closing_while_a_model_is_being_loaded_joins(make_session, make_model, make_source):
    reached, gate = threading.Event(), threading.Event()
    model = make_model()

    def load(device):
        reached.set()
        gate.wait(20)
        return model

    session = make_session(model)
    source = make_source(model)
    source._open_on = load
    session.controller.shelf.sources["fake"] = source
    session.controller.request_run()
    assert reached.wait(20)
    threading.Timer(0.2, gate.set).start()
    session.window.close()
    assert not session.sampling._thread.isRunning()


def test_closing_while_exporting_joins_and_leaves_nothing(session, tmp_path, wait, monkeypatch):
    from diffview.exporters import job

    gate = threading.Event()
    real = job._write

    def slowly(*args):
        for written in real(*args):
            gate.wait(20)
            yield written

    monkeypatch.setattr(job, "_write", slowly)
    session.window.files.ask_export()
    export = dialog(session)
    export.folder.setText(str(tmp_path / "out"))
    export.start.click()
    wait(lambda: (tmp_path / "out.partial").exists())
    threading.Timer(0.2, gate.set).start()
    session.window.close()  # asks: an export is under way
    session.window.close()  # asked a second time, it is a yes
    assert not session.filing._thread.isRunning()
    assert list(tmp_path.glob("out*")) == []


def test_close_twice_is_close_once(session):
    session.window.close()
    session.close()
    session.close()
    session.controller.request_run()
    assert not session.controller.activity.busy
