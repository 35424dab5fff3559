"""The noise levels of a run: ᾱ and σ, or the signal-to-noise ratio, over t with a cursor.

Noise is on the left: t counts down. pyqtgraph draws the curves; its import takes half a second, so
it waits until the first levels are there and the widget has been seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QFont, QMouseEvent
from PySide6.QtWidgets import QButtonGroup, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from diffview.engine.levels import NoiseLevel
from diffview.ui import theme
from diffview.ui.widgets.math_label import MathLabel

LEVELS, SNR = "levels", "snr"
CURVES = {LEVELS: ("alpha_bar", "sigma"), SNR: ("snr",)}
VALUES = {
    "alpha_bar": lambda level: level.alphas_cumprod,
    "sigma": lambda level: level.sigma,
    "snr": lambda level: level.snr_db,
}
MARKUP = {
    "alpha_bar": r"\c{alpha_bar}{\bar{\alpha}_{t}}",
    "sigma": r"\c{sigma}{\sigma_{t}}",
    "snr": r"\c{snr}{\text{SNR, dB}}",
}
CURSOR_MS = 16
"""How long the cursor waits, so that it is drawn once for all that moved it meanwhile."""

MOST_DOTS = 100
"""More steps than these are drawn as a line alone."""


class LevelPlot(QWidget):
    """Two curves or one over the run's steps, a cursor, and a click that asks for a step."""

    stepRequested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._levels: tuple[NoiseLevel, ...] = ()
        self._index = 0
        self._shown = LEVELS
        self._plot: Any = None  # a pyqtgraph.PlotWidget, once it is needed
        self._build()
        self._connect()

    def _build(self) -> None:
        self._cursor = QTimer(self, singleShot=True, interval=CURSOR_MS)
        self.setAccessibleName("noise levels over t")
        self.setToolTip(
            "ᾱ_t = α_t² is the share of the picture, σ_t the standard deviation of the noise in "
            "x_t = α_t x₀ + σ_t ε; SNR = 10 log₁₀(α_t² / σ_t²) dB. Click or drag: go to that step."
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._legend())
        self._room = QVBoxLayout()
        self._room.addStretch()  # keeps the legend at the top while there is no plot
        column.addLayout(self._room, 1)

    def _legend(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(10)
        self._names = {name: MathLabel(markup, self) for name, markup in MARKUP.items()}
        for name, label in self._names.items():
            row.addWidget(label)
            label.setVisible(name in CURVES[self._shown])
        row.addStretch(1)
        self._buttons = QButtonGroup(self)
        for which, text in ((LEVELS, "levels"), (SNR, "SNR")):
            row.addWidget(self._button(which, text))
        return row

    def _button(self, which: str, text: str) -> QToolButton:
        button = QToolButton(self)
        button.setText(text)
        button.setCheckable(True)
        button.setChecked(which == self._shown)
        button.setProperty("which", which)
        button.setProperty("small", True)
        button.setAccessibleName(f"plot {text}")
        button.setToolTip(f"Plot the {text} over t")
        self._buttons.addButton(button)
        return button

    def _connect(self) -> None:
        self._cursor.timeout.connect(self._place_cursor)
        for button in self._buttons.buttons():
            button.clicked.connect(self._on_button)

    def sizeHint(self) -> QSize:
        return QSize(250, 180)

    def minimumSizeHint(self) -> QSize:
        return QSize(200, 150)

    # what is shown -----------------------------------------------------------------------------

    def show_levels(self, levels: Sequence[NoiseLevel]) -> None:
        """The levels of a run's steps, in the order of the run."""
        levels = tuple(levels)
        if levels == self._levels:
            return
        self._levels = levels
        if self._plot is not None:
            self._draw()
        elif self.isVisible() and levels:
            QTimer.singleShot(0, self, self.prepare)

    def show_cursor(self, index: int) -> None:
        """Put the cursor on a step."""
        if index == self._index:
            return
        self._index = index
        # The pictures first: to draw the plot anew takes longer than to draw both panes.
        if self._plot is not None and not self._cursor.isActive():
            self._cursor.start()

    @Slot()
    def show_theme(self, colours: theme.Theme | None = None) -> None:
        """Draw in the colours of the current theme."""
        if self._plot is not None:
            self._dress()
            self._draw()

    @Slot()
    def prepare(self) -> None:
        """Import pyqtgraph and build the plot, if that has not happened yet."""
        if self._plot is not None or not self._levels:
            return
        self._plot = _plot_widget(self)
        self._room.addWidget(self._plot, 1)
        self._dress()
        self._draw()

    def showEvent(self, event) -> None:
        if self._plot is None and self._levels:
            QTimer.singleShot(0, self, self.prepare)
        super().showEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange:
            # Not now: while Qt goes through all widgets none of the scene's should come or go.
            QTimer.singleShot(0, self, self.show_theme)
        super().changeEvent(event)

    # drawing ------------------------------------------------------------------------------------

    def _dress(self) -> None:
        colours, font = theme.current(), QFont(self.font())
        font.setPointSizeF(max(8.5, font.pointSizeF() * 0.85))
        self._plot.setBackground(colours.colour("panel"))
        for side in ("left", "bottom"):
            axis = self._plot.getAxis(side)
            axis.setPen(colours.colour("outline"))
            axis.setTextPen(colours.colour("muted"))
            axis.setStyle(
                tickFont=font, tickLength=-4, tickTextOffset=4, hideOverlappingLabels=False
            )
        self._plot.showGrid(x=False, y=True, alpha=0.15)

    def _draw(self) -> None:
        import pyqtgraph as pg

        item = self._plot.getPlotItem()
        item.clear()
        if not self._levels:
            return
        dots = len(self._levels) <= MOST_DOTS
        for name in CURVES[self._shown]:
            colour = theme.colour_of(theme.current(), name)
            pairs = [(level.t, VALUES[name](level)) for level in self._levels]
            pairs = [pair for pair in pairs if math.isfinite(pair[1])]
            item.plot(
                [t for t, _ in pairs],
                [value for _, value in pairs],
                pen=pg.mkPen(colour, width=2),
                symbol="o" if dots else None,
                symbolSize=4,
                symbolBrush=colour,
                symbolPen=None,
                antialias=True,
            )
        self._marks = [self._mark(name) for name in CURVES[self._shown]]
        line = pg.mkPen(theme.current().colour("text"), width=1, style=Qt.PenStyle.DashLine)
        self._line = pg.InfiniteLine(0, angle=90, pen=line)
        item.addItem(self._line)
        for mark in self._marks:
            item.addItem(mark)
        self._fit()
        self._place_cursor()

    def _mark(self, name: str):
        import pyqtgraph as pg

        colours = theme.current()
        return pg.ScatterPlotItem(
            size=10,
            brush=theme.colour_of(colours, name),
            pen=pg.mkPen(colours.colour("panel"), width=2),
        )

    def _fit(self) -> None:
        times = [level.t for level in self._levels]
        low, high = min(times), max(times)
        self._plot.setXRange(low, high if high > low else low + 1, padding=0.03)
        if self._shown == LEVELS:
            self._plot.setYRange(0, 1, padding=0.05)
            self._plot.getAxis("left").setTicks([[(0, "0"), (0.5, "0.5"), (1, "1")]])
        else:
            self._plot.getAxis("left").setTicks(None)
            self._plot.enableAutoRange(axis="y")
        middle = (low + high) / 2
        ticks = [(t, f"t {t:g}" if t == high else f"{t:g}") for t in (high, round(middle), low)]
        self._plot.getAxis("bottom").setTicks([ticks])

    @Slot()
    def _place_cursor(self) -> None:
        if not self._levels:
            return
        level = self._levels[max(0, min(self._index, len(self._levels) - 1))]
        self._line.setValue(level.t)
        for name, mark in zip(CURVES[self._shown], self._marks, strict=True):
            value = VALUES[name](level)
            mark.setData([level.t], [value]) if math.isfinite(value) else mark.setData([], [])

    # asking -------------------------------------------------------------------------------------

    @Slot()
    def _on_button(self) -> None:
        checked = (button for button in self._buttons.buttons() if button.isChecked())
        self._shown = next(checked).property("which")
        for name, label in self._names.items():
            label.setVisible(name in CURVES[self._shown])
        if self._plot is not None and self._levels:
            self._draw()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._ask_for(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._ask_for(event.position())

    def _ask_for(self, pos: QPointF) -> None:
        if self._plot is not None and self._levels:
            self.stepRequested.emit(self.index_at(pos))

    def position_of(self, index: int) -> QPointF:
        """Where a step lies, half way up the plot."""
        view = self._plot.getPlotItem().getViewBox()
        scene = view.mapViewToScene(QPointF(self._levels[index].t, view.viewRect().center().y()))
        return QPointF(self._plot.mapTo(self, self._plot.mapFromScene(scene)))

    def index_at(self, pos: QPointF) -> int:
        """The step whose t is nearest to a position."""
        view = self._plot.getPlotItem().getViewBox()
        inside = self._plot.mapFrom(self, pos.toPoint())
        t = view.mapSceneToView(self._plot.mapToScene(inside)).x()
        return min(range(len(self._levels)), key=lambda i: abs(self._levels[i].t - t))


def _plot_widget(parent: QWidget):
    """A pyqtgraph plot that leaves the mouse to the widget around it."""
    import pyqtgraph as pg

    plot = pg.PlotWidget(parent)
    plot.setObjectName("levelCurves")
    plot.setFrameStyle(0)
    plot.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    plot.setMenuEnabled(False)
    plot.hideButtons()
    plot.setMouseEnabled(x=False, y=False)
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    plot.invertX(True)
    return plot
