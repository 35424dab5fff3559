"""The card of an inverted picture: how far the way back is from the way up, at each step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QLabel, QWidget

from diffview.models.inverting import StepError
from diffview.ui.panels.card import Card, describe
from diffview.ui.views.curve_plot import Curve, CurvePlot

HELP = (
    "|Δ| between the way up from the picture and the way back from its x_T, at each step,\n"
    "in the model's units: strong the mean, faint the largest. Left x_T, right the picture.\n"
    "DDIM inversion is exact only in small steps (Song et al. 2021, arXiv 2010.02502, eq. 14)"
)
PLOT_HEIGHT = 112


class InversionPanel(Card):
    """A plot of the error over the steps; a click goes to a step."""

    stepRequested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("ERROR OF THE WAY BACK", parent)
        self._errors: tuple[StepError, ...] = ()
        self.plot = CurvePlot("step")
        describe(self.plot, "Error of the way back", HELP, "inversionPlot")
        self.plot.setFixedHeight(PLOT_HEIGHT)
        self.numbers = QLabel()
        self.numbers.setObjectName("inversionNumbers")
        self.numbers.setProperty("role", "muted")
        self.numbers.setWordWrap(True)
        self.body.addWidget(self.plot)
        self.body.addWidget(self.numbers)
        self.plot.placeRequested.connect(self._on_place)

    @Slot(float)
    def _on_place(self, place: float) -> None:
        if self._errors:
            away = [abs(one.i - place) for one in self._errors]
            self.stepRequested.emit(away.index(min(away)))

    def show_errors(self, errors: Sequence[StepError]) -> None:
        """The errors of a way back, one for each kept step."""
        self._errors = tuple(errors)
        x = np.array([one.i for one in errors], float)
        largest = np.array([one.max_abs for one in errors])
        mean = np.array([one.mean_abs for one in errors])
        self.plot.show_curves(
            [Curve(x, largest, "muted", faint=True), Curve(x, mean, "x0_hat")] if errors else []
        )

    def show_step(self, index: int) -> None:
        """The error at the record that is looked at."""
        if index < len(self._errors):
            one = self._errors[index]
            self.plot.show_cursor(one.i)
            self.numbers.setText(
                f"mean |Δ| {one.mean_abs:.3g}, largest {one.max_abs:.3g}, PSNR {one.psnr:.1f} dB"
            )

    def show_theme(self) -> None:
        """The plot in the present colours."""
        self.plot.show_theme()
