"""The pane of pictures: exact pixels, the mouse, linked zoom, and silence when told."""

import numpy as np
import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QFocusEvent, QImage, QMouseEvent, QWheelEvent
from PySide6.QtWidgets import QApplication

from diffview.frames.compose import Tiles
from diffview.ui import theme
from diffview.ui.views.grid_layout import WHOLE, Viewport
from diffview.ui.views.grid_view import GridView

ROLE = QColor("#6ca9ff")


def tiles(count=16, side=28, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, side, side, 4), np.uint8)
    pixels[..., 3] = 255
    return Tiles("xt", pixels, pixels[..., :1].astype(np.float32))


@pytest.fixture
def view(qtbot, qapp):
    theme.apply(qapp, theme.DARK)
    made = GridView()
    qtbot.addWidget(made)
    made.resize(420, 400)
    made.show_role(ROLE)
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


def pixels_of(view):
    image = view.grab().toImage().convertToFormat(QImage.Format.Format_RGBX8888)
    flat = np.frombuffer(image.constBits(), np.uint8).copy()  # the image dies here
    return flat.reshape(image.height(), image.bytesPerLine() // 4, 4)[:, : image.width(), :3]


def device_rect(view, sample):
    rect, scale = view.tile_rect(sample), view.devicePixelRatioF()
    return [round(v * scale) for v in (rect.x(), rect.y(), rect.width(), rect.height())]


def centre_of(view, sample, row=None, column=None, side=28):
    rect = view.tile_rect(sample)
    x = rect.x() + rect.width() * ((side / 2 if column is None else column + 0.5) / side)
    y = rect.y() + rect.height() * ((side / 2 if row is None else row + 0.5) / side)
    return QPoint(int(x), int(y))


def wheel(view, pos, notches):
    event = QWheelEvent(
        QPointF(pos), QPointF(view.mapToGlobal(pos)), QPoint(), QPoint(0, 120 * notches),
        Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase,
        False,
    )  # fmt: skip
    view.wheelEvent(event)


def emitted(view):
    """Everything the view says from now on."""
    said = []
    view.sampleSelected.connect(lambda k: said.append(("selected", k)))
    view.focusRequested.connect(lambda k: said.append(("focus", k)))
    view.viewportRequested.connect(lambda v: said.append(("viewport", v)))
    view.hovered.connect(lambda *where: said.append(("hovered", where)))
    view.unhovered.connect(lambda: said.append(("unhovered",)))
    return said


@pytest.mark.parametrize("count", [1, 4, 16])
def test_every_native_pixel_is_an_equal_block_of_its_exact_colour(view, count):
    shown = tiles(count)
    view.show_tiles(shown)
    grabbed = pixels_of(view)
    for sample in range(count):
        x, y, wide, high = device_rect(view, sample)
        step = wide // 28
        assert step >= 1 and wide == high == 28 * step
        blocks = shown.pixels[sample, ..., :3].repeat(step, 0).repeat(step, 1)
        np.testing.assert_array_equal(grabbed[y : y + high, x : x + wide], blocks)


def test_pictures_of_more_than_a_megabyte_are_exact_too(view):
    view.resize(600, 600)
    shown = tiles(1, side=540)
    view.show_tiles(shown)
    x, y, wide, high = device_rect(view, 0)
    step = wide // 540
    blocks = shown.pixels[0, ..., :3].repeat(step, 0).repeat(step, 1)
    np.testing.assert_array_equal(pixels_of(view)[y : y + high, x : x + wide], blocks)


def test_selection_ring_hides_no_pixel_of_any_picture(view):
    shown = tiles()
    view.show_tiles(shown)
    plain = pixels_of(view).copy()
    view.show_selection(5)
    ringed = pixels_of(view)
    x, y, wide, high = device_rect(view, 5)
    assert tuple(ringed[y - 1, x + wide // 2]) == ROLE.getRgb()[:3]
    for sample in range(16):
        x, y, wide, high = device_rect(view, sample)
        inside = slice(y, y + high), slice(x, x + wide)
        np.testing.assert_array_equal(plain[inside], ringed[inside])


def test_click_selects_the_sample_under_the_mouse(view, qtbot):
    view.show_tiles(tiles())
    for sample in (0, 6, 15):
        with qtbot.waitSignal(view.sampleSelected) as caught:
            qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=centre_of(view, sample))
        assert caught.args == [sample]


def test_click_between_the_tiles_selects_nothing(view, qtbot):
    view.show_tiles(tiles())
    said = emitted(view)
    qtbot.mouseClick(view, Qt.MouseButton.LeftButton, pos=QPoint(1, 1))
    assert not [what for what in said if what[0] == "selected"]


def test_hovering_names_sample_row_and_column_once(view, qtbot):
    view.show_tiles(tiles())
    said = emitted(view)
    pos = centre_of(view, 9, row=3, column=20)
    move_mouse(view, pos, held=Qt.MouseButton.NoButton)
    move_mouse(view, pos, held=Qt.MouseButton.NoButton)
    move_mouse(view, QPoint(1, 1), held=Qt.MouseButton.NoButton)
    assert said == [("hovered", (9, 3, 20)), ("unhovered",)]


def test_pixel_at_covers_every_pixel_of_a_tile(view):
    view.show_tiles(tiles())
    for row, column in ((0, 0), (27, 27), (13, 5)):
        assert view.pixel_at(QPointF(centre_of(view, 2, row, column))) == (2, row, column)
    assert view.pixel_at(QPointF(-5, -5)) is None


def test_double_click_asks_for_the_sample_alone_and_then_for_the_grid(view, qtbot):
    view.show_tiles(tiles())
    with qtbot.waitSignal(view.focusRequested) as caught:
        qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=centre_of(view, 3))
    assert caught.args == [3]
    view.show_focus(3)
    with qtbot.waitSignal(view.focusRequested) as caught:
        qtbot.mouseDClick(view, Qt.MouseButton.LeftButton, pos=centre_of(view, 3))
    assert caught.args == [-1]


def test_focused_sample_is_alone_and_larger(view):
    view.show_tiles(tiles())
    small = view.tile_rect(3).width()
    view.show_focus(3)
    assert view.tile_rect(3).width() >= 3 * small
    assert view.tile_rect(2).isEmpty()
    assert view.pixel_at(view.tile_rect(3).center())[0] == 3


def test_enter_asks_for_focus_and_arrows_are_left_to_the_window(view, qtbot):
    view.show_tiles(tiles())
    view.show_selection(7)
    with qtbot.waitSignal(view.focusRequested) as caught:
        qtbot.keyClick(view, Qt.Key.Key_Return)
    assert caught.args == [7]
    said = emitted(view)
    for key in (Qt.Key.Key_Left, Qt.Key.Key_Right, Qt.Key.Key_Home, Qt.Key.Key_Space):
        qtbot.keyClick(view, key)
    assert said == []


def test_wheel_asks_for_a_viewport_that_keeps_the_pixel_under_the_mouse(view):
    view.show_tiles(tiles())
    said = emitted(view)
    pos = centre_of(view, 6, row=10, column=12)
    for _ in range(5):
        wheel(view, pos, 1)
        view.show_viewport(said[-1][1])
    assert {what[0] for what in said} == {"viewport"}
    assert said[-1][1].zoom > 2
    assert view.pixel_at(QPointF(pos)) == (6, 10, 12)


def test_zoomed_pictures_are_still_equal_blocks(view):
    shown = tiles()
    view.show_tiles(shown)
    view.show_viewport(Viewport(2.0, 0.1, -0.05))
    grabbed = pixels_of(view)
    x, y, wide, _ = device_rect(view, 5)
    step = wide // 28
    colours = shown.pixels[5, ..., :3].repeat(step, 0).repeat(step, 1)
    top, left = max(0, -y), max(0, -x)
    seen = grabbed[max(0, y) : y + wide, max(0, x) : x + wide]
    np.testing.assert_array_equal(
        seen, colours[top : top + seen.shape[0], left : left + seen.shape[1]]
    )


def test_dragging_pans_when_zoomed_and_selects_nothing(view, qtbot):
    view.show_tiles(tiles())
    view.show_viewport(Viewport(3.0))
    said = emitted(view)
    start = QPoint(200, 200)
    qtbot.mousePress(view, Qt.MouseButton.LeftButton, pos=start)
    move_mouse(view, start + QPoint(40, 30))
    qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, pos=start + QPoint(40, 30))
    wanted = [what[1] for what in said if what[0] == "viewport"]
    assert wanted and wanted[-1].x > 0 and wanted[-1].y > 0 and wanted[-1].zoom == 3.0
    assert not [what for what in said if what[0] == "selected"]


def test_zero_asks_for_the_whole_grid(view, qtbot):
    view.show_tiles(tiles())
    view.show_viewport(Viewport(3.0, 0.2, 0.0))
    with qtbot.waitSignal(view.viewportRequested) as caught:
        qtbot.keyClick(view, Qt.Key.Key_0)
    assert caught.args == [WHOLE]


def test_being_told_says_nothing(view):
    view.show_tiles(tiles())
    said = emitted(view)
    view.show_viewport(Viewport(2.0, 0.1, 0.1))
    view.show_selection(3)
    view.show_focus(3)
    view.show_focus(None)
    view.show_crosshair(2, 5, 5)
    view.show_crosshair(None)
    view.show_tiles(tiles(seed=1))
    view.show_tiles(None)
    view.show_message("no pictures yet")
    view.grab()
    assert said == []


def test_crosshair_outlines_its_pixel_without_hiding_it(view):
    shown = tiles()
    view.show_tiles(shown)
    view.show_focus(4)
    plain = pixels_of(view).copy()
    view.show_crosshair(4, 10, 12)
    marked = pixels_of(view)
    assert (plain != marked).any()
    centre = centre_of(view, 4, 10, 12)
    scale = view.devicePixelRatioF()
    seen = marked[int(centre.y() * scale), int(centre.x() * scale)]
    np.testing.assert_array_equal(seen, shown.pixels[4, 10, 12, :3])


def test_pane_reached_by_tab_has_a_ring_and_one_that_was_clicked_has_none(view):
    view.show_tiles(tiles())
    plain = pixels_of(view).copy()
    view.focusInEvent(QFocusEvent(QEvent.Type.FocusIn, Qt.FocusReason.MouseFocusReason))
    np.testing.assert_array_equal(pixels_of(view), plain)
    view.focusInEvent(QFocusEvent(QEvent.Type.FocusIn, Qt.FocusReason.TabFocusReason))
    assert (pixels_of(view) != plain).any()


def test_message_is_shown_while_there_are_no_pictures(view):
    view.show_tiles(None)
    empty = pixels_of(view).copy()
    view.show_message("Press Run")
    assert (pixels_of(view) != empty).any()


def test_another_batch_size_lays_out_anew(view):
    view.show_tiles(tiles(16))
    small = view.tile_rect(0).width()
    view.show_tiles(tiles(1))
    assert view.tile_rect(0).width() > small
    view.show_selection(12)
    view.grab()


def test_thousands_of_signals_do_not_hurt(view):
    view.show_tiles(tiles())
    heard = []
    view.hovered.connect(lambda *where: heard.append(where))
    view.viewportRequested.connect(heard.append)
    for k in range(4000):
        view.hovered.emit(k % 16, 1, 2)
        view.viewportRequested.emit(Viewport(1.0 + k))
    assert len(heard) == 8000
