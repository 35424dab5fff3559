"""A glass over a picture: click a pixel, drag a region; it is framed and told."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QWidget

from diffview.ui.views.grid_view import GridView


@dataclass(frozen=True, slots=True)
class Region:
    """Pixels of a picture, from (row, column) on."""

    row: int
    column: int
    height: int = 1
    width: int = 1

    @property
    def rows(self) -> slice:
        """As NumPy takes it."""
        return slice(self.row, self.row + self.height)

    @property
    def columns(self) -> slice:
        """As NumPy takes it."""
        return slice(self.column, self.column + self.width)

    def within(self, height: int, width: int) -> Region:
        """The part of it that a picture of this size has; at least one pixel."""
        row, column = min(self.row, height - 1), min(self.column, width - 1)
        return Region(row, column, min(self.height, height - row), min(self.width, width - column))

    def words(self) -> str:
        """Where it is."""
        if self.height == self.width == 1:
            return f"row {self.row}, column {self.column}"
        last = self.row + self.height - 1, self.column + self.width - 1
        return f"rows {self.row}–{last[0]}, columns {self.column}–{last[1]}"


def between(start: tuple[int, int], end: tuple[int, int]) -> Region:
    """The region with these two corners (row, column), in any order."""
    top, left = min(start[0], end[0]), min(start[1], end[1])
    bottom, right = max(start[0], end[0]), max(start[1], end[1])
    return Region(top, left, bottom - top + 1, right - left + 1)


class RegionPicker(QWidget):
    """Lies on a grid of one picture (H, W); what it does not use goes on to the grid."""

    regionRequested = Signal(object)

    def __init__(self, view: GridView) -> None:
        super().__init__(view)
        self._view = view
        self._size = (1, 1)
        self._region: Region | None = None
        self._start: tuple[int, int] | None = None
        self.setCursor(Qt.CursorShape.CrossCursor)
        self.setMouseTracking(True)
        view.installEventFilter(self)
        self.setGeometry(view.rect())

    def show_region(self, region: Region | None, size: tuple[int, int]) -> None:
        """Frame this region of a picture of `size` (height, width)."""
        self._region, self._size = region, size
        self.update()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Cover the grid, whatever its size."""
        if event.type() == QEvent.Type.Resize:
            self.setGeometry(self._view.rect())
        return False

    def paintEvent(self, event: QPaintEvent) -> None:
        tile = self._view.tile_rect(0)
        if self._region is None or tile.isEmpty():
            return
        painter = QPainter(self)
        rect = self._rect(tile, self._region)
        for grown, colour in ((2.5, QColor(0, 0, 0)), (1.0, QColor(255, 255, 255))):
            painter.setPen(QPen(colour, 1.5))
            painter.drawRect(rect.adjusted(-grown, -grown, grown, grown))
        painter.end()

    def _rect(self, tile: QRectF, region: Region) -> QRectF:
        high, wide = tile.height() / self._size[0], tile.width() / self._size[1]
        corner = tile.topLeft() + QPointF(region.column * wide, region.row * high)
        return QRectF(corner.x(), corner.y(), region.width * wide, region.height * high)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        found = self._view.pixel_at(event.position())
        if event.button() != Qt.MouseButton.LeftButton or found is None:
            event.ignore()
            return
        self._start = found[1:]
        self.regionRequested.emit(between(self._start, self._start))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._start is None:
            event.ignore()
            return
        found = self._view.pixel_at(event.position())
        if found is not None:
            self.regionRequested.emit(between(self._start, found[1:]))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._start = None
        event.ignore()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        self.mousePressEvent(event)
