"""A timeline over the places of two runs at once, each place one small picture of both."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PySide6.QtCore import QObject, Signal

from diffview.frames.pixels import Uint8
from diffview.ui.timeline import Strip, Timeline

Draw = Callable[[int], Uint8]
GAP = 1
"""Between the two halves of a small picture, in shares of a twelfth of its height."""


class PairTimeline(Timeline):
    """Follows what comes until a person goes to another place. `draw` makes the picture of one."""

    chosen = Signal(int)
    """The place that is looked at."""

    def __init__(
        self,
        draw: Draw,
        name: Callable[[int], str],
        ends: tuple[str, str],
        quantity: str = "x0hat",
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._draw, self._name, self.ends = draw, name, ends
        self._quantity = quantity
        self._pictures: _Drawn = _Drawn(draw)
        self._expected = 1
        self.index, self.following = 0, True

    @property
    def available(self) -> int:
        """How many places can be reached."""
        return len(self._pictures)

    def start(self) -> None:
        """Tell all there is to know."""
        self._tell_length()
        self._tell_place()
        self._tell_strip()

    def begin(self) -> None:
        """Other runs come: nothing is there yet, and what comes is followed."""
        self.following = True
        self.show_length(0, self._expected)
        self.redraw()

    def show_length(self, available: int, expected: int) -> None:
        """So many places are there, of so many in the end."""
        if (available, expected) == (len(self._pictures), self._expected):
            return
        self._pictures.there, self._expected = available, max(1, expected, available)
        self._tell_length()
        self._tell_strip()
        newest = max(0, available - 1)
        if self.index > newest or (self.following and self.index != newest):
            self._go(newest)

    def redraw(self) -> None:
        """Draw every small picture anew: another sample, other colours, a better lens."""
        self._pictures = _Drawn(self._draw, len(self._pictures))
        self._tell_strip()

    def go_to(self, index: int) -> None:
        """Go to a place; going to the newest one follows what comes."""
        newest = len(self._pictures) - 1
        if newest >= 0:
            index = max(0, min(index, newest))
            self.following = index == newest
            if index != self.index:
                self._go(index)

    def step_by(self, steps: int) -> None:
        """Go so many places on."""
        self.go_to(self.index + steps)

    def name_of(self, index: int) -> str:
        """A place in words."""
        return self._name(index)

    def _go(self, index: int) -> None:
        self.index = index
        self._tell_place()
        self.chosen.emit(index)

    def _tell_length(self) -> None:
        self.lengthChanged.emit(len(self._pictures), self._expected)

    def _tell_place(self) -> None:
        self.moved.emit(self.index, self._name(self.index) if len(self._pictures) else "–")

    def _tell_strip(self) -> None:
        expected = self._expected if len(self._pictures) else 0
        self.stripChanged.emit(Strip(self._pictures, expected, self._quantity))


class _Drawn(Sequence[Uint8]):
    """Pictures that are drawn when asked for, each once."""

    def __init__(self, draw: Draw, there: int = 0) -> None:
        self._draw, self.there = draw, there
        self._kept: dict[int, Uint8] = {}

    def __len__(self) -> int:
        return self.there

    def __getitem__(self, index: int) -> Uint8:  # type: ignore[override]
        if index not in self._kept:
            self._kept[index] = self._draw(index)
        return self._kept[index]


def beside(left: Uint8 | None, right: Uint8 | None, blank: tuple[int, int, int]) -> Uint8:
    """Two pictures (H, W, 4) as one, equally high, with a gap in the colour `blank`.

    What is not there is blank.
    """
    there = [picture for picture in (left, right) if picture is not None]
    high = max([picture.shape[0] for picture in there], default=8)
    halves = [_as_high(picture, high, blank) for picture in (left, right)]
    gap = np.empty((high, max(1, GAP * high // 12), 4), np.uint8)
    gap[:] = (*blank, 255)
    return np.concatenate([halves[0], gap, halves[1]], axis=1)


def _as_high(picture: Uint8 | None, high: int, blank: tuple[int, int, int]) -> Uint8:
    """Nearest neighbours: pixels stay pixels."""
    if picture is None:
        picture = np.full((1, 1, 4), (*blank, 255), np.uint8)
    tall, wide = picture.shape[:2]
    rows = np.arange(high) * tall // high
    columns = np.arange(max(1, round(wide * high / tall)))
    columns = columns * wide // len(columns)
    return picture[rows][:, columns]
