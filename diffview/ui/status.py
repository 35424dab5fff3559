"""The status bar: where the shown run was sampled, how fast, and how far the present one is."""

from __future__ import annotations

from statistics import median
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QLabel, QProgressBar, QStatusBar, QWidget

from diffview.engine.trajectory import Trajectory
from diffview.models.memory import gigabytes
from diffview.models.reading import BYTES, Reading
from diffview.ui.panels.card import describe
from diffview.ui.state import Activity

PARTS = 1000
"""Of the bar: bytes are more than it can count."""


class StatusBar(QStatusBar):
    """Facts of the run on the left, progress on the right."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._activity = Activity()
        self._build()

    def _build(self) -> None:
        self.facts = QLabel()
        self.facts.setObjectName("statusText")
        self.facts.setToolTip(
            "Where the shown run was sampled, the typical time of one step for all samples, "
            "network evaluations of one sample, and the memory its steps take"
        )
        self.remaining = QLabel()
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(180)
        describe(self.progress, "Progress", "How far the run is", "statusProgress")
        self.setContentsMargins(12, 0, 8, 0)
        self.addWidget(self.facts, 1)
        self.addPermanentWidget(self.remaining)
        self.addPermanentWidget(self.progress)

    def show_run(self, run: Trajectory, about: dict[str, Any]) -> None:
        """What the shown run took."""
        seconds = [record.seconds for record in run if record.level.sigma > 0]
        parts = [
            str(about.get("device", "")),
            f"{1000 * median(seconds):.1f} ms/step" if seconds else "",
            f"NFE {run.nfe}",
            f"{run.nbytes / 1e6:.1f} MB kept",
        ]
        self.facts.setText("  ·  ".join(part for part in parts if part))

    @Slot(object)
    def show_reading(self, reading: Reading) -> None:
        """How far a file of a model is read; then what is under way besides."""
        if reading.over:
            self.show_activity(self._activity)
            return
        self.progress.show()
        self.progress.setRange(0, PARTS if reading.done else 0)  # at first it only moves
        self.progress.setValue(PARTS * reading.done // reading.total)
        done, total = (
            gigabytes(number) if reading.unit == BYTES else str(number)
            for number in (reading.done, reading.total)
        )
        unit = "" if reading.unit == BYTES else f" {reading.unit}"
        self.remaining.setText(f"reading {reading.what}: {done} of {total}{unit}")

    def show_activity(self, activity: Activity) -> None:
        """How far the run under way is."""
        self._activity = activity
        self.progress.setVisible(activity.busy)
        self.progress.setRange(0, activity.total if activity.done else 0)
        self.progress.setValue(activity.done)
        self.remaining.setText(progress_text(activity))


def progress_text(activity: Activity) -> str:
    """How many steps are done and the time that is left, in words."""
    if not activity.busy or activity.text:
        return activity.text
    if not activity.done:
        return "starting…"
    left = activity.seconds_left
    rest = (
        "" if left is None else f" · {left:.0f} s left" if left >= 10 else f" · {left:.1f} s left"
    )
    steps = activity.total - 1  # the last record is the clean end, not a step
    return f"{min(activity.done, steps)} of {steps} steps done{rest}"
