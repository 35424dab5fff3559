"""The film strip: the run as a row of small pictures, noise on the left, image on the right.

The strip is kept as one pixmap; a picture that arrives is painted into it and only its place is
refreshed, so that a growing run costs one small picture an update however long it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from PySide6.QtCore import QEvent, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QImage, QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffview.ui import theme

PADDING = 5
GAP = 4
LOWEST, HIGHEST = 40, 56
"""Height of a small picture, logical pixels."""


class FilmStrip(QWidget):
    """One small picture per recorded step, or as many as fit, evenly chosen."""

    stepRequested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._thumbnails: Sequence[np.ndarray] = ()
        self._expected = 0
        self._index = 0
        self._role: QColor | None = None
        self._name_of: Callable[[int], str] = self._plain_name
        self._strip = QPixmap()
        self._drawn: list[np.ndarray | None] = []
        self._places: list[QRect] = []
        self._steps: list[int] = []
        self._native = (1, 1)
        self._build()

    def _build(self) -> None:
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumSize(160, LOWEST + 2 * PADDING)
        self.setAccessibleName("film strip of the run")
        self.setToolTip("The run, step by step: click or drag to look at a step.")

    def sizeHint(self) -> QSize:
        return QSize(640, HIGHEST + 2 * PADDING)

    # what is shown -----------------------------------------------------------------------------

    def show_strip(self, thumbnails: Sequence[np.ndarray], expected: int) -> None:
        """Pictures (H, W, 4) uint8 RGBX of the steps so far, of `expected` in the whole run."""
        native = tuple(thumbnails[0].shape[:2]) if len(thumbnails) else self._native
        expected = max(expected, len(thumbnails))
        self._thumbnails = thumbnails
        if expected != self._expected or native != self._native:
            self._expected, self._native = expected, native
            self._forget()
        elif not self._strip.isNull():
            self._draw_changes()

    def show_current(self, index: int) -> None:
        """Ring the picture of this step, or the nearest one that is on the strip."""
        if index != self._index:
            self._index = index
            self.update()

    def show_role(self, colour: QColor) -> None:
        """The colour of the shown quantity, for the ring."""
        self._role = QColor(colour)
        self.update()

    def show_names(self, name_of: Callable[[int], str]) -> None:
        """What a step is called in the tool tip: with a stride, not by its place."""
        self._name_of = name_of

    def _plain_name(self, step: int) -> str:
        return f"step {step}/{self._expected - 1}"

    # where things are ---------------------------------------------------------------------------

    def steps_on_strip(self) -> list[int]:
        """The steps that have a place on the strip, left to right."""
        self._lay_out()
        return list(self._steps)

    def place_rect(self, place: int) -> QRectF:
        """Where the place-th picture lies, in logical pixels."""
        self._lay_out()
        rect, scale = self._places[place], self.devicePixelRatioF()
        return QRectF(
            rect.x() / scale, rect.y() / scale, rect.width() / scale, rect.height() / scale
        )

    def _forget(self) -> None:
        self._strip, self._places, self._steps, self._drawn = QPixmap(), [], [], []
        self.update()

    def _lay_out(self) -> None:
        if self._places or not self._expected:
            return
        scale = self.devicePixelRatioF()
        wide, high = self._thumbnail_size(scale)
        padding, gap = round(PADDING * scale), round(GAP * scale)
        room = math.floor(self.width() * scale) - 2 * padding
        count = max(1, min(self._expected, (room + gap) // (wide + gap)))
        self._steps = [round(k * (self._expected - 1) / max(1, count - 1)) for k in range(count)]
        spread = (room - count * wide) / max(1, count - 1)
        spread = min(spread, wide / 3)
        left = padding + (room - count * wide - (count - 1) * spread) / 2
        top = (math.floor(self.height() * scale) - high) // 2
        self._places = [
            QRect(round(left + k * (wide + spread)), top, wide, high) for k in range(count)
        ]
        self._drawn = [None] * count

    def _thumbnail_size(self, scale: float) -> tuple[int, int]:
        """Device pixels: whole multiples of the native size where one comes near the height."""
        height, width = self._native
        high = max(LOWEST, min(HIGHEST, self.height() - 2 * PADDING)) * scale
        whole = math.floor(high / height)
        factor = whole if whole * height >= 0.7 * high else high / height
        factor = min(factor, 2.5 * high / width)
        return max(1, round(width * factor)), max(1, round(height * factor))

    def _nearest_place(self, step: int) -> int:
        return min(range(len(self._steps)), key=lambda k: abs(self._steps[k] - step))

    def _place_at(self, x: float) -> int:
        x *= self.devicePixelRatioF()
        centres = [rect.x() + rect.width() / 2 for rect in self._places]
        return min(range(len(centres)), key=lambda k: abs(centres[k] - x))

    def _step_at(self, x: float) -> int:
        """The step of a position, also between the pictures: they are evenly chosen."""
        centres = [rect.x() + rect.width() / 2 for rect in self._places]
        return round(float(np.interp(x * self.devicePixelRatioF(), centres, self._steps)))

    # drawing ------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        if not self._expected:
            return
        if self._strip.isNull() or self._strip.devicePixelRatio() != self.devicePixelRatioF():
            self._draw_all()
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._strip)
        self._paint_ring(painter)
        painter.end()

    def _paint_ring(self, painter: QPainter) -> None:
        colour = self._role or theme.current().colour("accent")
        rect = self.place_rect(self._nearest_place(self._index))
        pen = QPen(colour, 2)
        pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
        painter.setPen(pen)
        painter.drawRect(rect.adjusted(-1, -1, 1, 1))

    def _draw_all(self) -> None:
        self._places = []
        self._lay_out()
        scale = self.devicePixelRatioF()
        self._strip = QPixmap(math.ceil(self.width() * scale), math.ceil(self.height() * scale))
        self._strip.fill(Qt.GlobalColor.transparent)
        self._strip.setDevicePixelRatio(scale)
        self._draw_empty(range(len(self._places)))
        self._draw_changes()

    def _draw_changes(self) -> None:
        """Paint the places whose picture is another than the one drawn there."""
        changed = [
            place for place in range(len(self._steps)) if self._drawn[place] is not self._at(place)
        ]
        if not changed:
            return
        self._draw_empty([place for place in changed if self._at(place) is None])
        painter = self._painter()
        for place in changed:
            picture = self._at(place)
            if picture is not None:
                _draw_picture(painter, self._places[place], picture)
            self._drawn[place] = picture
        painter.end()
        for place in changed:
            self.update(self.place_rect(place).toAlignedRect())

    def _draw_empty(self, places: Sequence[int]) -> None:
        painter = self._painter()
        painter.setCompositionMode(QPainter.CompositionMode.CompositionMode_Source)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(theme.current().colour("field"))
        for place in places:
            painter.drawRect(self._places[place])
        painter.end()

    def _painter(self) -> QPainter:
        painter = QPainter(self._strip)
        painter.scale(1 / self.devicePixelRatioF(), 1 / self.devicePixelRatioF())
        return painter

    def _at(self, place: int) -> np.ndarray | None:
        """The picture of a place; before it is there the newest, if no place before has that."""
        step, count = self._steps[place], len(self._thumbnails)
        if step < count:
            return self._thumbnails[step]
        before = self._steps[place - 1] if place else -1
        return self._thumbnails[count - 1] if before < count - 1 else None

    def changeEvent(self, event: QEvent) -> None:
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._forget()
        super().changeEvent(event)

    def resizeEvent(self, event) -> None:
        self._forget()

    # asking -------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self._expected:
            self._lay_out()
            self._ask_for(self._steps[self._place_at(event.position().x())])

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if not self._expected:
            return
        self._lay_out()
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._ask_for(self._step_at(event.position().x()))
        else:
            step = self._steps[self._place_at(event.position().x())]
            self.setToolTip(self._name_of(step))

    def _ask_for(self, step: int) -> None:
        if len(self._thumbnails):
            self.stepRequested.emit(max(0, min(step, len(self._thumbnails) - 1)))


def _draw_picture(painter: QPainter, rect: QRect, picture: np.ndarray) -> None:
    """Whole multiples are drawn pixel by pixel, other sizes smoothed from an enlarged picture."""
    height, width = picture.shape[:2]
    factor = rect.height() / height
    if factor != int(factor):
        enlarged = math.ceil(factor) if factor > 1 else 1
        picture = picture.repeat(enlarged, axis=0).repeat(enlarged, axis=1)
        height, width = picture.shape[:2]
    painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, rect.height() % height != 0)
    picture = np.ascontiguousarray(picture)
    image = QImage(picture.data, width, height, 4 * width, QImage.Format.Format_RGBX8888)
    painter.drawImage(rect, image)
