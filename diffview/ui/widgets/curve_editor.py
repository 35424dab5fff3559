"""How much of γ acts along the run: a curve over λ = log(α/σ), drawn and dragged.

Left is noise, right the picture. A double click adds a knot, a drag moves it, a right click or
Delete takes it away. Between knots the factor is linear in λ, beyond them constant; without knots
it is 1 everywhere. What an interval of σ/α leaves out is shaded.
"""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QFontMetricsF, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffview.engine.spec import Curve
from diffview.ui import theme

HIGHEST = 2.0
"""The largest factor a mouse can reach; a typed one may be larger."""
REACH = 8.0
KNOT = 4.5
MARGIN = 8
LEAST_APART = 1e-3
"""Between two knots, in nats."""


class CurveEditor(QWidget):
    """`curveChanged` while it is dragged, `settled` when the mouse or key is let go."""

    curveChanged = Signal(object)
    settled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._curve: Curve = ()
        self._span, self._guided = (-5.0, 5.0), (-np.inf, np.inf)
        self._held: int | None = None
        self._chosen: int | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    # -- state --------------------------------------------------------------------------------

    def show_span(self, low: float, high: float) -> None:
        """The λ of the noisiest and of the cleanest level, nats."""
        self._span = (max(low, -12.0), min(high, 12.0))
        self.update()

    def show_curve(self, curve: Curve) -> None:
        """Show knots (λ, factor)."""
        if curve != self._curve:
            self._curve, self._chosen = curve, None if self._held is None else self._chosen
            self.update()

    def show_guided(self, low: float, high: float) -> None:
        """Guidance acts from λ = low up to below high; the rest is shaded."""
        self._guided = (low, high)
        self.update()

    @property
    def curve(self) -> Curve:
        """The knots."""
        return self._curve

    # -- where things are ---------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        """Small: it is one of many fields."""
        return QSize(180, 96)

    def minimumSizeHint(self) -> QSize:
        """As high as it is."""
        return QSize(120, 96)

    def place(self, lam: float, factor: float) -> QPointF:
        """Where (λ, factor) is drawn."""
        area, (low, high) = self._area(), self._span
        x = area.left() + (lam - low) / (high - low) * area.width()
        return QPointF(x, area.bottom() - factor / HIGHEST * area.height())

    def knot_at(self, point: QPointF) -> int | None:
        """The knot under a point, if there is one."""
        for k, knot in enumerate(self._curve):
            away = self.place(*knot) - point
            if abs(away.x()) <= REACH and abs(away.y()) <= REACH:
                return k
        return None

    def _value(self, point: QPointF) -> tuple[float, float]:
        area, (low, high) = self._area(), self._span
        share = min(max((point.x() - area.left()) / area.width(), 0.0), 1.0)
        up = min(max((area.bottom() - point.y()) / area.height(), 0.0), 1.0)
        return round(low + share * (high - low), 2), round(up * HIGHEST, 2)

    def _area(self) -> QRectF:
        below = self._metrics().height()
        return QRectF(self.rect()).adjusted(MARGIN, MARGIN, -MARGIN, -below - 3)

    def _small(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(max(8.5, font.pointSizeF() * 0.85))
        return font

    def _metrics(self) -> QFontMetricsF:
        return QFontMetricsF(self._small())

    # -- drawing ------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        """Frame, the line of 1, what is left out, the curve and its knots."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme.current()
        painter.setPen(QPen(colours.colour("accent" if self.hasFocus() else "border")))
        painter.setBrush(colours.colour("field"))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6)
        self._paint_left_out(painter)
        self._paint_axes(painter)
        self._paint_curve(painter)
        painter.end()

    def _paint_left_out(self, painter: QPainter) -> None:
        area, (low, high) = self._area(), self._span
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.current().colour("groove"))
        for left, right in ((low, self._guided[0]), (self._guided[1], high)):
            x, end = (self.place(min(max(lam, low), high), 0).x() for lam in (left, right))
            if end > x:
                painter.drawRect(QRectF(x, area.top(), end - x, area.height()))

    def _paint_axes(self, painter: QPainter) -> None:
        area, colours = self._area(), theme.current()
        painter.setPen(QPen(colours.colour("outline"), 1, Qt.PenStyle.DashLine))
        painter.drawLine(self.place(self._span[0], 1), self.place(self._span[1], 1))
        painter.setFont(self._small())
        painter.setPen(colours.colour("muted" if self.isEnabled() else "disabled"))
        below = QRectF(area.left(), area.bottom() + 2, area.width(), self._metrics().height())
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "noise")
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, "λ = log α/σ")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, "image")
        painter.drawText(self.place(self._span[0], 1) + QPointF(2, -3), "1")

    def _paint_curve(self, painter: QPainter) -> None:
        colours = theme.current()
        colour = colours.colour("gamma" if self.isEnabled() else "disabled")
        knots = self._curve or ((0.0, 1.0),)
        ends = ((self._span[0], knots[0][1]), *knots, (self._span[1], knots[-1][1]))
        painter.setPen(QPen(colour, 2))
        painter.setClipRect(QRectF(self.rect()).adjusted(1, 1, -1, -1))
        painter.drawPolyline([self.place(*knot) for knot in ends])
        for k, knot in enumerate(self._curve):
            chosen = k == self._chosen and self.hasFocus()
            painter.setPen(QPen(colours.colour("text") if chosen else colour, 2))
            painter.setBrush(colour)
            painter.drawEllipse(self.place(*knot), KNOT, KNOT)

    # -- asking -------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold of a knot; with the right button take it away."""
        found = self.knot_at(event.position())
        if found is not None and event.button() == Qt.MouseButton.RightButton:
            self._remove(found)
        elif event.button() == Qt.MouseButton.LeftButton:
            self._held = self._chosen = found
            self.update()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Add a knot under the mouse and take hold of it."""
        if (
            event.button() != Qt.MouseButton.LeftButton
            or self.knot_at(event.position()) is not None
        ):
            return
        knot = self._value(event.position())
        if all(abs(knot[0] - lam) > LEAST_APART for lam, _ in self._curve):
            curve = tuple(sorted((*self._curve, knot)))
            self._held = self._chosen = curve.index(knot)
            self._change(curve)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move the knot that is held, between its neighbours."""
        if self._held is not None:
            self._move(self._held, *self._value(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Let go."""
        if self._held is not None:
            self._held = None
            self.settled.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Delete takes the chosen knot away, Up and Down move it by a twentieth."""
        chosen = self._chosen
        if chosen is None or chosen >= len(self._curve):
            super().keyPressEvent(event)
        elif event.key() in (Qt.Key.Key_Delete, Qt.Key.Key_Backspace):
            self._remove(chosen)
        elif event.key() in (Qt.Key.Key_Up, Qt.Key.Key_Down):
            lam, factor = self._curve[chosen]
            self._move(chosen, lam, factor + (0.05 if event.key() == Qt.Key.Key_Up else -0.05))
            self.settled.emit()
        else:
            super().keyPressEvent(event)

    def _move(self, k: int, lam: float, factor: float) -> None:
        before = self._curve[k - 1][0] + LEAST_APART if k > 0 else -np.inf
        after = self._curve[k + 1][0] - LEAST_APART if k + 1 < len(self._curve) else np.inf
        knot = (float(min(max(lam, before), after)), round(factor, 4))
        self._change((*self._curve[:k], knot, *self._curve[k + 1 :]))

    def _remove(self, k: int) -> None:
        self._held = self._chosen = None
        self._change((*self._curve[:k], *self._curve[k + 1 :]))
        self.settled.emit()

    def _change(self, curve: Curve) -> None:
        if curve != self._curve:
            self._curve = curve
            self.update()
            self.curveChanged.emit(curve)
