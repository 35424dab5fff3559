"""How open each token of a run was: its entropy over the run, with a cursor; a click goes on."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QFont, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QWidget

from diffview.ui import theme

LEFT, BOTTOM, TOP, RIGHT = 26, 18, 6, 6
"""Room around the curve (px)."""


class EntropyPlot(QWidget):
    """The entropy in nats of every token so far of one sample, 0 to log K."""

    stepRequested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values = np.zeros(0, np.float32)
        self._count, self._most, self._stride, self._step = 1, 1.0, 1, 0
        self.setObjectName("entropyPlot")
        self.setAccessibleName("entropy over the run")
        self.setToolTip(
            "−Σ p log p of what each token was drawn from, in nats, from 0 to log K of K tokens, "
            "for the selected sample. Click or drag: go to that token."
        )

    def sizeHint(self) -> QSize:
        return QSize(250, 150)

    def minimumSizeHint(self) -> QSize:
        return QSize(180, 120)

    def show_entropy(self, values: np.ndarray, count: int, codes: int, stride: int = 1) -> None:
        """values (n,) of the first n of `count` tokens of `codes`; records are `stride` apart."""
        self._values = np.asarray(values, np.float64)
        self._count, self._most, self._stride = count, math.log(max(2, codes)), stride
        self.update()

    def show_cursor(self, step: int) -> None:
        """Put the cursor on a token."""
        if step != self._step:
            self._step = step
            self.update()

    def _room(self) -> QRectF:
        return QRectF(LEFT, TOP, self.width() - LEFT - RIGHT, self.height() - TOP - BOTTOM)

    def _at(self, token: float, value: float) -> QPointF:
        room = self._room()
        x = room.left() + room.width() * token / max(1, self._count - 1)
        return QPointF(x, room.bottom() - room.height() * min(1.0, value / self._most))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours, font = theme.current(), QFont(self.font())
        font.setPointSizeF(max(8.5, font.pointSizeF() * 0.85))
        painter.setFont(font)
        self._paint_axes(painter)
        painter.setPen(QPen(theme.colour_of(colours, "entropy"), 1.5))
        known = np.flatnonzero(np.isfinite(self._values))
        painter.drawPolyline(QPolygonF([self._at(k, self._values[k]) for k in known.tolist()]))
        pen = QPen(colours.colour("text"), 1, Qt.PenStyle.DashLine)
        painter.setPen(pen)
        here = min(self._step, self._count - 1)
        painter.drawLine(self._at(here, 0), self._at(here, self._most))
        painter.end()

    def _paint_axes(self, painter: QPainter) -> None:
        colours, room = theme.current(), self._room()
        painter.setPen(colours.colour("outline"))
        painter.drawLine(room.bottomLeft(), room.bottomRight())
        painter.drawLine(room.bottomLeft(), room.topLeft())
        painter.setPen(colours.colour("muted"))
        for value, text in ((0.0, "0"), (self._most, f"{self._most:.1f}")):
            y = self._at(0, value).y()
            where = QRectF(0, y - 8, LEFT - 4, 16)
            painter.drawText(where, Qt.AlignmentFlag.AlignRight, text)
        below = QRectF(room.left(), room.bottom() + 2, room.width(), BOTTOM)
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, "token 0")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{self._count - 1}")

    def index_at(self, x: float) -> int:
        """The record of a position."""
        room = self._room()
        share = max(0.0, min(1.0, (x - room.left()) / max(1.0, room.width())))
        return round(share * (self._count - 1) / self._stride)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self.stepRequested.emit(self.index_at(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.stepRequested.emit(self.index_at(event.position().x()))
