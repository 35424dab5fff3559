"""Where the tiles of a pane lie: whole device pixels for every native one, the pane filled best.

Arithmetic alone, in device pixels: columns, magnification, gaps, and what zooming and panning do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

WHEEL_FACTOR = 1.25
SMALLEST_VIEW = 4
"""Zooming in ends when so few native pixels fill the pane."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Viewport:
    """What linked panes share: magnification, and the shift of the centre in panes' sizes."""

    zoom: float = 1.0
    x: float = 0.0
    y: float = 0.0


WHOLE = Viewport()


@dataclass(frozen=True, slots=True)
class Room:
    """What is to be laid out, and the place there is for it."""

    count: int
    height: int
    width: int
    pane: tuple[int, int]
    gaps: tuple[int, int]
    padding: int


@dataclass(frozen=True, slots=True)
class Grid:
    """Where tiles lie; `step` is the side of one native pixel."""

    columns: int
    rows: int
    wide: int
    high: int
    step: float
    gap: int
    left: int
    top: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of all tiles and the gaps between them."""
        return (
            self.columns * (self.wide + self.gap) - self.gap,
            self.rows * (self.high + self.gap) - self.gap,
        )

    def tile(self, place: int) -> tuple[int, int, int, int]:
        """(left, top, width, height) of the place-th tile."""
        row, column = divmod(place, self.columns)
        return (
            self.left + column * (self.wide + self.gap),
            self.top + row * (self.high + self.gap),
            self.wide,
            self.high,
        )

    def nearest(self, point: Point) -> tuple[int, float, float]:
        """(place, native pixels right, and down) of the tile that is nearest to a point."""
        column = (point[0] - self.left) // (self.wide + self.gap)
        row = (point[1] - self.top) // (self.high + self.gap)
        column = int(max(0, min(self.columns - 1, column)))
        row = int(max(0, min(self.rows - 1, row)))
        place = row * self.columns + column
        left, top, _, _ = self.tile(place)
        return place, (point[0] - left) / self.step, (point[1] - top) / self.step

    def pixel(self, point: Point) -> tuple[int, int, int] | None:
        """(place, row, column) of the native pixel at a point, None between the tiles."""
        place, right, down = self.nearest(point)
        left, top, wide, high = self.tile(place)
        if not (left <= point[0] < left + wide and top <= point[1] < top + high):
            return None
        return place, int(down), int(right)


def lay_out(room: Room, viewport: Viewport = WHOLE) -> Grid:
    """The grid that shows the tiles largest, zoomed and shifted."""
    columns = _best_columns(room)
    step = _whole(_fitting(room, columns) * viewport.zoom)
    gap = room.gaps[0] if viewport.zoom > 1 else _widest_gap(room, columns, step)
    wide, high = round(room.width * step), round(room.height * step)
    grid = Grid(columns, _rows(room, columns), wide, high, step, gap, 0, 0)
    left, top = (
        room.padding + (place - size) // 2 + round(_within(shift, place, size) * place)
        for place, size, shift in zip(room.pane, grid.size, (viewport.x, viewport.y), strict=True)
    )
    return replace(grid, left=left, top=top)


def zoomed(room: Room, viewport: Viewport, point: Point, notches: float) -> Viewport:
    """Some notches further in or out; the native pixel under `point` stays where it is."""
    now, fitting = lay_out(room, viewport), lay_out(room).step
    wanted = now.step * WHEEL_FACTOR**notches
    if wanted > 1:
        next_whole = math.floor(now.step) + 1 if notches > 0 else math.ceil(now.step) - 1
        wanted = max(wanted, next_whole) if notches > 0 else min(wanted, next_whole)
    most = max(fitting, min(room.pane) // SMALLEST_VIEW)
    zoom = _whole(min(wanted, most)) / fitting
    if zoom <= 1:
        return WHOLE
    then = lay_out(room, Viewport(zoom))
    place, right, down = now.nearest(point)
    left, top, _, _ = then.tile(place)
    x = (point[0] - left - right * then.step) / room.pane[0]
    y = (point[1] - top - down * then.step) / room.pane[1]
    return _held(room, Viewport(zoom, x, y))


def panned(room: Room, viewport: Viewport, by: Point) -> Viewport:
    """The viewport moved by so many device pixels, as far as there is something to see."""
    x, y = viewport.x + by[0] / room.pane[0], viewport.y + by[1] / room.pane[1]
    return _held(room, Viewport(viewport.zoom, x, y))


def _held(room: Room, viewport: Viewport) -> Viewport:
    size = lay_out(room, Viewport(viewport.zoom)).size
    return Viewport(
        viewport.zoom,
        _within(viewport.x, room.pane[0], size[0]),
        _within(viewport.y, room.pane[1], size[1]),
    )


def _within(shift: float, place: int, size: int) -> float:
    most = max(0.0, (size - place) / 2 / place)
    return max(-most, min(most, shift))


def _best_columns(room: Room) -> int:
    """The largest tiles; of equals the fewest empty places, then nearest to the pane's shape."""

    def goodness(columns: int) -> tuple[float, int, float]:
        rows = _rows(room, columns)
        shape = columns * room.width / (rows * room.height)
        away = abs(math.log(shape * room.pane[1] / room.pane[0]))
        return _fitting(room, columns), room.count - columns * rows, -away

    return max(range(1, room.count + 1), key=goodness)


def _rows(room: Room, columns: int) -> int:
    return math.ceil(room.count / columns)


def _fitting(room: Room, columns: int) -> float:
    rows, gap = _rows(room, columns), room.gaps[0]
    wide = (room.pane[0] - (columns - 1) * gap) / (columns * room.width)
    high = (room.pane[1] - (rows - 1) * gap) / (rows * room.height)
    step = max(min(wide, high), 1 / max(room.width, room.height))
    return math.floor(step) if step >= 1 else step


def _widest_gap(room: Room, columns: int, step: float) -> int:
    sides = (
        (room.pane[0], columns, room.width),
        (room.pane[1], _rows(room, columns), room.height),
    )
    spare = [(place - n * side * step) // (n - 1) for place, n, side in sides if n > 1]
    return int(max(room.gaps[0], min([room.gaps[1], *spare])))


def _whole(step: float) -> float:
    """Whole device pixels for a native pixel wherever it covers at least one."""
    return float(round(step)) if step >= 1 else step
