"""The curve editor: knots over λ, by mouse and by key."""

import pytest
from PySide6.QtCore import QPointF, Qt

from diffview.ui.widgets.curve_editor import CurveEditor

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


@pytest.fixture
def editor(qtbot):
    made = CurveEditor()
    qtbot.addWidget(made)
    made.resize(200, 96)
    made.show_span(-10.0, 5.0)
    return made


def at(editor, lam, factor):
    return editor.place(lam, factor).toPoint()


def test_a_double_click_adds_a_knot_where_the_mouse_is(editor, qtbot, heard):
    told = heard(editor.curveChanged)
    qtbot.mouseDClick(editor, LEFT, pos=at(editor, -2.0, 0.5))
    ((lam, factor),) = editor.curve
    assert lam == pytest.approx(-2.0, abs=0.1) and factor == pytest.approx(0.5, abs=0.03)
    assert told == [editor.curve]


def test_a_drag_moves_a_knot_and_keeps_it_between_its_neighbours(editor, qtbot, heard):
    editor.show_curve(((-5.0, 1.0), (0.0, 1.0), (3.0, 1.0)))
    settled = heard(editor.settled)
    qtbot.mousePress(editor, LEFT, pos=at(editor, 0.0, 1.0))
    qtbot.mouseMove(editor, at(editor, 1.0, 1.5))
    qtbot.mouseMove(editor, at(editor, 4.5, 0.0))
    assert settled == []
    qtbot.mouseRelease(editor, LEFT, pos=at(editor, 4.5, 0.0))
    lams = [lam for lam, _ in editor.curve]
    assert lams == sorted(set(lams)) and lams[0] == -5.0 and lams[2] == 3.0
    assert editor.curve[1][1] == pytest.approx(0.0, abs=0.03)
    assert len(settled) == 1


def test_knots_go_by_right_click_and_by_delete(editor, qtbot):
    editor.show_curve(((-5.0, 1.0), (0.0, 1.5)))
    qtbot.mouseClick(editor, RIGHT, pos=at(editor, -5.0, 1.0))
    assert editor.curve == ((0.0, 1.5),)
    qtbot.mouseClick(editor, LEFT, pos=at(editor, 0.0, 1.5))
    qtbot.keyClick(editor, Qt.Key.Key_Down)
    assert editor.curve == ((0.0, 1.45),)
    qtbot.keyClick(editor, Qt.Key.Key_Delete)
    assert editor.curve == ()


def test_being_shown_a_curve_says_nothing(editor, heard):
    told = heard(editor.curveChanged)
    editor.show_curve(((0.0, 0.5),))
    editor.show_guided(-1.0, 2.0)
    assert told == []


def test_the_curve_is_drawn_at_its_factor_and_what_is_left_out_is_shaded(editor):
    from diffview.ui import theme

    editor.show_curve(((0.0, 0.5),))
    editor.show_guided(-2.0, float("inf"))
    picture = editor.grab().toImage()

    def colour(lam, factor):
        place = editor.place(lam, factor)
        return picture.pixelColor(QPointF(place).toPoint()).name()

    colours = theme.current()
    assert colour(-7.0, 0.5) == colours.gamma and colour(3.0, 0.5) == colours.gamma
    assert colour(-7.0, 1.7) == colours.groove and colour(3.0, 1.7) == colours.field
