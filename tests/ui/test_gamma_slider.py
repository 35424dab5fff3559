"""The guidance slider: hundredths of γ, a jump to where it is clicked, silence when told."""

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QSlider

from diffview.ui import theme
from diffview.ui.widgets.gamma_slider import GammaSlider


@pytest.fixture
def slider(qtbot, qapp):
    theme.apply(qapp, theme.LIGHT)
    made = GammaSlider()
    qtbot.addWidget(made)
    made.resize(220, made.sizeHint().height())
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


def test_value_is_a_hundred_times_gamma(slider, qtbot):
    assert isinstance(slider, QSlider)
    with qtbot.waitSignal(slider.gammaChanged) as caught:
        slider.setValue(325)
    assert caught.args == [3.25]
    assert slider.gamma() == 3.25


def test_click_jumps_and_drag_follows_in_tenths(slider, qtbot):
    heard = []
    slider.gammaChanged.connect(heard.append)
    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=slider.handle_centre(7.0).toPoint())
    assert heard[-1] == pytest.approx(7.0, abs=0.1)
    move_mouse(slider, slider.handle_centre(2.0).toPoint())
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton)
    assert heard[-1] == pytest.approx(2.0, abs=0.1)
    assert all(round(gamma * 10) == pytest.approx(gamma * 10) for gamma in heard)


def test_ends_can_be_reached(slider, qtbot):
    qtbot.mousePress(slider, Qt.MouseButton.LeftButton, pos=slider.rect().center())
    move_mouse(slider, slider.rect().topRight())
    assert slider.gamma() == 10.0
    move_mouse(slider, QPoint(1, 1))  # a null point would mean the centre
    assert slider.gamma() == 0.0
    qtbot.mouseRelease(slider, Qt.MouseButton.LeftButton)


def test_being_told_says_nothing_and_stays_within_the_ends(slider):
    heard = []
    slider.gammaChanged.connect(heard.append)
    slider.valueChanged.connect(heard.append)
    for gamma in (0.0, 1.0, 2.55, 10.0, 25.0, -3.0):
        slider.show_gamma(gamma)
        assert slider.gamma() == pytest.approx(max(0.0, min(10.0, gamma)))
        slider.grab()
    assert heard == []


def test_thousands_of_changes_do_not_hurt(slider):
    heard = []
    slider.gammaChanged.connect(heard.append)
    for k in range(5000):
        slider.setValue(1 + k % 999)
    assert len(heard) == 5000
