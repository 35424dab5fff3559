"""The two plots of a training: the loss over the steps, and over the noise levels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QSlider, QToolButton, QVBoxLayout

from diffview.training.events import Begun, Snapshot, Trained, Watched, moving_mean
from diffview.ui.panels.card import FittingLabel, describe
from diffview.ui.views.curve_plot import Curve, CurvePlot

LOSS, HELD_OUT = "good", "difference"
"""Tokens of the theme: the training loss, and that of what is kept from training."""
SMOOTHEST = 10
"""The slider's places are powers of two of steps."""


class LossPanel(QFrame):
    """The loss of every step, its moving mean, and the held-out loss at the snapshots."""

    stepRequested = Signal(float)
    smoothed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("card", True)
        self._losses = np.empty(0, np.float32)
        self._first = 0
        self._held: list[tuple[int, float]] = []
        self._build()
        self._connect()

    def _build(self) -> None:
        title = QLabel("Loss")
        title.setProperty("role", "heading")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, SMOOTHEST)
        self.slider.setValue(5)
        self.slider.setFixedWidth(80)
        describe(self.slider, "Smoothing", "The strong curve is the mean of the last steps: of "
                 "how many", "smoothingSlider")  # fmt: skip
        self._steps = QLabel()
        self._steps.setProperty("role", "muted")
        self.log = QToolButton()
        self.log.setText("log")
        self.log.setCheckable(True)
        self.log.setProperty("small", True)
        describe(self.log, "Logarithmic loss", "Draw the loss by its logarithm", "logLossButton")
        self.plot = CurvePlot("step")
        self.plot.setToolTip(
            "Faint: the loss of every step on its batch. Green: its moving mean. Dots: the loss "
            "on what is kept from training, of the averaged weights. Click: look at that step."
        )
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(title)
        head.addStretch(1)
        for widget in (self._steps, self.slider, self.log):
            head.addWidget(widget)
        _stack(self, head, self.plot)
        self._show_steps()

    def _connect(self) -> None:
        self.slider.valueChanged.connect(self._on_smoothing)
        self.log.toggled.connect(self.plot.show_log)
        self.plot.placeRequested.connect(self.stepRequested)

    @property
    def smoothing(self) -> int:
        """The mean of how many steps."""
        return int(2 ** self.slider.value())

    @property
    def recent(self) -> float | None:
        """The moving mean at the end."""
        last = self._losses[-self.smoothing :]
        return float(last.mean()) if len(last) else None

    def clear(self) -> None:
        """Nothing was trained yet."""
        self._losses, self._first, self._held = np.empty(0, np.float32), 0, []
        self._draw()

    def show_begun(self, begun: Begun) -> None:
        """All losses so far."""
        self._losses, self._first = begun.losses, begun.first
        self._held = [
            (shot.step, shot.held_out) for shot in begun.snapshots if shot.held_out is not None
        ]
        self._draw()

    def add(self, trained: Trained) -> None:
        """Some losses more."""
        self._losses = np.concatenate([self._losses, trained.losses])
        self._draw()

    def add_snapshot(self, snapshot: Snapshot) -> None:
        """A held-out loss more."""
        if snapshot.held_out is not None:
            self._held.append((snapshot.step, snapshot.held_out))
            self._draw()

    @Slot(int)
    def _on_smoothing(self, value: int) -> None:
        self._show_steps()
        self._draw()
        self.smoothed.emit()

    def _show_steps(self) -> None:
        steps = self.smoothing
        self._steps.setText(f"mean of {steps}" if steps > 1 else "every step")

    def _draw(self) -> None:
        steps = self._first + 1 + np.arange(len(self._losses))
        mean = moving_mean(self._losses, self.smoothing)
        curves = [Curve(steps, self._losses, LOSS, faint=True), Curve(steps, mean, LOSS)]
        if self._held:
            x, y = np.array(self._held).T
            curves.append(Curve(x, y, HELD_OUT, dots=True, line=False))
        self.plot.show_curves(curves if len(self._losses) or self._held else [])


class LevelLossPanel(QFrame):
    """The held-out loss over t at the shown step, and at the first."""

    timeRequested = Signal(float)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("card", True)
        self._watched: Watched | None = None
        self._build()
        self.plot.placeRequested.connect(self.timeRequested)

    def _build(self) -> None:
        title = QLabel("Loss by noise level")
        title.setProperty("role", "heading")
        self._remark = FittingLabel()
        self._remark.setProperty("role", "muted")
        self._remark.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.plot = CurvePlot("t", noise_left=True)
        self.plot.setToolTip(
            "The mean squared error of what the network predicts, on what is kept from training, "
            "in bins over t. Strong: at the shown step; faint: before training. Click: look at "
            "that t."
        )
        head = QHBoxLayout()
        head.addWidget(title)
        head.addWidget(self._remark, 1)
        _stack(self, head, self.plot)

    def show_watched(self, watched: Watched | None, known: bool = True) -> None:
        """The levels; None: this recipe has none."""
        self._watched = watched
        none = "This recipe has no noise levels." if known and watched is None else ""
        self.plot.show_message(none)

    def show_place(self, t: float | None) -> None:
        """The t that is looked at."""
        self.plot.show_cursor(t)

    def show_snapshots(self, snapshots: Sequence[Snapshot], shown: Snapshot | None) -> None:
        """The curve of the shown snapshot over that of the first."""
        if self._watched is None or shown is None or shown.losses is None:
            self.plot.show_curves([])
            self._remark.setText("")
            return
        times = np.array([level.t for level in self._watched.levels])
        curves = [Curve(times, shown.losses, HELD_OUT, dots=True)]
        first = snapshots[0].losses if snapshots else None
        if first is not None and shown is not snapshots[0]:
            curves.insert(0, Curve(times, first, HELD_OUT, faint=True))
        self.plot.show_curves(curves)
        self._remark.setText(f"predicts {self._watched.target}, held out")


def _stack(frame: QFrame, head: QHBoxLayout, plot: CurvePlot) -> None:
    body = QVBoxLayout(frame)
    body.setContentsMargins(10, 8, 10, 6)
    body.setSpacing(4)
    body.addLayout(head)
    body.addWidget(plot, 1)
