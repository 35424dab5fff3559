"""The update as a row of pictures: x_t' = w0 x0_hat + w1 x_t + s z, each term with its number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QImage, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from diffview.ui import theme
from diffview.ui.views.picture_row import PictureRow
from diffview.ui.widgets.math_label import draw_math, math_size

CAPTION, SIGN, PADDING = 24, 26, 4
"""Height of a caption, width of a sign, room around all (px)."""
LEAST, MOST = 40, 260
"""Side of a picture (px)."""
FILLED = 0.75
"""A whole multiple is drawn where it is at least this share of what there is room for."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """A picture (H, W, 4) uint8 RGBX, its caption as markup, the sign before it, what it is.

    quantity: the name whose colour frames it.
    """

    pixels: np.ndarray
    caption: str
    sign: str
    help: str
    quantity: str
    spoken: str


class UpdateView(PictureRow):
    """Tiles beside one another, as large as the room allows; words where there are none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tiles: tuple[Tile, ...] = ()

    def minimumSizeHint(self) -> QSize:
        return QSize(300, LEAST + CAPTION + 2 * PADDING)

    def show_tiles(self, tiles: Sequence[Tile], message: str = "") -> None:
        """The result and the terms it is made of; or why there are none."""
        self._tiles = tuple(tiles)
        spoken = " ".join(f"{tile.sign} {tile.spoken}" for tile in tiles)
        self._keep([tile.pixels for tile in tiles], message, spoken)

    def text(self) -> str:
        """What a screen reader is told."""
        return self.accessibleDescription()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, colours = QPainter(self), theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self._tiles:
            self._paint_message(painter)
            painter.end()
            return
        sign = QFont(self.font())
        sign.setPointSizeF(sign.pointSizeF() * 1.5)
        for place, (tile, image) in enumerate(zip(self._tiles, self._images, strict=True)):
            rect = self._rect(place)
            painter.setFont(sign)
            painter.setPen(colours.colour("muted"))
            before = QRectF(rect.left() - SIGN, rect.top(), SIGN, rect.height())
            painter.drawText(before, Qt.AlignmentFlag.AlignCenter, tile.sign)
            target = _within(rect, image)
            whole = target.width() % max(1, image.width()) == 0
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, not whole)
            painter.drawImage(target, image)
            painter.setPen(QPen(theme.colour_of(colours, tile.quantity), 1.5))
            painter.drawRect(QRectF(target).adjusted(-1, -1, 1, 1))
            under = QRectF(rect.left() - SIGN / 2, rect.bottom() + 4, rect.width() + SIGN, CAPTION)
            self._paint_caption(painter, under, tile.caption)
        painter.end()

    def _paint_caption(self, painter: QPainter, under: QRectF, caption: str) -> None:
        font = QFont(self.font())
        wide = math_size(caption, font).width()
        if wide > under.width():
            font.setPointSizeF(max(7.5, font.pointSizeF() * under.width() / wide))
        text = theme.current().colour("text")
        draw_math(painter, under, caption, font, text, Qt.AlignmentFlag.AlignHCenter)

    def _side(self) -> int:
        count = max(1, len(self._tiles))
        wide = (self.width() - 2 * PADDING - count * SIGN) // count
        return max(LEAST, min(MOST, wide, self.height() - CAPTION - 2 * PADDING - 4))

    def _rect(self, place: int) -> QRect:
        side = self._side()
        whole = len(self._tiles) * (side + SIGN) - SIGN
        left = max(PADDING, (self.width() - whole) // 2)
        top = max(PADDING, (self.height() - side - CAPTION - 4) // 2)
        return QRect(left + place * (side + SIGN), top, side, side)

    def _help_at(self, position: QPoint) -> str:
        for place, tile in enumerate(self._tiles):
            if self._rect(place).adjusted(-8, -4, 8, CAPTION + 4).contains(position):
                return tile.help
        return ""


def _within(rect: QRect, image: QImage) -> QRect:
    """The largest whole multiple of the picture inside a square, if it fills most of it."""
    longest = max(image.width(), image.height(), 1)
    times = rect.width() / longest
    times = int(times) if int(times) >= FILLED * times else times
    wide, high = round(image.width() * times), round(image.height() * times)
    left = rect.left() + (rect.width() - wide) // 2
    return QRect(left, rect.top() + (rect.height() - high) // 2, wide, high)
