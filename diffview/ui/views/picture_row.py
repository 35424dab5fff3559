"""The base of views that draw a row of small pictures, or words where there are none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QEvent, QPoint, QSize, Qt
from PySide6.QtGui import QHelpEvent, QImage, QPainter
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from diffview.ui import theme

BESIDE = 20
"""Room left and right of the words (px)."""


class PictureRow(QWidget):
    """Keeps the pictures and the words; each picture says on hover what `_help_at` knows of it."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._images: list[QImage] = []
        self._message = ""
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def sizeHint(self) -> QSize:
        return QSize(600, 130)

    def _keep(self, pictures: Sequence[np.ndarray], message: str, spoken: str) -> None:
        """Pictures (H, W, 4) uint8 RGBX, the words for none, and what a screen reader is told."""
        self._images, self._message = [_image(pixels) for pixels in pictures], message
        self.setAccessibleDescription(" ".join((spoken or message).split()))
        self.update()

    def _paint_message(self, painter: QPainter) -> None:
        painter.setPen(theme.current().colour("muted"))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(self.rect().adjusted(BESIDE, 4, -BESIDE, -4), flags, self._message)

    def _help_at(self, position: QPoint) -> str:
        """What there is to say of the picture at a place; "" beside the pictures."""
        return ""

    def event(self, event: QEvent) -> bool:
        """Which picture it is, on hover."""
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            QToolTip.showText(
                event.globalPos(), self._help_at(event.pos()) or self.toolTip(), self
            )
            return True
        return super().event(event)


def _image(pixels: np.ndarray) -> QImage:
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    shared = QImage(pixels.data, width, height, pixels.strides[0], QImage.Format.Format_RGBX8888)
    return shared.copy()
