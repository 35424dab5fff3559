"""A model that gives no step for long is told of: the window lives on, and so do its frames."""

from __future__ import annotations

import time

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from diffview.ui.state import Activity, Notice

PATIENCE = 60.0
"""Seconds without a step, at least."""
PATIENCE_TO_LOAD = 300.0
"""Seconds until the first step: reading large weights takes its time."""
TIMES = 20.0
"""As long as so many of the steps before is no sign of trouble."""
LOOK_MS = 1000


class Watchdog(QObject):
    """`noticed` carries one notice for each run that stands still."""

    noticed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._activity = Activity()
        self._began = self._last = 0.0
        self._told = False
        self._timer = QTimer(self, interval=LOOK_MS)
        self._timer.timeout.connect(self.look)

    @Slot(object)
    def show_activity(self, activity: Activity) -> None:
        """What the sampling thread is doing: a step, or a new run, or none."""
        before, self._activity = self._activity, activity
        if not activity.busy:
            self._timer.stop()
            return
        if not before.busy or activity.done != before.done:
            self._last = time.monotonic()
            self._told = False
        if not before.busy or activity.done < before.done:
            self._began = self._last
        if not self._timer.isActive():
            self._timer.start()

    @property
    def patience(self) -> float:
        """Seconds that the present step may take."""
        done = self._activity.done
        if not done:
            return PATIENCE_TO_LOAD
        return max(PATIENCE, TIMES * (self._last - self._began) / done)

    @Slot()
    def look(self) -> None:
        """Tell of a run that stands still."""
        waited = time.monotonic() - self._last
        if not self._activity.busy or self._told or waited < self.patience:
            return
        self._told = True
        steps = "The steps so far can be looked at, exported and saved (Ctrl+S). "
        self.noticed.emit(
            Notice(
                f"The model has given no step for {waited:.0f} s and may hang. "
                f"{steps if self._activity.done else ''}Esc stops it as soon as it answers; if "
                "it never does, closing the window ends it all the same.",
                "warning",
                topic="run",
            )
        )
