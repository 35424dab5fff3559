"""The scrubber behaves like a video player's bar and never says what it was only shown."""

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication, QSlider

from diffview.ui import theme
from diffview.ui.widgets.scrubber import TimestepScrubber


@pytest.fixture
def scrubber(qtbot, qapp):
    theme.apply(qapp, theme.DARK)
    made = TimestepScrubber()
    qtbot.addWidget(made)
    made.resize(420, 26)
    made.show_progress(51, 51)
    made.show()
    qtbot.waitExposed(made)
    return made


def move_mouse(widget, pos, held=Qt.MouseButton.LeftButton):
    """A move event sent straight to the widget: QTest's goes through the real pointer."""
    event = QMouseEvent(
        QEvent.Type.MouseMove, QPointF(pos), QPointF(widget.mapToGlobal(pos)),
        Qt.MouseButton.NoButton, held, Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


def at(scrubber, index):
    return scrubber.handle_centre(index).toPoint()


def told(scrubber):
    said = []
    scrubber.valueChanged.connect(said.append)
    scrubber.scrubStarted.connect(lambda: said.append("start"))
    scrubber.scrubEnded.connect(lambda: said.append("end"))
    return said


def wheel(scrubber, notches):
    pos = QPointF(scrubber.rect().center())
    scrubber.wheelEvent(
        QWheelEvent(
            pos,
            pos,
            QPoint(),
            QPoint(0, 120 * notches),
            Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase,
            False,
        )
    )


def test_it_is_a_slider_and_set_value_speaks(scrubber, qtbot):
    assert isinstance(scrubber, QSlider)
    with qtbot.waitSignal(scrubber.valueChanged) as caught:
        scrubber.setValue(17)
    assert caught.args == [17]


def test_click_jumps_there(scrubber, qtbot):
    said = told(scrubber)
    qtbot.mouseClick(scrubber, Qt.MouseButton.LeftButton, pos=at(scrubber, 31))
    assert said == ["start", 31, "end"]


def test_drag_goes_on_from_where_it_was_pressed(scrubber, qtbot):
    said = told(scrubber)
    qtbot.mousePress(scrubber, Qt.MouseButton.LeftButton, pos=at(scrubber, 10))
    for index in range(11, 21):
        move_mouse(scrubber, at(scrubber, index))
    assert scrubber.isSliderDown()
    qtbot.mouseRelease(scrubber, Qt.MouseButton.LeftButton, pos=at(scrubber, 20))
    assert said == ["start", *range(10, 21), "end"]
    assert not scrubber.isSliderDown()


def test_drag_beyond_the_ends_stays_at_the_ends(scrubber, qtbot):
    qtbot.mousePress(scrubber, Qt.MouseButton.LeftButton, pos=at(scrubber, 25))
    move_mouse(scrubber, QPoint(5000, 10))
    assert scrubber.value() == 50
    move_mouse(scrubber, QPoint(-5000, 10))
    assert scrubber.value() == 0
    qtbot.mouseRelease(scrubber, Qt.MouseButton.LeftButton)


def test_what_is_not_computed_cannot_be_reached(scrubber, qtbot):
    scrubber.show_progress(12, 51)
    scrubber.setValue(40)
    assert scrubber.value() == 11
    qtbot.mouseClick(scrubber, Qt.MouseButton.LeftButton, pos=at(scrubber, 45))
    assert scrubber.value() == 11
    scrubber.show_progress(30, 51)
    qtbot.mouseClick(scrubber, Qt.MouseButton.LeftButton, pos=at(scrubber, 29))
    assert scrubber.value() == 29


def test_wheel_steps_by_one(scrubber):
    scrubber.show_value(20)
    wheel(scrubber, 1)
    assert scrubber.value() == 21
    wheel(scrubber, -1)
    wheel(scrubber, -1)
    assert scrubber.value() == 19


def test_keys_are_left_to_the_window(scrubber, qtbot):
    scrubber.show_value(20)
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_PageUp):
        qtbot.keyClick(scrubber, key)
    assert scrubber.value() == 20


def test_being_told_says_nothing(scrubber):
    said = told(scrubber)
    scrubber.show_value(30)
    scrubber.show_progress(5, 51)
    scrubber.show_progress(0, 0)
    scrubber.show_progress(51, 51)
    scrubber.show_value(50)
    scrubber.grab()
    assert said == []
    assert scrubber.value() == 50


@pytest.mark.parametrize("progress", [(0, 0), (0, 51), (1, 1), (1, 51), (51, 51)])
def test_every_state_can_be_drawn(scrubber, progress):
    scrubber.show_progress(*progress)
    scrubber.grab()
    scrubber.setEnabled(False)
    scrubber.grab()


def test_thousands_of_values_do_not_hurt(scrubber):
    heard = []
    scrubber.valueChanged.connect(heard.append)
    for k in range(5000):
        scrubber.setValue(1 + k % 50)
    assert len(heard) == 5000
