"""The film strip: a place for every step or for evenly chosen ones, growing cheaply."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QImage, QMouseEvent
from PySide6.QtWidgets import QApplication

from diffview.ui import theme
from diffview.ui.views.film_strip import FilmStrip


def thumbnails(count, side=28):
    pixels = np.random.default_rng(1).integers(0, 256, (count, side, side, 4), np.uint8)
    pixels[..., 3] = 255
    return list(pixels)


@pytest.fixture
def strip(qtbot, qapp):
    theme.apply(qapp, theme.DARK)
    made = FilmStrip()
    qtbot.addWidget(made)
    made.resize(700, 66)
    made.show_role(QColor("#ffb24d"))
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


def pixels_of(strip):
    image = strip.grab().toImage().convertToFormat(QImage.Format.Format_RGBX8888)
    flat = np.frombuffer(image.constBits(), np.uint8).copy()  # the image dies here
    return flat.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width(), :3]


def inside(strip, place):
    rect, scale = strip.place_rect(place), strip.devicePixelRatioF()
    x, y, wide, high = (
        round(v * scale) for v in (rect.x(), rect.y(), rect.width(), rect.height())
    )
    return slice(y, y + high), slice(x, x + wide)


def middle(strip, place):
    return strip.place_rect(place).center().toPoint()


def test_few_steps_have_a_place_each_and_many_are_evenly_chosen(strip):
    strip.show_strip(thumbnails(6), 6)
    assert strip.steps_on_strip() == list(range(6))
    strip.show_strip(thumbnails(51), 51)
    steps = strip.steps_on_strip()
    assert steps[0] == 0 and steps[-1] == 50
    assert set(np.diff(steps)) <= {50 // (len(steps) - 1), 50 // (len(steps) - 1) + 1}
    assert 40 <= strip.place_rect(0).height() <= 56


def test_pictures_are_drawn_pixel_by_pixel(strip):
    shown = thumbnails(6)
    strip.show_strip(shown, 6)
    grabbed = pixels_of(strip)
    for place in range(6):
        area = grabbed[inside(strip, place)]
        step = area.shape[0] // 28
        blocks = shown[place][..., :3].repeat(step, 0).repeat(step, 1)
        np.testing.assert_array_equal(area, blocks)


def test_a_growing_run_fills_its_places_and_looks_as_if_drawn_at_once(strip):
    shown = thumbnails(51)
    for count in range(1, 52):
        strip.show_strip(shown[:count], 51)
        if count in (1, 20):
            strip.grab()
    grown = pixels_of(strip).copy()
    strip.resize(701, 66)
    strip.resize(700, 66)
    np.testing.assert_array_equal(grown, pixels_of(strip))


def test_a_new_run_empties_the_places_of_the_old_one(strip):
    shown = thumbnails(6)
    strip.show_strip(shown, 6)
    strip.grab()
    strip.show_strip(shown[:1], 6)
    empty = pixels_of(strip)[inside(strip, 4)]
    assert (empty == empty[0, 0]).all()


def test_before_its_own_picture_is_there_a_place_shows_the_newest(strip):
    pictures = thumbnails(20, side=14)
    strip.show_strip(pictures[:1], 1000)
    steps = strip.steps_on_strip()
    assert steps[1] > 20
    strip.show_strip(pictures[:15], 1000)
    strip.show_strip(pictures, 1000)
    shown = pixels_of(strip)[inside(strip, 1)]
    step = len(shown) // 14
    np.testing.assert_array_equal(shown[::step, ::step], pictures[19][..., :3])
    empty = pixels_of(strip)[inside(strip, 2)]
    assert (empty == empty[0, 0]).all()


def test_click_asks_for_the_step_of_the_picture(strip, qtbot):
    strip.show_strip(thumbnails(51), 51)
    steps = strip.steps_on_strip()
    for place in (0, 3, len(steps) - 1):
        with qtbot.waitSignal(strip.stepRequested) as caught:
            qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=middle(strip, place))
        assert caught.args == [steps[place]]


def test_dragging_reaches_steps_between_the_pictures(strip, qtbot):
    strip.show_strip(thumbnails(51), 51)
    asked = []
    strip.stepRequested.connect(asked.append)
    start, end = middle(strip, 0), middle(strip, 2)
    qtbot.mousePress(strip, Qt.MouseButton.LeftButton, pos=start)
    for x in range(start.x(), end.x() + 1, 2):
        move_mouse(strip, QPoint(x, start.y()))
    qtbot.mouseRelease(strip, Qt.MouseButton.LeftButton, pos=end)
    assert set(asked) == set(range(strip.steps_on_strip()[2] + 1))


def test_steps_that_are_not_there_yet_ask_for_the_last_one(strip, qtbot):
    strip.show_strip(thumbnails(5), 51)
    with qtbot.waitSignal(strip.stepRequested) as caught:
        last = len(strip.steps_on_strip()) - 1
        qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=middle(strip, last))
    assert caught.args == [4]


def test_hovering_says_which_step(strip):
    strip.show_strip(thumbnails(51), 51)
    move_mouse(strip, middle(strip, 1), held=Qt.MouseButton.NoButton)
    assert strip.toolTip() == f"step {strip.steps_on_strip()[1]}/50"


def test_being_told_says_nothing_and_nothing_to_show_is_no_error(strip, qtbot):
    asked = []
    strip.stepRequested.connect(asked.append)
    strip.show_strip([], 0)
    strip.grab()
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=QPoint(50, 30))
    strip.show_strip(thumbnails(3), 11)
    strip.show_current(2)
    strip.show_current(10)
    strip.grab()
    assert asked == []


@pytest.mark.parametrize("shape", [(64, 64), (32, 32), (1, 2), (20, 200), (300, 300)])
def test_any_shape_of_picture_fits(strip, shape):
    pixels = np.full((4, *shape, 4), 200, np.uint8)
    strip.show_strip(list(pixels), 4)
    strip.grab()
    assert 1 <= strip.place_rect(3).height() <= 66
