"""The heaviest pictures of a sum, each with its weight: what a state could have come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QWidget

from diffview.ui import theme
from diffview.ui.views.picture_row import PictureRow

GAP, BAR, PADDING = 8, 4, 6
LEAST, MOST = 36, 128
"""Side of a picture (px)."""


@dataclass(frozen=True, slots=True, eq=False)
class Weighted:
    """A picture (H, W, 4) uint8 RGBX, its weight 0 .. 1, what stands under it, and on hover."""

    pixels: np.ndarray
    weight: float
    name: str
    help: str


class NearestView(PictureRow):
    """As many as fit in one row, the heaviest first, each over a bar of its weight."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._pictures: tuple[Weighted, ...] = ()

    def minimumSizeHint(self) -> QSize:
        return QSize(200, LEAST + self._under() + 2 * PADDING)

    def show_pictures(self, pictures: Sequence[Weighted], message: str = "") -> None:
        """These, or words."""
        self._pictures = tuple(pictures)
        spoken = "; ".join(f"{percent(one.weight)} {one.name}" for one in pictures[:4])
        self._keep([one.pixels for one in pictures], message, spoken)

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(max(8.0, font.pointSizeF() * 0.9))
        return font

    def _under(self) -> int:
        return BAR + 4 + round(2.1 * QFontMetricsF(self._font()).height())

    def _side(self) -> int:
        return max(LEAST, min(MOST, self.height() - self._under() - 2 * PADDING))

    def _wide(self) -> float:
        """A place is wide enough for its texts."""
        return max(self._side(), QFontMetricsF(self._font()).horizontalAdvance("Ankle boot"))

    def _rect(self, place: int) -> QRectF:
        top = max(PADDING, (self.height() - self._side() - self._under()) / 2)
        return QRectF(PADDING + place * (self._wide() + GAP), top, self._wide(), self._side())

    def _count(self) -> int:
        room = self.width() - 2 * PADDING + GAP
        return max(1, min(len(self._pictures), int(room // (self._wide() + GAP))))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if not self._pictures:
            self._paint_message(painter)
            painter.end()
            return
        painter.setFont(self._font())
        for place in range(self._count()):
            self._paint(painter, self._rect(place), self._pictures[place], self._images[place])
        painter.end()

    def _paint(self, painter: QPainter, rect: QRectF, one: Weighted, image: QImage) -> None:
        colours = theme.current()
        side = self._side()
        times = max(1, side // max(image.width(), image.height()))
        wide = min(side, image.width() * times)
        high = round(wide * image.height() / image.width())
        left = round(rect.center().x() - wide / 2)
        target = QRect(left, round(rect.bottom() - high), wide, high)
        painter.drawImage(target, image)
        bar = QRectF(rect.left(), rect.bottom() + 4, rect.width(), BAR)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.colour("groove"))
        painter.drawRoundedRect(bar, 2, 2)
        painter.setBrush(colours.colour("x0_hat"))
        painter.drawRoundedRect(QRectF(bar.left(), bar.top(), bar.width() * one.weight, BAR), 2, 2)
        metrics = QFontMetricsF(painter.font())
        line = QRectF(rect.left(), bar.bottom() + 1, rect.width(), metrics.height())
        painter.setPen(colours.colour("text"))
        painter.drawText(line, Qt.AlignmentFlag.AlignHCenter, percent(one.weight))
        painter.setPen(colours.colour("muted"))
        name = metrics.elidedText(one.name, Qt.TextElideMode.ElideRight, rect.width())
        below = line.translated(0, metrics.height())
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, name)

    def _help_at(self, position: QPoint) -> str:
        for place in range(self._count() if self._pictures else 0):
            if self._rect(place).adjusted(0, 0, 0, self._under()).contains(position):
                return self._pictures[place].help
        return ""


def percent(weight: float) -> str:
    """A weight as it is read."""
    if weight >= 0.9995:
        return "100 %"
    if weight >= 0.001:
        return f"{100 * weight:.1f} %"
    return "0 %"
