"""Everything over t at once: small plots of a run, and the loss of its model."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QGridLayout, QToolButton, QWidget

from diffview.engine.trajectory import Trajectory
from diffview.frames.curves import CURVES
from diffview.ui.over_t import Losses, Table
from diffview.ui.panels.card import describe
from diffview.ui.panels.step_panel import decibels, number
from diffview.ui.views.small_plot import Series, SmallPlot

MARKUP = {
    "alphas_cumprod": r"\c{alpha_bar}{\bar{\alpha}_{t}}",
    "snr": r"\c{snr}{\text{SNR}}",
    "xt": r"\c{xt}{\|x_{t}\|}",
    "eps": r"\c{eps}{\|\hat{\epsilon}\|}",
    "x0hat": r"\c{x0hat}{\|\hat{x}_{0}\|}",
    "change": r"\c{x0hat}{\|\Delta\hat{x}_{0}\|}",
    "direction": r"\c{diff}{\|\hat{x}_{0,c} - \hat{x}_{0,u}\|}",
}
TOKENS = {
    "alphas_cumprod": "x0_hat", "snr": "snr", "xt": "x_t", "eps": "eps", "x0hat": "x0_hat",
    "change": "x0_hat", "direction": "difference",
}  # fmt: skip
EXPECTED = "Dashed: √(α² ‖x₀‖² + σ² d), as if this run's own end had been noised to t."
ROOT_D = "Dashed: √d of the d numbers of a sample, the norm of pure noise."
CLICK = "The selected sample strongly, the others faintly. Click or drag: go to that step."
COLUMNS = 4
MOST_FAINT = 24
NO_GUIDANCE = "This run was not guided"
NOT_READY = "on a known picture, once there is one"
LOSS_HELP = (
    "Mean of (ε̂ − ε)² over all values when a clean picture is noised to t: what training makes "
    "small (Ho et al. 2020, arXiv 2006.11239, eq. 14).\nUnder the run's class, without guidance; "
    "faint: four noises, strong: their mean. Dashed: 1, what ε̂ = 0 would lose."
)


class CurvesPage(QWidget):
    """One plot a curve, and one of the loss with a button that measures it."""

    stepRequested = Signal(int)
    lossRequested = Signal()
    lossStopRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._table: Table | None = None
        self._losses: Losses | None = None
        self._measuring = False
        self._told: tuple[Losses | None, bool, str] | None = None
        self._sample, self._index = 0, 0
        self._build()
        self._connect()

    def _build(self) -> None:
        self.plots = {name: SmallPlot(MARKUP[name]) for name in CURVES}
        for name, plot in self.plots.items():
            more = {"xt": f"\n{EXPECTED}", "eps": f"\n{ROOT_D}"}.get(name, "")
            help = f"{CURVES[name].help}{more}\n{CLICK}"
            describe(plot, f"{CURVES[name].word} over t", help, f"curve_{name}")
        self.loss = SmallPlot(r"\c{surprise}{L(t)}")
        describe(self.loss, "Loss over t", LOSS_HELP, "curve_loss")
        self._build_measure()
        grid = QGridLayout(self)
        grid.setContentsMargins(6, 2, 6, 4)
        grid.setHorizontalSpacing(10)
        grid.setVerticalSpacing(6)
        for place, widget in enumerate((*self.plots.values(), self.loss)):
            grid.addWidget(widget, place // COLUMNS, place % COLUMNS)
        for column in range(COLUMNS):
            grid.setColumnStretch(column, 1)
        for row in range(2):
            grid.setRowStretch(row, 1)

    def _build_measure(self) -> None:
        self.measure = QToolButton(self.loss)
        self.measure.setText("measure")
        self.measure.setProperty("small", True)
        self.measure.setProperty("framed", True)
        self.measure.move(int(self.loss.head.right()) + 8, 0)
        describe(self.measure, "Measure the loss", LOSS_HELP, "lossButton")

    def _connect(self) -> None:
        for plot in self.plots.values():
            plot.placeRequested.connect(self.stepRequested)
        self.loss.placeRequested.connect(self._on_loss_place)
        self.measure.clicked.connect(self._on_measure)

    @Slot()
    def _on_measure(self) -> None:
        (self.lossStopRequested if self._measuring else self.lossRequested).emit()

    @Slot(int)
    def _on_loss_place(self, place: int) -> None:
        if self._losses is not None and self._table is not None:
            run = self._losses.run
            self.stepRequested.emit(run.index_at(self._losses.levels[place].t))

    # -- showing ------------------------------------------------------------------------------

    def show_nothing(self, message: str) -> None:
        """There are no curves; why."""
        self._table = None
        for plot in self.plots.values():
            plot.show_series(np.zeros(0), ())
            plot.show_cursor(None)
            plot.show_message("")
        next(iter(self.plots.values())).show_message(message)

    def show_table(self, table: Table, sample: int, index: int) -> None:
        """The curves of a run; the cursor on record `index`."""
        if (table, sample) == (self._table, self._sample):
            self.show_cursor(index)
            return
        self._table, self._sample, self._index = table, sample, index
        run = table.run
        times = np.array([run[k].level.t for k in range(table.count)])
        planned = [level.t for level in run.levels]
        for name, plot in self.plots.items():
            lacks = CURVES[name].needs_guidance and not run.guided
            plot.show_message(NO_GUIDANCE if lacks else "")
            plot.show_range(min(planned), max(planned))
            plot.show_series(times, () if lacks else self._series(table, name, sample))
        self.show_cursor(index)

    def _series(self, table: Table, name: str, sample: int) -> list[Series]:
        values, token = table.rows[name], TOKENS[name]
        count = values.shape[1]
        shared = name in ("alphas_cumprod", "snr")
        others = [] if shared else [k for k in range(count) if k != sample][:MOST_FAINT]
        made = [Series(_drawn(values[:, k]), token, faint=True) for k in others]
        if name == "xt" and table.expected is not None:
            made.append(Series(table.expected[:, sample], "muted", dashed=True))
        if name == "eps":
            made.append(Series(np.full(len(values), _root_d(table.run)), "muted", dashed=True))
        return [*made, Series(_drawn(values[:, sample]), token)]

    def show_cursor(self, index: int) -> None:
        """The step that is looked at, and every curve's value there."""
        self._index, table = index, self._table
        for name, plot in self.plots.items():
            here = math.nan
            if table is not None and index < table.count:
                here = float(table.rows[name][index, self._sample])
            plot.show_cursor(index, _told(name, here))
        self._show_loss_cursor()

    def show_losses(self, losses: Losses | None, measuring: bool, ready: str) -> None:
        """What is measured; `ready` says what the button would measure, "" if it cannot."""
        if (losses, measuring, ready) == self._told:
            return
        self._told = losses, measuring, ready
        self._losses, self._measuring = losses, measuring
        # Short, once a number stands beside it.
        self.measure.setText("stop" if measuring else "measure" if losses is None else "again")
        self.measure.adjustSize()
        self.measure.setEnabled(measuring or bool(ready))
        if losses is None:
            self.loss.show_series(np.zeros(0), ())
            self.loss.show_message(f"How wrong the model is {ready or NOT_READY}")
            self.loss.show_note("")
            return
        self.loss.show_message("" if losses.done else "Measuring…")
        self.loss.show_note(f"{losses.done}/{len(losses.levels)}" if measuring else losses.of)
        self.loss.show_series(
            np.array([level.t for level in losses.levels]),
            [
                Series(np.ones(len(losses.levels)), "muted", dashed=True),
                *(Series(row, "surprise", faint=True) for row in losses.values.T),
                Series(losses.values.mean(axis=1), "surprise"),
            ],
        )
        self._show_loss_cursor()

    def _show_loss_cursor(self) -> None:
        losses, table = self._losses, self._table
        if losses is None or table is None or self._index >= table.count:
            self.loss.show_cursor(None)
            return
        t = table.run[self._index].level.t
        place = min(range(len(losses.levels)), key=lambda k: abs(losses.levels[k].t - t))
        here = float(losses.values[place].mean())
        self.loss.show_cursor(place, "" if math.isnan(here) else number(here))

    def show_theme(self) -> None:
        """In the present colours."""
        for plot in (*self.plots.values(), self.loss):
            plot.show_theme()


def _drawn(values: np.ndarray) -> np.ndarray:
    """Infinite values are off every plot."""
    return np.where(np.isfinite(values), values, np.nan)


def _root_d(run: Trajectory) -> float:
    return math.sqrt(math.prod(run.data_shape))


def _told(name: str, value: float) -> str:
    if math.isnan(value):
        return "–"
    if name == "snr":
        return "∞" if value == math.inf else decibels(value)
    return number(value) if name == "alphas_cumprod" else f"{value:.2f}"
