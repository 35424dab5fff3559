"""What every plane view has around its picture: axes, a legend, an edge."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRect, QRectF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPainterPath, QPen

from diffview.frames.plane import Window
from diffview.ui import theme

CORNER = 8.0
TICK_PIXELS = 62.0
TICK_POINTS, LEGEND_POINTS = 8.0, 8.5
EDGE = 24
"""Nearer to a corner no number is written."""


def paint_axes(painter: QPainter, rect: QRect, window: Window) -> None:
    """Faint lines at round numbers, named along the left and the lower edge."""
    _use_font(painter, TICK_POINTS)
    scale = rect.width() / window.size[0]
    step = round_step(TICK_PIXELS / scale)
    for axis in (0, 1):
        first, last = window.low[axis] / step, window.high[axis] / step
        for k in range(math.ceil(first), math.floor(last) + 1):
            away = k * step - window.low[axis] if axis == 0 else window.high[axis] - k * step
            _paint_tick(painter, rect, axis, k * step, away * scale)


def _paint_tick(painter: QPainter, rect: QRect, axis: int, value: float, pixel: float) -> None:
    text = f"{value:g}".replace("-", "−")
    width, height = rect.width(), rect.height()
    if axis == 0:
        line, length = (QPointF(pixel, 0), QPointF(pixel, height)), width
        place = QPointF(pixel + 3, height - 6)
    else:
        line, length = (QPointF(0, pixel), QPointF(width, pixel)), height
        place = QPointF(6, pixel - 3)
    painter.setPen(QPen(_faint("muted", 0.16 if value else 0.34), 1))
    painter.drawLine(*line)
    if EDGE < pixel < length - EDGE:
        painter.setPen(_faint("muted", 0.9))
        painter.drawText(place, text)


def paint_legend(painter: QPainter, rect: QRect, lines: Sequence[str]) -> None:
    """Words in the upper right corner."""
    if not lines:
        return
    _use_font(painter, LEGEND_POINTS)
    metrics, right = painter.fontMetrics(), Qt.TextElideMode.ElideRight
    fitting = [metrics.elidedText(line, right, rect.width() - 40) for line in lines]
    width = max(metrics.horizontalAdvance(line) for line in fitting) + 16
    box = QRectF(rect.width() - width - 8, 8, width, metrics.height() * len(fitting) + 10)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_faint("panel", 0.82))
    painter.drawRoundedRect(box, 6, 6)
    painter.setPen(theme.current().colour("text"))
    painter.drawText(box.adjusted(8, 5, -8, -5), Qt.AlignmentFlag.AlignRight, "\n".join(fitting))


def paint_frame(painter: QPainter, rect: QRect, by_keyboard: bool) -> None:
    """Round corners and an edge; a ring for those who came by Tab."""
    corners, inside = QPainterPath(), QPainterPath()
    corners.addRect(QRectF(rect))
    inside.addRoundedRect(QRectF(rect).adjusted(0.5, 0.5, -0.5, -0.5), CORNER, CORNER)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.current().colour("window"))
    painter.drawPath(corners.subtracted(inside))
    token, width = ("accent", 1.5) if by_keyboard else ("border", 1.0)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(QPen(theme.current().colour(token), width))
    painter.drawPath(inside)


def round_step(least: float) -> float:
    """1, 2 or 5 times a power of ten, not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= least * 0.999)


def _use_font(painter: QPainter, points: float) -> None:
    font = QFont(painter.font())
    font.setPointSizeF(points)
    painter.setFont(font)


def _faint(token: str, opacity: float) -> QColor:
    colour = QColor(theme.current().colour(token))
    colour.setAlphaF(opacity)
    return colour
