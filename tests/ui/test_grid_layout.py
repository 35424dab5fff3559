"""The arithmetic of a pane: whole device pixels, the largest tiles, zoom around the mouse."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffview.ui.views.grid_layout import WHOLE, Room, Viewport, lay_out, panned, zoomed


def room(count=16, side=28, pane=(600, 600)):
    return Room(count, side, side, pane, gaps=(3, 8), padding=4)


rooms = st.builds(
    Room,
    count=st.integers(1, 40),
    height=st.integers(1, 80),
    width=st.integers(1, 80),
    pane=st.tuples(st.integers(200, 1200), st.integers(200, 1200)),
    gaps=st.just((3, 8)),
    padding=st.just(4),
)


def test_sixteen_tiles_fill_a_square_pane_four_by_four():
    grid = lay_out(room())
    assert (grid.columns, grid.rows, grid.step) == (4, 4, 5)


@pytest.mark.parametrize(("pane", "columns"), [((1200, 60), 16), ((60, 1200), 1)])
def test_a_wide_pane_gets_one_row_and_a_tall_one_column(pane, columns):
    assert lay_out(room(pane=pane)).columns == columns


@given(rooms)
def test_magnified_tiles_are_whole_multiples_inside_the_pane_and_never_overlap(room):
    grid = lay_out(room)
    tiles = [grid.tile(place) for place in range(room.count)]
    if grid.step >= 1:
        assert grid.step == int(grid.step)
        assert {tile[2:] for tile in tiles} == {(room.width * grid.step, room.height * grid.step)}
        for left, top, wide, high in tiles:
            assert left >= 4 and left + wide <= 4 + room.pane[0]
            assert top >= 4 and top + high <= 4 + room.pane[1]
    for one, other in itertools.combinations(tiles, 2):
        beside = one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0]
        above = one[1] + one[3] <= other[1] or other[1] + other[3] <= one[1]
        assert beside or above


def test_zooming_in_keeps_the_pixel_under_the_mouse():
    place = room()
    point = (300.0, 250.0)
    viewport = zoomed(place, WHOLE, point, 3)
    one, other = lay_out(place).nearest(point), lay_out(place, viewport).nearest(point)
    assert viewport.zoom > 1
    assert one[0] == other[0]
    assert one[1:] == pytest.approx(other[1:], abs=0.2)


def test_zooming_out_again_ends_at_the_whole_grid():
    place, viewport = room(), WHOLE
    for notches in (1, 1, 1, -1, -1, -1, -1):
        viewport = zoomed(place, viewport, (400.0, 100.0), notches)
    assert viewport == WHOLE


def test_every_notch_changes_the_magnification_until_the_end():
    place, viewport, steps = room(), WHOLE, []
    for _ in range(30):
        viewport = zoomed(place, viewport, (300.0, 300.0), 1)
        steps.append(lay_out(place, viewport).step)
    rising = [step for step, _ in itertools.groupby(steps)]
    assert rising == sorted(set(steps))
    assert steps[-1] == 600 // 4


def test_panning_stops_where_there_is_nothing_more_to_see():
    place = room()
    far = panned(place, Viewport(2.0), (10_000.0, -10_000.0))
    grid = lay_out(place, far)
    assert grid.left == pytest.approx(4, abs=1)
    assert grid.top + grid.size[1] == pytest.approx(604, abs=1)
    assert panned(place, WHOLE, (50.0, 50.0)) == WHOLE


def test_pictures_larger_than_the_pane_are_shown_whole():
    grid = lay_out(room(count=1, side=2000))
    assert grid.step < 1
    assert grid.size[0] <= 600
