"""A plot of a few curves over one axis, with a cursor; pyqtgraph is imported when first needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import QFont, QMouseEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from diffview.ui import theme

DRAW_MS = 80
"""Curves that change many times a second are drawn once for all that came meanwhile."""
FAINT = 90
"""Opacity of a faint curve, of 255."""
HEADROOM = 0.06
RIGHT = 14
"""Room right of the curves (px)."""
FROM_ZERO = 0.5
"""Where the lowest value is less than this share of the highest, the axis begins at 0."""


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """x and y (n,); `token` is a colour of the theme. Dots mark single values."""

    x: np.ndarray
    y: np.ndarray
    token: str
    faint: bool = False
    dots: bool = False
    line: bool = True


class CurvePlot(QWidget):
    """Curves as they are given; a click or a drag asks for a place on the axis."""

    placeRequested = Signal(float)

    def __init__(
        self, unit: str, *, noise_left: bool = False, parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._unit, self._noise_left = unit, noise_left
        self._curves: tuple[Curve, ...] = ()
        self._cursor: float | None = None
        self._log = False
        self._message = ""
        self._plot: Any = None
        self._items: list[Any] = []
        self._build()

    def _build(self) -> None:
        self._due = QTimer(self, singleShot=True, interval=DRAW_MS)
        self._due.timeout.connect(self._draw)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self._room = QVBoxLayout(self)
        self._room.setContentsMargins(0, 0, 0, 0)

    def sizeHint(self) -> QSize:
        return QSize(300, 180)

    def minimumSizeHint(self) -> QSize:
        return QSize(160, 90)

    # what is shown -----------------------------------------------------------------------------

    def show_curves(self, curves: Sequence[Curve]) -> None:
        """Draw these, the last one on top."""
        self._curves = tuple(curves)
        self._draw_soon()

    def show_cursor(self, place: float | None) -> None:
        """A dashed line at a place of the axis."""
        if place != self._cursor:
            self._cursor = place
            self._draw_soon()

    def show_log(self, log: bool) -> None:
        """Whether the values are drawn by their logarithm."""
        self._log = log
        self._draw_soon()

    def show_message(self, text: str) -> None:
        """Words in place of the plot."""
        self._message = text
        if self._plot is not None:
            self._plot.setVisible(not text)
        self.update()

    def show_theme(self) -> None:
        """Draw in the colours of the current theme."""
        if self._plot is not None:
            self._dress()
        self._draw_soon()
        self.update()

    def _draw_soon(self) -> None:
        if self.isVisible() and not self._due.isActive():
            self._due.start()

    def showEvent(self, event) -> None:
        self._draw_soon()
        super().showEvent(event)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() == QEvent.Type.PaletteChange:
            self.show_theme()
        super().changeEvent(event)

    # drawing ------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        if self._message:
            painter = QPainter(self)
            painter.setPen(theme.current().colour("muted"))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(16, 8, -16, -8), flags, self._message)
            painter.end()

    @Slot()
    def _draw(self) -> None:
        if self._plot is None:
            if not self._curves:
                return
            self._plot = _plot_widget(self)
            self._plot.invertX(self._noise_left)
            self._room.addWidget(self._plot)
            self._plot.setVisible(not self._message)
            self._dress()
        self._place_curves()
        self._place_cursor()
        self._fit()

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
            axis.enableAutoSIPrefix(False)
        self._plot.getAxis("left").setWidth(44)
        self._plot.getAxis("left").setTickDensity(0.5)
        self._plot.showGrid(x=False, y=True, alpha=0.15)

    def _place_curves(self) -> None:
        import pyqtgraph as pg

        item = self._plot.getPlotItem()
        while len(self._items) < len(self._curves):
            made = pg.PlotDataItem()
            made.setDownsampling(auto=True, method="peak")
            made.setClipToView(True)
            item.addItem(made)
            self._items.append(made)
        for made in self._items[len(self._curves) :]:
            made.setData([], [])
        for made, curve in zip(self._items, self._curves, strict=False):
            self._place(made, curve)

    def _place(self, made: Any, curve: Curve) -> None:
        import pyqtgraph as pg

        colour = theme.current().colour(curve.token)
        if curve.faint:
            colour.setAlpha(FAINT)
        x, y = self._drawn(curve)
        made.setData(x, y)
        # A wide pen with opacity is a hundred times slower than one of width 1.
        width = 1 if curve.faint else 2
        made.setPen(pg.mkPen(colour, width=width) if curve.line else None)
        made.setSymbol("o" if curve.dots else None)
        made.setSymbolSize(5)
        made.setSymbolBrush(colour)
        made.setSymbolPen(None)

    def _drawn(self, curve: Curve) -> tuple[np.ndarray, np.ndarray]:
        """What can be drawn: finite, and above 0 for a logarithm."""
        x, y = np.asarray(curve.x, np.float64), np.asarray(curve.y, np.float64)
        good = np.isfinite(y) & ((y > 0) if self._log else True)
        return x[good], np.log10(y[good]) if self._log else y[good]

    def _place_cursor(self) -> None:
        import pyqtgraph as pg

        if not hasattr(self, "_line"):
            self._line = pg.InfiniteLine(0, angle=90)
            self._plot.getPlotItem().addItem(self._line, ignoreBounds=True)
        pen = pg.mkPen(theme.current().colour("text"), width=1, style=Qt.PenStyle.DashLine)
        self._line.setPen(pen)
        self._line.setVisible(self._cursor is not None)
        if self._cursor is not None:
            self._line.setValue(self._cursor)

    def _fit(self) -> None:
        drawn = [(curve, *self._drawn(curve)) for curve in self._curves]
        drawn = [one for one in drawn if len(one[1])]
        if not drawn:
            return
        left = min(float(x.min()) for _, x, _ in drawn)
        right = max(float(x.max()) for _, x, _ in drawn)
        self._plot.setXRange(left, right if right > left else left + 1, padding=0.02)
        self._fit_values([y for curve, _, y in drawn if not curve.faint] or [drawn[0][2]])
        self._name_values()
        ticks = self._ticks(left, right)
        self._plot.getAxis("bottom").setTicks([ticks])

    def _fit_values(self, values: list[np.ndarray]) -> None:
        """All of what is drawn strongly; faint curves may leave the plot."""
        low = min(float(y.min()) for y in values)
        high = max(float(y.max()) for y in values)
        from_zero = not self._log and 0 <= low < FROM_ZERO * high
        low = 0.0 if from_zero else low
        room = HEADROOM * (high - low) or 0.1
        self._plot.setYRange(low - (0 if from_zero else room), high + room, padding=0)

    def _name_values(self) -> None:
        """On a logarithmic axis the values themselves, at 1, 2 and 5 of each decade."""
        axis = self._plot.getAxis("left")
        if not self._log:
            axis.setTicks(None)
            return
        decades = range(-6, 6)
        names = [(math.log10(k * 10**d), f"{k * 10.0**d:g}") for d in decades for k in (1, 2, 5)]
        axis.setTicks([names])

    def _ticks(self, left: float, right: float) -> list[tuple[float, str]]:
        middle = round((left + right) / 2)
        places = [left, middle, right] if left < middle < right else [left, right]
        first = places[-1] if self._noise_left else places[0]
        return [(at, f"{self._unit} {at:,.0f}" if at == first else f"{at:,.0f}") for at in places]

    # asking -------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._ask_for(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._ask_for(event.position())

    def _ask_for(self, pos: QPointF) -> None:
        if self._plot is not None and self._curves:
            view = self._plot.getPlotItem().getViewBox()
            inside = self._plot.mapFrom(self, pos.toPoint())
            self.placeRequested.emit(float(view.mapSceneToView(self._plot.mapToScene(inside)).x()))


def _plot_widget(parent: QWidget) -> Any:
    """A pyqtgraph plot that leaves the mouse to the widget around it."""
    import pyqtgraph as pg

    plot = pg.PlotWidget(parent)
    plot.setFrameStyle(0)
    # The last number of the axis stands in the middle below the end: half of it needs room.
    plot.getPlotItem().setContentsMargins(0, 0, RIGHT, 0)
    plot.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
    plot.setMenuEnabled(False)
    plot.hideButtons()
    plot.setMouseEnabled(x=False, y=False)
    plot.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    return plot
