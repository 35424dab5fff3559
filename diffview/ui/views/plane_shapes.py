"""What a plane view draws over its ground, and how: lines, paths, arrows, dots."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QLineF, QPointF, Qt
from PySide6.QtGui import QColor, QPainter, QPen, QPolygonF

from diffview.ui import theme

Float64 = NDArray[np.float64]
ToPixels = Callable[[Float64], Float64]
"""(..., 2) in data units -> the same in the widget's pixels."""

HEAD, HEAD_ANGLE = 0.32, 0.45
"""An arrow's head: its share of the shaft, and half its opening in radians."""
LONGEST_HEAD = 7.0
LEAST = 1.5
"""Shorter arrows, in pixels, are not drawn: they would be dots."""


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Segments (M, 2, 2) in data units, in the colour of a theme's token."""

    segments: Float64
    token: str
    opacity: float = 1.0
    width: float = 1.0

    def paint(self, painter: QPainter, to_pixels: ToPixels) -> None:
        """Draw them."""
        painter.setPen(_pen(self.token, self.opacity, self.width))
        painter.drawLines(_lines(to_pixels(self.segments)))


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Polylines (L, P, 2); the last place is where they have come to."""

    places: Float64
    token: str
    opacity: float = 1.0
    width: float = 1.0
    smooth: bool = True

    def paint(self, painter: QPainter, to_pixels: ToPixels) -> None:
        """Draw them."""
        painter.setPen(_pen(self.token, self.opacity, self.width))
        # Thousands of lines: smooth ones would take ten times as long.
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, self.smooth)
        pixels = to_pixels(self.places)
        ends = np.stack([pixels[:, :-1], pixels[:, 1:]], axis=2).reshape(-1, 2, 2)
        painter.drawLines(_lines(ends))
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)


@dataclass(frozen=True, slots=True, eq=False)
class Arrows:
    """From starts (B, 2) to ends (B, 2), with a head; `dots` marks where they lead."""

    starts: Float64
    ends: Float64
    token: str
    opacity: float = 1.0
    width: float = 1.2
    dots: bool = False

    def paint(self, painter: QPainter, to_pixels: ToPixels) -> None:
        """Draw them."""
        painter.setPen(_pen(self.token, self.opacity, self.width))
        starts, ends = to_pixels(self.starts), to_pixels(self.ends)
        seen = np.linalg.norm(ends - starts, axis=1) > LEAST
        starts, ends = starts[seen], ends[seen]
        painter.drawLines(_lines(with_heads(starts, ends)))
        if self.dots:
            _dots(painter, ends, 2.4, self.token, self.opacity)


@dataclass(frozen=True, slots=True, eq=False)
class Dots:
    """Places (n, 2) as round dots; the one numbered `ringed` stands out."""

    places: Float64
    token: str
    radius: float = 4.0
    opacity: float = 1.0
    ringed: int | None = None
    outlined: bool = True

    def paint(self, painter: QPainter, to_pixels: ToPixels) -> None:
        """Draw them."""
        pixels = to_pixels(self.places)
        if self.outlined:
            _dots(painter, pixels, self.radius + 1.2, "window", self.opacity)
        _dots(painter, pixels, self.radius, self.token, self.opacity)
        if self.ringed is not None and self.ringed < len(pixels):
            painter.setPen(QPen(theme.current().colour("text"), 1.8))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            reach = self.radius + 3
            painter.drawEllipse(QPointF(*pixels[self.ringed]), reach, reach)


Shape = Lines | Paths | Arrows | Dots


def with_heads(starts: Float64, ends: Float64) -> Float64:
    """The shafts (B, 2, 2) of arrows in pixels, and the two lines of each head."""
    back = starts - ends
    length = np.linalg.norm(back, axis=1, keepdims=True)
    head = back / np.maximum(length, 1e-9) * np.minimum(HEAD * length, LONGEST_HEAD)
    lines = [np.stack([starts, ends], axis=1)]
    for angle in (HEAD_ANGLE, -HEAD_ANGLE):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        lines.append(np.stack([ends, ends + head @ turn], axis=1))
    return np.concatenate(lines)


def _lines(pixels: Float64) -> list[QLineF]:
    flat = pixels.reshape(-1, 4)
    return [QLineF(*row) for row in flat[np.isfinite(flat).all(axis=1)].tolist()]


def _pen(token: str, opacity: float, width: float) -> QPen:
    colour = QColor(theme.current().colour(token))
    colour.setAlphaF(opacity)
    pen = QPen(colour, width)
    pen.setCapStyle(Qt.PenCapStyle.RoundCap)
    return pen


def _dots(painter: QPainter, pixels: Float64, radius: float, token: str, opacity: float) -> None:
    painter.setPen(_pen(token, opacity, 2 * radius))
    good = pixels[np.isfinite(pixels).all(axis=1)]
    painter.drawPoints(QPolygonF([QPointF(x, y) for x, y in good.tolist()]))
