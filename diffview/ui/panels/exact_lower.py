"""The heaviest pictures of a sum, and below them three curves over the run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QGridLayout, QWidget

from diffview.frames import noising
from diffview.models.exact.reading import Sum
from diffview.ui.panels.card import describe
from diffview.ui.panels.step_panel import number
from diffview.ui.views.nearest_view import NearestView, Weighted
from diffview.ui.views.small_plot import Series, SmallPlot

NEAREST_HELP = (
    "The pictures with the greatest weights w_i, heaviest first: where x_t could have come from"
)
ENTROPY_HELP = (
    "The entropy of the weights in nats, of the chosen sum. Dashed: log N, all pictures alike. "
    "Click or drag: go to that step."
)
LOG_P_HELP = (
    "log p(x_t) in nats a value, of the chosen sum. It rises as the noise falls, and falls again "
    "where x_t leaves the pictures of the set. Click or drag: go to that step."
)
RMS_HELP = (
    "Root mean square of network − by heart, in data units: 0 where both say the same. Click or "
    "drag: go to that step."
)


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Over t (n,): entropy, log density a value, difference (n,), NaN where not known yet.

    most is the entropy of equal weights. place is the one of the present step, None without any.
    """

    t: np.ndarray
    entropy: np.ndarray
    log_prob: np.ndarray
    apart: np.ndarray
    most: float
    place: int | None


class ExactLower(QFrame):
    """See the module; a place is an index into the curves."""

    placeRequested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self._build()

    def _build(self) -> None:
        self.nearest = NearestView()
        describe(self.nearest, "Heaviest pictures", NEAREST_HELP, "nearestView")
        self.entropy = SmallPlot(r"\c{entropy}{H} \; \text{nats}")
        describe(self.entropy, "Entropy over t", ENTROPY_HELP, "entropyOverT")
        self.log_p = SmallPlot(r"\c{score}{\log p_{\sigma}} \; \text{per value}")
        describe(self.log_p, "Log density over t", LOG_P_HELP, "logDensityOverT")
        self.apart = SmallPlot(r"\c{diff}{\text{rms difference}}")
        describe(self.apart, "Difference over t", RMS_HELP, "differenceOverT")
        self.plots = (self.entropy, self.log_p, self.apart)
        grid = QGridLayout(self)
        grid.setContentsMargins(6, 4, 6, 4)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(4)
        grid.addWidget(self.nearest, 0, 0, 1, len(self.plots))
        for column, plot in enumerate(self.plots):
            plot.placeRequested.connect(self.placeRequested)
            grid.addWidget(plot, 1, column)
            grid.setColumnStretch(column, 1)
        grid.setRowStretch(0, 6)
        grid.setRowStretch(1, 5)

    def show_sum(self, told: Sum | None, classes: Sequence[str], message: str = "") -> None:
        """The heaviest pictures of a sum, or words."""
        count = 0 if told is None else len(told.weights)
        pictures = [_weighted(told, k, classes) for k in range(count)] if told is not None else []
        self.nearest.show_pictures(pictures, message)

    def show_curves(self, curves: Curves, lacks_network: str = "") -> None:
        """The curves as far as they are known, the cursor at the present step."""
        most = np.full(len(curves.t), curves.most)
        self.entropy.show_series(
            curves.t, (Series(most, "muted", dashed=True), Series(curves.entropy, "entropy"))
        )
        self.log_p.show_series(curves.t, (Series(curves.log_prob, "score"),))
        self.apart.show_series(curves.t, (Series(curves.apart, "difference"),))
        self.apart.show_message(lacks_network)
        values = (curves.entropy, curves.log_prob, curves.apart)
        for plot, curve in zip(self.plots, values, strict=True):
            here = math.nan if curves.place is None else float(curve[curves.place])
            told = "–" if math.isnan(here) else f"{round(here, 3) + 0.0:.3f}".replace("-", "−")
            plot.show_cursor(curves.place, told)

    def show_nothing(self) -> None:
        """There is nothing to weigh."""
        self.nearest.show_pictures(())
        self.show_no_curves()

    def show_no_curves(self) -> None:
        """Nothing is known of any step yet."""
        for plot in self.plots:
            plot.show_series(np.zeros(0), ())
            plot.show_cursor(None)

    def show_theme(self) -> None:
        """In the present colours."""
        self.nearest.update()
        for plot in self.plots:
            plot.show_theme()


def _weighted(told: Sum, k: int, classes: Sequence[str]) -> Weighted:
    label = int(told.labels[k])
    name = classes[label] if 0 <= label < len(classes) else f"picture {told.numbers[k]}"
    picture = told.pictures[k].astype(np.float32) / 127.5 - 1
    weight = float(told.weights[k])
    help = f"Picture {told.numbers[k]} of the set, {name}: w = {number(weight)}"
    return Weighted(noising.state("exact", picture).pixels[0], weight, name, help)
