"""The plane view: one scale for both axes, particles where they are, zoom and a cross by keys."""

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from diffview.frames.plane import Window
from diffview.ui import theme
from diffview.ui.views.plane_shapes import Arrows, Dots, with_heads
from diffview.ui.views.plane_view import PlaneView

WIDE, HIGH = 400, 200


@pytest.fixture
def view(qtbot):
    made = PlaneView("planeView")
    qtbot.addWidget(made)
    made.resize(WIDE, HIGH)
    made.show_home(2.0)
    with qtbot.waitExposed(made):
        made.show()
    return made


def colour_at(view, x, y):
    column, row = view.to_pixels(np.array([x, y])).astype(int)
    return view.grab().toImage().pixelColor(int(column), int(row))


def near(colour, token, far=75):
    wanted = theme.current().colour(token)
    pairs = zip(colour.getRgb()[:3], wanted.getRgb()[:3], strict=True)
    return all(abs(a - b) <= far for a, b in pairs)


def test_the_shorter_side_is_what_home_says_and_both_axes_have_one_scale(view):
    assert view.seen == Window((-4.0, -2.0), (4.0, 2.0))
    np.testing.assert_allclose(view.to_pixels(np.array([1.0, 1.0])), [250, 50])
    assert view.to_place(QPointF(250, 50)) == (1.0, 1.0)


@pytest.mark.parametrize("count", [3, 5_000, 30_000])
def test_particles_are_drawn_where_they_are(view, count):
    places = np.tile(np.array([[1.05, 1.05]], np.float32), (count, 1))
    view.show_particles(places)
    assert near(colour_at(view, 1.05, 1.05), "x_t")
    assert not near(colour_at(view, -1.05, 1.05), "x_t")
    view.show_particles(None)
    assert not near(colour_at(view, 1.05, 1.05), "x_t")


def test_a_ground_lies_in_its_window_with_y_upwards(view):
    colours = np.full((2, 2, 4), 255, np.uint8)
    colours[0, :, :3] = (250, 0, 0)
    colours[1, :, :3] = (0, 0, 250)
    view.show_ground((colours, Window((-1.0, -1.0), (1.0, 1.0))))
    assert colour_at(view, 0.55, 0.85).red() > 200 and colour_at(view, 0.55, -0.85).blue() > 200
    assert colour_at(view, 2.6, 0.7).red() < 100


def test_shapes_come_and_go_by_their_names(view):
    dot = Dots(np.array([[1.05, -0.55]]), "x0_hat", 5.0)
    view.show_moving({"samples": dot})
    assert near(colour_at(view, 1.05, -0.55), "x0_hat")
    view.show_moving({"samples": None, "other": None})
    assert not near(colour_at(view, 1.05, -0.55), "x0_hat")
    view.show_still({"score": Arrows(np.array([[-1.0, 0.55]]), np.array([[1.0, 0.55]]), "score")})
    view.grab()


def test_a_scene_that_was_drawn_is_not_made_again(view):
    made = []

    def scene(token):
        made.append(token)
        return None, {"dots": Dots(np.array([[1.05, -0.55]]), token, 5.0)}

    for token in ("x0_hat", "score", "x0_hat", "score"):
        view.show_scene(token, lambda token=token: scene(token))
        assert near(colour_at(view, 1.05, -0.55), token)
    assert made == ["x0_hat", "score"]
    view.resize(WIDE + 20, HIGH)
    view.grab()
    assert made == ["x0_hat", "score", "score"], "another size is another picture"


def test_a_head_lies_behind_its_tip():
    lines = with_heads(np.array([[0.0, 0.0]]), np.array([[10.0, 0.0]]))
    assert lines.shape == (3, 2, 2)
    assert (lines[:, 1, 0][1:] < 10).all() and lines[1, 1, 1] == -lines[2, 1, 1]


def test_the_wheel_zooms_around_the_mouse_and_zero_goes_back(view, heard):
    told = heard(view.windowChanged)
    at = QPointF(300, 50)
    before = view.to_place(at)
    wheel = QWheelEvent(
        at, view.mapToGlobal(at), QPoint(), QPoint(0, 240), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(view, wheel)
    assert view.zoomed and told[-1] == view.seen
    np.testing.assert_allclose(view.to_place(at), before)
    QTest.keyClick(view, Qt.Key.Key_0)
    assert not view.zoomed
    QTest.keyClick(view, Qt.Key.Key_Plus)
    assert view.seen.size[1] < 4


def test_dragging_moves_the_plane(view):
    QTest.mousePress(view, Qt.MouseButton.LeftButton, pos=QPoint(200, 100))
    QTest.mouseMove(view, QPoint(250, 100))
    QTest.mouseRelease(view, Qt.MouseButton.LeftButton, pos=QPoint(250, 100))
    assert view.seen.low[0] == pytest.approx(-5.0) and view.seen.low[1] == pytest.approx(-2.0)


def test_alt_and_arrows_move_the_cross_and_plain_arrows_are_the_windows(view, heard):
    probed = heard(view.probed)
    QTest.keyClick(view, Qt.Key.Key_Right, Qt.KeyboardModifier.AltModifier)
    QTest.keyClick(view, Qt.Key.Key_Up, Qt.KeyboardModifier.AltModifier)
    assert probed == [(0.08, 0.0), (0.08, 0.08)]
    QTest.keyClick(view, Qt.Key.Key_Right)
    assert len(probed) == 2


def test_it_is_painted_in_the_colours_of_the_theme(view):
    before = theme.current()
    corner = view.grab().toImage().pixelColor(WIDE - 60, HIGH - 60)
    try:
        theme.apply(QApplication.instance(), theme.LIGHT if before.dark else theme.DARK)
        assert view.grab().toImage().pixelColor(WIDE - 60, HIGH - 60) != corner
    finally:
        theme.apply(QApplication.instance(), before)
    assert isinstance(corner, QColor)
