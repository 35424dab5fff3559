"""The radial power spectrum of x_t and x0_hat, against what noising the run's end would give."""

from __future__ import annotations

import numpy as np
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from diffview.engine.levels import NoiseLevel
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.errors import InputError
from diffview.frames.spectrum import Spectrum, spectrum
from diffview.ui.panels.card import StillLabel, describe
from diffview.ui.views.small_plot import Series, SmallPlot
from diffview.ui.widgets.math_label import MathLabel

HELP = (
    "S(f): the mean of |Fourier coefficient|² / number of pixels over the frequencies of length "
    "f, in cycles per pixel; white noise of variance 1 has S = 1 everywhere.\n"
    "So x_t = α x₀ + σ ε has ᾱ S(f) + σ²: noise drowns the fine detail first, and denoising "
    "brings it back last (Dieleman 2024, “Diffusion is spectral autoregression”)."
)
LEGEND = (
    (r"\c{xt}{x_{t}}", "this step's state"),
    (r"\c{x0hat}{\hat{x}_{0}}", "its estimate"),
    (r"\bar{\alpha} S + \sigma^{2}", "its end, noised"),
    (r"\sigma^{2}", "the noise alone"),
)
NO_PICTURE = "Only pictures have a spectrum; these samples are no pictures."


class SpectrumPage(QWidget):
    """The plot, its legend, and where signal and noise cross."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._last: tuple[Trajectory, int, StepRecord] | None = None
        self._build()

    def _build(self) -> None:
        self.plot = SmallPlot("S(f)", noise_left=False, log_x=True, log_y=True, unit="f")
        describe(self.plot, "Power spectrum", HELP, "spectrumPlot")
        self.all = QToolButton()
        self.all.setText("mean of all samples")
        self.all.setCheckable(True)
        self.all.setProperty("small", True)
        self.all.setProperty("framed", True)
        describe(self.all, "Mean of all samples", "Average the spectra of all samples: one "
                 "picture's own is ragged", "spectrumAllButton")  # fmt: skip
        self.all.toggled.connect(self._again)
        self.crossing = StillLabel(4)
        self.crossing.setObjectName("spectrumCrossing")
        side = QVBoxLayout()
        side.setSpacing(4)
        side.addWidget(self.all)
        side.addSpacing(4)
        legend = QGridLayout()
        legend.setHorizontalSpacing(10)
        legend.setVerticalSpacing(2)
        for place, (markup, words) in enumerate(LEGEND):
            text = QLabel(words)
            text.setProperty("role", "muted")
            legend.addWidget(MathLabel(markup), place, 0)
            legend.addWidget(text, place, 1)
        legend.setColumnStretch(1, 1)
        side.addLayout(legend)
        side.addSpacing(6)
        side.addWidget(self.crossing)
        side.addStretch(1)
        row = QHBoxLayout(self)
        row.setContentsMargins(6, 2, 8, 4)
        row.setSpacing(14)
        row.addWidget(self.plot, 1)
        panel = QWidget()
        panel.setLayout(side)
        panel.setFixedWidth(220)
        row.addWidget(panel)

    def _again(self) -> None:
        if self._last is not None:
            self.show_step(*self._last)

    def show_step(self, run: Trajectory, sample: int, record: StepRecord) -> None:
        """The spectra of one record, perhaps at another γ than the run's."""
        self._last = run, sample, record
        try:
            seen = _spectra(record, None if self.all.isChecked() else sample)
        except InputError:
            self.plot.show_message(NO_PICTURE)
            self.crossing.setText(" ")
            return
        self.plot.show_message("")
        end = _end(run, None if self.all.isChecked() else sample)
        f, level = seen[0].frequencies, record.level
        series = [Series(np.full(len(f), level.sigma**2), "muted", dashed=True)]
        if end is not None:
            series.append(Series(end.noised(level).mean(axis=0), "text", dashed=True))
        series += [
            Series(seen[1].power.mean(axis=0), "x0_hat"),
            Series(seen[0].power.mean(axis=0), "x_t"),
        ]
        self.plot.show_series(f, series)
        place = None if end is None else crossing(end, level)
        self.plot.show_marks(() if place is None else (place,))
        self.crossing.setText(_words(end, place))

    def show_nothing(self, message: str) -> None:
        """There is no spectrum; why."""
        self._last = None
        self.plot.show_series(np.zeros(0), ())
        self.plot.show_message(message)
        self.crossing.setText(" ")

    def show_theme(self) -> None:
        """In the present colours."""
        self.plot.show_theme()


def crossing(end: Spectrum, level: NoiseLevel) -> float | None:
    """The lowest frequency where the noise is stronger than the signal; None where it never is."""
    signal = level.alpha**2 * end.power.mean(axis=0)
    below = np.flatnonzero(signal < level.sigma**2)
    return float(end.frequencies[below[0]]) if len(below) else None


def _words(end: Spectrum | None, place: float | None) -> str:
    if end is None:
        return "The run's end is not there yet."
    if place is None:
        return "The signal is stronger than the noise at every f."
    if place <= end.frequencies[0]:
        return "The noise is stronger than the signal at every f."
    return f"From f = {place:.2f} on the noise is stronger than the signal."


def _spectra(record: StepRecord, sample: int | None) -> tuple[Spectrum, Spectrum]:
    return spectrum(_some(record.x_t, sample)), spectrum(_some(record.x0_hat, sample))


def _end(run: Trajectory, sample: int | None) -> Spectrum | None:
    return spectrum(_some(run[-1].x_t, sample)) if run.complete else None


def _some(values: Float32, sample: int | None) -> Float32:
    return values if sample is None else values[sample : sample + 1]
