"""A timeline over noise levels: every t of a schedule, noisiest first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject

from diffview.engine.levels import NoiseLevel
from diffview.frames.pixels import Uint8
from diffview.ui.timeline import Strip, Timeline

Draw = Callable[[NoiseLevel], Uint8]


class LevelTimeline(Timeline):
    """All levels can be reached at once; `draw` makes the small picture (H, W, 4) of a level."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.levels: tuple[NoiseLevel, ...] = ()
        self.index = 0
        self._pictures: Sequence[Uint8] = ()
        self._quantity = "xt"

    @property
    def level(self) -> NoiseLevel:
        """The level that is looked at."""
        return self.levels[self.index]

    def start(self) -> None:
        """Tell all there is to know."""
        self.lengthChanged.emit(len(self.levels), max(1, len(self.levels)))
        self._tell_place()
        self._tell_strip()

    def go_to(self, index: int) -> None:
        """Go to a level."""
        index = max(0, min(index, len(self.levels) - 1))
        if self.levels and index != self.index:
            self.index = index
            self._tell_place()

    def step_by(self, steps: int) -> None:
        """Go so many levels towards the picture."""
        self.go_to(self.index + steps)

    def name_of(self, index: int) -> str:
        """The level's time."""
        return f"t {self.levels[index].t:g}" if index < len(self.levels) else ""

    def go_near(self, lam: float) -> None:
        """Go to the level whose log signal-to-noise ratio is nearest to `lam`."""
        if self.levels:
            away = [abs(_held(level.lam) - _held(lam)) for level in self.levels]
            self.go_to(away.index(min(away)))

    def show_levels(self, levels: Sequence[NoiseLevel]) -> None:
        """Go through these levels, from one as noisy as the present one."""
        lam = self.level.lam if self.levels else 0.0
        self.levels, self.index, self._pictures = tuple(levels), 0, ()
        self.go_near(lam)
        self.start()

    def show_pictures(self, draw: Draw | None, quantity: str = "xt") -> None:
        """Draw the film strip so, as far as it is seen; None: there is nothing to draw."""
        self._quantity = quantity
        self._pictures = () if draw is None else _Drawn(self.levels, draw)
        self._tell_strip()

    def _tell_place(self) -> None:
        self.moved.emit(self.index, f"t {self.level.t:g}" if self.levels else "")

    def _tell_strip(self) -> None:
        expected = len(self.levels) if self._pictures else 0
        self.stripChanged.emit(Strip(self._pictures, expected, self._quantity))


def _held(lam: float) -> float:
    """Infinite at the ends, where there is no signal or no noise."""
    return max(-99.0, min(99.0, lam)) if not math.isnan(lam) else 0.0


class _Drawn(Sequence[Uint8]):
    """Pictures that are drawn when asked for, each once."""

    def __init__(self, levels: Sequence[NoiseLevel], draw: Draw) -> None:
        self._levels, self._draw = levels, draw
        self._kept: dict[int, Uint8] = {}

    def __len__(self) -> int:
        return len(self._levels)

    def __getitem__(self, index: int) -> Uint8:  # type: ignore[override]
        if index not in self._kept:
            self._kept[index] = self._draw(self._levels[index])
        return self._kept[index]
