"""A timeline over the snapshots of a training, the first step on the left."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Signal

from diffview.frames.pixels import Uint8
from diffview.training.events import Begun, Snapshot
from diffview.ui.timeline import Strip, Timeline

Draw = Callable[[Snapshot], Uint8]


class SnapshotTimeline(Timeline):
    """Follows the newest snapshot until a person goes to another one."""

    chosen = Signal(object)
    """The snapshot that is looked at, or None before the first."""

    ends = ("start", "now")

    def __init__(self, draw: Draw, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._draw = draw
        self.snapshots: list[Snapshot] = []
        self._pictures: list[Uint8] = []
        self._left: tuple[int, ...] = ()
        self.index = 0
        self.following = True

    @property
    def snapshot(self) -> Snapshot | None:
        """The snapshot that is looked at."""
        return self.snapshots[self.index] if self.index < len(self.snapshots) else None

    @property
    def expected(self) -> int:
        """How many places there will be at the end."""
        return len(self.snapshots) + len(self._left)

    def start(self) -> None:
        """Tell all there is to know."""
        self._tell_length()
        self._tell_place()
        self.redraw()

    def show_begun(self, begun: Begun) -> None:
        """The snapshots so far, and the steps at which there will be others."""
        self.snapshots, self._left = list(begun.snapshots), begun.moments
        if self.following or self.index >= len(self.snapshots):
            self.index, self.following = max(0, len(self.snapshots) - 1), True
        self.start()
        self.chosen.emit(self.snapshot)

    def clear(self) -> None:
        """Nothing is there."""
        self.snapshots, self._left, self.index, self.following = [], (), 0, True
        self.start()
        self.chosen.emit(None)

    def add(self, snapshot: Snapshot) -> None:
        """One more at the end."""
        self.snapshots.append(snapshot)
        self._left = tuple(step for step in self._left if step > snapshot.step)
        self._pictures.append(self._draw(snapshot))
        self._tell_length()
        self.stripChanged.emit(Strip(self._pictures, self.expected, "x0hat"))
        if self.following:
            self._go(len(self.snapshots) - 1)

    def redraw(self) -> None:
        """Draw every small picture anew: another sample, or other colours."""
        self._pictures = [self._draw(snapshot) for snapshot in self.snapshots]
        self.stripChanged.emit(Strip(self._pictures, self.expected, "x0hat"))

    def go_to(self, index: int) -> None:
        """Look at a snapshot; going to the newest one follows what comes."""
        if self.snapshots:
            index = max(0, min(index, len(self.snapshots) - 1))
            self.following = index == len(self.snapshots) - 1
            self._go(index)

    def go_near(self, step: float) -> None:
        """Look at the snapshot whose step is nearest."""
        away = [abs(snapshot.step - step) for snapshot in self.snapshots]
        if away:
            self.go_to(away.index(min(away)))

    def step_by(self, steps: int) -> None:
        """Look so many snapshots later."""
        self.go_to(self.index + steps)

    def name_of(self, index: int) -> str:
        """The training step of a snapshot."""
        known = index < len(self.snapshots)
        return f"step {self.snapshots[index].step:,}" if known else "not there yet"

    def _go(self, index: int) -> None:
        self.index = index
        self._tell_place()
        self.chosen.emit(self.snapshot)

    def _tell_length(self) -> None:
        self.lengthChanged.emit(len(self.snapshots), max(1, self.expected))

    def _tell_place(self) -> None:
        text = self.name_of(self.index) if self.snapshots else "–"
        self.moved.emit(self.index, text)
