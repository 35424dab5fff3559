"""What could this become: completions of one state, their mean beside x0_hat, and their spread."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from diffview.engine import samplers
from diffview.engine.trajectory import Float32
from diffview.frames import compose, pixels, points, vector
from diffview.frames.compose import Tiles
from diffview.frames.lens import Lens
from diffview.ui.completing import Completed
from diffview.ui.panels.card import FittingLabel, StillLabel, describe, silent
from diffview.ui.panels.picture_pane import PicturePane, Subject
from diffview.ui.panels.step_panel import number

COUNT = 16
SAME = 1e-5
"""Completions that differ by less than this, in the root mean square, differ by rounding."""
AGREE = 1.5
"""A gap up to so many times what chance gives is called chance."""

ENDS = Subject("x0hat", r"x_{0} \, | \, \c{xt}{x_{t}}", "Completions", "The same x_t completed "
               "again and again, each time with other noise", "x_t")  # fmt: skip
MEAN = Subject("mean", r"\text{mean}", "Mean", "The mean of the completions: E[x₀ | x_t] as far "
               "as they are enough", "x_t")  # fmt: skip
ESTIMATE = Subject("x0hat", r"\c{x0hat}{\hat{x}_{0}}", "Estimate", "x̂₀ at x_t, under the same γ: "
                   "it should be the mean (Tweedie)", "x0_hat")  # fmt: skip
STD = Subject("std", r"\text{std}", "Spread", "The standard deviation of the completions, value "
              "by value: black where all agree, amber at the largest", "x0_hat")  # fmt: skip
SCALES = {"one": "γ = 1", "run": "γ of the slider"}
SCALE_HELP = (
    "Under which γ the completions are drawn. Tweedie's formula is about the posterior, and that "
    "is sampled at γ = 1: with more guidance neither the estimate nor the completions are of it."
)
HINT = "This state, completed {} times with other noise: is the estimate their mean?"


class CompletionsPage(QWidget):
    """The choices, the completions, and three pictures of what they have in common."""

    startRequested = Signal(int, str)
    stopRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._busy = False
        self._build()
        self._connect()
        self.show_made(None, busy=False, lens=None, lacking="")

    def _build(self) -> None:
        self.count = QSpinBox(minimum=2, maximum=64, value=COUNT, suffix=" ×")
        describe(self.count, "Number of completions", "How often the state is completed",
                 "completionsSpinBox")  # fmt: skip
        self.scale = QComboBox()
        for name, text in SCALES.items():
            self.scale.addItem(text, name)
        describe(self.scale, "Guidance of the completions", SCALE_HELP, "completionsGammaCombo")
        self.button = QPushButton("Complete")
        describe(self.button, "Complete this state", "Complete the selected sample from this step "
                 "on, with other noise each time", "completeButton")  # fmt: skip
        self.progress = FittingLabel()
        self.progress.setProperty("role", "muted")
        self.ends = PicturePane("completions", ENDS)
        self.mean = PicturePane("completionsMean", MEAN)
        self.estimate = PicturePane("completionsEstimate", ESTIMATE)
        self.std = PicturePane("completionsStd", STD)
        self.panes = (self.ends, self.mean, self.estimate, self.std)
        self.verdict = StillLabel(3)
        self.verdict.setObjectName("completionsVerdict")
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.button)
        row.addWidget(self.count)
        row.addWidget(self.scale)
        row.addWidget(self.progress, 1)
        right = QGridLayout()
        right.setSpacing(6)
        for place, pane in enumerate((self.mean, self.estimate, self.std)):
            right.addWidget(pane, 0, place)
            right.setColumnStretch(place, 1)
        right.addWidget(self.verdict, 1, 0, 1, 3)
        right.setRowStretch(0, 1)
        both = QHBoxLayout()
        both.setSpacing(6)
        both.addWidget(self.ends, 3)
        both.addLayout(right, 4)
        body = QVBoxLayout(self)
        body.setContentsMargins(6, 2, 8, 4)
        body.setSpacing(6)
        body.addLayout(row)
        body.addLayout(both, 1)

    def _connect(self) -> None:
        self.button.clicked.connect(self._on_button)

    @Slot()
    def _on_button(self) -> None:
        if self._busy:
            self.stopRequested.emit()
        else:
            self.startRequested.emit(self.count.value(), self.scale.currentData())

    def show_scale(self, slider: float | None) -> None:
        """What γ the slider has; None: the run is not guided, so there is no γ."""
        with silent(self.scale):
            text = SCALES["run"] if slider is None else f"γ = {slider:g} (slider)"
            self.scale.setItemText(1, text)
        self.scale.setEnabled(slider is not None)

    def show_made(
        self, made: Completed | None, *, busy: bool, lens: Lens | None, lacking: str
    ) -> None:
        """Completions, as far as they are; `lacking` says why there can be none."""
        self._busy = busy
        self.button.setText("Stop" if busy else "Complete")
        self.button.setEnabled(busy or not lacking)
        if made is None:
            message = lacking or ("Completing…" if busy else HINT.format(self.count.value()))
            for pane in self.panes:
                pane.show_tiles(None, message if pane is self.ends else "")
                pane.show_remark("")
            self.progress.setText("")
            self.verdict.setText(" ")
            return
        record = made.record
        shown = "xt" if made.summary else "x0hat"
        self.ends.show_tiles(compose.tiles(record, shown, "clamp", lens))
        self.estimate.show_tiles(_state(made, made.x0_hat, lens))
        self.progress.setText(_progress(made))
        if made.summary is None:
            for pane in (self.mean, self.std):
                pane.show_tiles(None, "…")
            self.verdict.setText(" ")
            return
        self.mean.show_tiles(_state(made, made.summary.mean, lens))
        self._show_spread(made.summary.std)
        self.verdict.setText(verdict(made))

    def _show_spread(self, std: Float32) -> None:
        if points.are_points(std.shape):
            self.std.show_tiles(None, f"x {std[0]:.3f}\ny {std[1]:.3f}")
            return
        self.std.show_tiles(_spread(std))
        self.std.show_remark(f"≤ {std.max():.2f}")

    def show_theme(self) -> None:
        """In the present colours."""
        for pane in self.panes:
            pane.show_theme()


def _state(made: Completed, values: Float32, lens: Lens | None) -> Tiles:
    if points.are_points(values.shape):
        drawn = vector.arrow(values, "x0hat")[None]
        return Tiles("x0hat", drawn, drawn[..., :3].astype(np.float32))
    record = compose.one_sample(made.record, 0)
    return compose.tiles(replace(record, x0_hat=values[None]), "x0hat", "clamp", lens)


def _spread(std: Float32) -> Tiles:
    shown = np.asarray(pixels.as_pictures(std[None]), np.float32).mean(axis=-1, keepdims=True)
    return Tiles("std", pixels.amounts(shown, float(shown.max()) or 1.0), shown)


def _progress(made: Completed) -> str:
    title = samplers.find(made.sampler).title
    of = f"from t {made.level.t:g}, sample {made.wish.sample}, by {title}"
    return of if made.summary else f"{of}: step {made.done} of {made.total}"


def verdict(made: Completed) -> str:
    """What mean and estimate have to do with one another, in a sentence or two."""
    found, scale = made.summary, made.wish.scale
    assert found is not None
    count = made.wish.count
    if found.spread < SAME:
        return f"All {count} completions are the same: at this step nothing is open any more."
    said = (
        f"Mean and estimate differ by rms {number(found.gap)}; a mean of {count} is off by "
        f"{number(found.chance)} by chance alone (rms std {number(found.spread)} / √{count})."
    )
    if scale is not None and scale != 1:
        return f"{said} At γ = {scale:g} no posterior is sampled, so they need not agree."
    if found.gap <= AGREE * found.chance:
        return f"{said} They agree, as Tweedie's formula says."
    rest = math.sqrt(found.gap**2 - found.chance**2)
    return (
        f"{said} The rest, {number(rest)}, is the network's error or that of {made.total} steps."
    )
