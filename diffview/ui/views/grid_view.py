"""A pane of pictures: one quantity of every sample, magnified so that single pixels can be seen.

Every native pixel covers the same whole number of device pixels, at any scale of the screen. The
pictures are painted from the composed buffer itself; nothing is copied and nothing smoothed. The
view changes nothing by itself: it asks, and is told by the show_... methods, which never echo.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QApplication, QSizePolicy, QWidget

from diffview.frames.compose import Tiles
from diffview.ui import theme

PADDING = 4
MIN_GAP, MAX_GAP = 3, 8
RING = 2
"""Lengths in logical pixels; the ring fits into the smallest gap and hides no pixel."""

WHEEL_FACTOR = 1.25
SMALLEST_VIEW = 4
"""Zooming in ends when so few native pixels fill the pane."""


@dataclass(frozen=True, slots=True)
class Viewport:
    """What linked panes share: magnification, and the shift of the centre in panes' sizes."""

    zoom: float = 1.0
    x: float = 0.0
    y: float = 0.0


WHOLE = Viewport()


@dataclass(frozen=True, slots=True)
class _Grid:
    """Where tiles lie, in device pixels of the pane; `step` is one native pixel."""

    columns: int
    rows: int
    width: int
    height: int
    step: float
    gap: int
    left: int
    top: int

    def tile(self, place: int) -> QRect:
        row, column = divmod(place, self.columns)
        wide, high = round(self.width * self.step), round(self.height * self.step)
        return QRect(
            self.left + column * (wide + self.gap),
            self.top + row * (high + self.gap),
            wide,
            high,
        )


class GridView(QWidget):
    """Draws the tiles of one quantity; selection, focus, zoom and hovering are asked for."""

    sampleSelected = Signal(int)
    focusRequested = Signal(int)
    viewportRequested = Signal(object)
    hovered = Signal(int, int, int)
    unhovered = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tiles: Tiles | None = None
        self._images: list[QImage] = []
        self._message = ""
        self._role: QColor | None = None
        self._selection: int | None = None
        self._focus: int | None = None
        self._viewport = WHOLE
        self._crosshair: tuple[int, int, int] | None = None
        self._under_mouse: tuple[int, int, int] | None = None
        self._press: tuple[QPointF, Viewport] | None = None
        self._dragging = False
        self._layout: tuple[object, _Grid] | None = None
        self._build()

    def _build(self) -> None:
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 120)
        self.setAccessibleName("samples")
        self.setToolTip(
            "Click selects a sample, double click or Enter shows it alone. "
            "The wheel zooms, dragging moves, 0 shows all again."
        )

    def sizeHint(self) -> QSize:
        return QSize(360, 360)

    # what is shown -----------------------------------------------------------------------------

    def show_tiles(self, tiles: Tiles | None) -> None:
        """Draw these pictures from now on; their memory is shared, not copied."""
        self._tiles = tiles
        self._images = [] if tiles is None else [_image(pixels) for pixels in tiles.pixels]
        self.update()

    def show_message(self, text: str) -> None:
        """Words in the middle of the pane while there are no pictures."""
        self._message = text
        self.update()

    def show_role(self, colour: QColor) -> None:
        """The colour of the shown quantity, for the selection's ring."""
        self._role = QColor(colour)
        self.update()

    def show_selection(self, sample: int | None) -> None:
        """Ring this sample."""
        self._selection = sample
        self.update()

    def show_focus(self, sample: int | None) -> None:
        """Only this sample, large; None: all of them."""
        self._focus = sample
        self.update()

    def show_viewport(self, viewport: Viewport) -> None:
        """Zoom and pan as another pane asked for."""
        self._viewport = viewport
        self.update()

    def show_crosshair(self, sample: int | None, row: int = 0, column: int | None = 0) -> None:
        """Outline one pixel, the one under the mouse in a linked pane; None: no outline."""
        nowhere = sample is None or column is None or sample < 0
        crosshair = None if nowhere else (sample, row, column)
        if crosshair != self._crosshair:
            self._crosshair = crosshair
            self.update()

    def reset_viewport(self) -> None:
        """Ask for the whole grid again."""
        if self._viewport != WHOLE:
            self.viewportRequested.emit(WHOLE)

    # where things are ---------------------------------------------------------------------------

    def tile_rect(self, sample: int) -> QRectF:
        """Where a sample's picture lies, in logical pixels; empty if it is not on show."""
        grid = self._grid()
        if grid is None or sample not in self._shown():
            return QRectF()
        rect, scale = grid.tile(self._shown().index(sample)), self.devicePixelRatioF()
        return QRectF(
            rect.x() / scale, rect.y() / scale, rect.width() / scale, rect.height() / scale
        )

    def pixel_at(self, pos: QPointF | QPoint) -> tuple[int, int, int] | None:
        """(sample, row, column) of the native pixel at a logical position, None between tiles."""
        grid = self._grid()
        if grid is None:
            return None
        scale = self.devicePixelRatioF()
        point = QPoint(math.floor(pos.x() * scale), math.floor(pos.y() * scale))
        for place, sample in enumerate(self._shown()):
            rect = grid.tile(place)
            if rect.contains(point):
                row = int((point.y() - rect.y()) / grid.step)
                column = int((point.x() - rect.x()) / grid.step)
                return sample, min(row, grid.height - 1), min(column, grid.width - 1)
        return None

    def _shape(self) -> tuple[int, ...] | None:
        return None if self._tiles is None else self._tiles.pixels.shape

    def _shown(self) -> range:
        count = len(self._images)
        if self._focus is not None and 0 <= self._focus < count:
            return range(self._focus, self._focus + 1)
        return range(count)

    def _grid(self) -> _Grid | None:
        if not self._images:
            return None
        key = (self._shown(), self._shape(), self._pane(), self._viewport)
        if self._layout is None or self._layout[0] != key:
            self._layout = key, self._laid_out(self._viewport)
        return self._layout[1]

    def _laid_out(self, viewport: Viewport) -> _Grid:
        scale, pane = self.devicePixelRatioF(), self._pane()
        count, height, width = len(self._shown()), *self._shape()[1:3]
        gaps = round(MIN_GAP * scale), round(MAX_GAP * scale)
        columns, rows, fitting, gap = best_grid(count, height, width, pane, gaps)
        step = _whole(fitting * viewport.zoom)
        if viewport.zoom > 1:
            gap = gaps[0]
        used = (
            columns * round(width * step) + (columns - 1) * gap,
            rows * round(height * step) + (rows - 1) * gap,
        )
        padding = round(PADDING * scale)
        left, top = (
            padding + (room - size) // 2 + round(_within(shift, room, size) * room)
            for room, size, shift in zip(pane, used, (viewport.x, viewport.y), strict=True)
        )
        return _Grid(columns, rows, width, height, step, gap, left, top)

    def _pane(self) -> tuple[int, int]:
        """Room for tiles in device pixels."""
        scale = self.devicePixelRatioF()
        return (
            max(1, math.floor((self.width() - 2 * PADDING) * scale)),
            max(1, math.floor((self.height() - 2 * PADDING) * scale)),
        )

    # drawing ------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self._images:
            self._paint_pictures(painter)
        else:
            painter.setPen(theme.current().colour("muted"))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(24, 24, -24, -24), flags, self._message)
        painter.end()

    def _paint_pictures(self, painter: QPainter) -> None:
        grid, scale = self._grid(), self.devicePixelRatioF()
        _use_device_pixels(painter, scale)
        view = QRect(0, 0, math.ceil(self.width() * scale), math.ceil(self.height() * scale))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, grid.step < 1)
        for place, sample in enumerate(self._shown()):
            rect = grid.tile(place)
            if rect.intersects(view):
                painter.drawImage(rect, self._images[sample])
        self._paint_selection(painter, grid, scale)
        self._paint_crosshair(painter, grid, scale)

    def _paint_selection(self, painter: QPainter, grid: _Grid, scale: float) -> None:
        shown = self._shown()
        if self._selection not in shown or len(shown) == 1:
            return
        rect = grid.tile(shown.index(self._selection))
        colour = self._role or theme.current().colour("accent")
        width = round(RING * scale)
        _frame(painter, rect.adjusted(-width, -width, width, width), width, colour)

    def _paint_crosshair(self, painter: QPainter, grid: _Grid, scale: float) -> None:
        shown = self._shown()
        if self._crosshair is None or self._crosshair[0] not in shown or grid.step < 1:
            return
        sample, row, column = self._crosshair
        tile = grid.tile(shown.index(sample))
        step, width = int(grid.step), max(1, round(scale))
        pixel = QRect(tile.x() + column * step, tile.y() + row * step, step, step)
        around = pixel.adjusted(-width, -width, width, width)
        _frame(painter, around.adjusted(-width, -width, width, width), width, QColor(0, 0, 0))
        _frame(painter, around, width, QColor(255, 255, 255))

    def changeEvent(self, event: QEvent) -> None:
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self.update()
        super().changeEvent(event)

    # asking -------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() not in (Qt.MouseButton.LeftButton, Qt.MouseButton.MiddleButton):
            event.ignore()
            return
        self._press, self._dragging = (event.position(), self._viewport), False
        if event.button() == Qt.MouseButton.LeftButton and self._viewport.zoom <= 1:
            self._select(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self._press is not None and event.buttons() != Qt.MouseButton.NoButton:
            self._drag(event.position())
        if not self._dragging:
            self._hover(self.pixel_at(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        pressed, dragged = self._press, self._dragging
        self._press, self._dragging = None, False
        self.unsetCursor()
        click = pressed is not None and not dragged and pressed[1].zoom > 1
        if click and event.button() == Qt.MouseButton.LeftButton:
            self._select(event.position())

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        found = self.pixel_at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and found is not None:
            self._press = None
            self._ask_for_focus(found[0])

    def wheelEvent(self, event: QWheelEvent) -> None:
        notches = event.angleDelta().y() / 120
        if notches and self._images:
            self.viewportRequested.emit(self._zoomed(event.position(), notches))
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            self._ask_for_focus(self._selection)
        elif event.key() == Qt.Key.Key_0 and not event.modifiers():
            self.reset_viewport()
        else:
            event.ignore()  # arrows and the rest belong to the window

    def leaveEvent(self, event: QEvent) -> None:
        self._hover(None)

    def _select(self, pos: QPointF) -> None:
        found = self.pixel_at(pos)
        if found is not None:
            self.sampleSelected.emit(found[0])

    def _ask_for_focus(self, sample: int | None) -> None:
        if self._focus is not None:
            self.focusRequested.emit(-1)
        elif sample is not None:
            self.focusRequested.emit(sample)

    def _hover(self, found: tuple[int, int, int] | None) -> None:
        if found == self._under_mouse:
            return
        self._under_mouse = found
        if found is None:
            self.unhovered.emit()
        else:
            self.hovered.emit(*found)

    def _drag(self, pos: QPointF) -> None:
        start, viewport = self._press
        moved = pos - start
        if not self._dragging:
            far = moved.manhattanLength() >= QApplication.startDragDistance()
            if viewport.zoom <= 1 or not far:
                return
            self._dragging = True
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        scale, (wide, high) = self.devicePixelRatioF(), self._pane()
        x, y = viewport.x + moved.x() * scale / wide, viewport.y + moved.y() * scale / high
        self.viewportRequested.emit(self._clamped(Viewport(viewport.zoom, x, y)))

    def _zoomed(self, pos: QPointF, notches: float) -> Viewport:
        """The viewport some notches further in, the native pixel under the mouse staying there."""
        now, fitting = self._grid(), self._laid_out(WHOLE).step
        wanted = fitting * self._viewport.zoom * WHEEL_FACTOR**notches
        if notches > 0 and wanted > 1:
            wanted = max(wanted, math.floor(now.step) + 1)
        elif wanted > 1:
            wanted = min(wanted, math.ceil(now.step) - 1)
        wide, high = self._pane()
        most = max(fitting, min(wide, high) // SMALLEST_VIEW)
        zoom = max(1.0, _whole(min(wanted, most)) / fitting)
        if zoom == 1.0:
            return WHOLE
        then, scale = self._laid_out(Viewport(zoom)), self.devicePixelRatioF()
        place, right, down = _nearest(now, QPointF(pos.x() * scale, pos.y() * scale))
        rect = then.tile(place)
        x = (pos.x() * scale - rect.x() - right * then.step) / wide
        y = (pos.y() * scale - rect.y() - down * then.step) / high
        return self._clamped(Viewport(zoom, x, y))

    def _clamped(self, viewport: Viewport) -> Viewport:
        """The same zoom with the pictures kept in the pane."""
        grid, (wide, high) = self._laid_out(Viewport(viewport.zoom)), self._pane()
        last = grid.tile(grid.columns * grid.rows - 1)
        used = last.x() + last.width() - grid.left, last.y() + last.height() - grid.top
        return Viewport(
            viewport.zoom,
            _within(viewport.x, wide, used[0]),
            _within(viewport.y, high, used[1]),
        )


def best_grid(
    count: int, height: int, width: int, pane: tuple[int, int], gaps: tuple[int, int]
) -> tuple[int, int, float, int]:
    """(columns, rows, step, gap) with the largest tiles that fit; all in device pixels.

    Of equals the one with the fewest empty places, then the one nearest to the pane's shape.
    """
    best = max(
        range(1, count + 1),
        key=lambda columns: (
            _fitting(columns, count, height, width, pane, gaps[0]),
            -(columns * math.ceil(count / columns) - count),
            -abs(
                math.log((columns * width * pane[1]) / (_rows(columns, count) * height * pane[0]))
            ),
        ),
    )
    rows, step = _rows(best, count), _fitting(best, count, height, width, pane, gaps[0])
    spare = min(
        (room - n * size * step) // (n - 1) if n > 1 else gaps[1]
        for room, n, size in ((pane[0], best, width), (pane[1], rows, height))
    )
    return best, rows, step, int(max(gaps[0], min(gaps[1], spare)))


def _rows(columns: int, count: int) -> int:
    return math.ceil(count / columns)


def _fitting(
    columns: int, count: int, height: int, width: int, pane: tuple[int, int], gap: int
) -> float:
    rows = _rows(columns, count)
    wide = (pane[0] - (columns - 1) * gap) / (columns * width)
    high = (pane[1] - (rows - 1) * gap) / (rows * height)
    return _whole(max(min(wide, high), 1 / max(width, height)), down=True)


def _whole(step: float, down: bool = False) -> float:
    """Whole device pixels for a native pixel wherever it covers at least one."""
    if step < 1:
        return step
    return math.floor(step + 1e-9) if down else round(step)


def _within(shift: float, room: int, used: int) -> float:
    most = max(0.0, (used - room) / 2 / room)
    return max(-most, min(most, shift))


def _nearest(grid: _Grid, point: QPointF) -> tuple[int, float, float]:
    """(place, native pixels right, and down) of the tile nearest to a device position."""
    first = grid.tile(0)
    column = (point.x() - grid.left) // (first.width() + grid.gap)
    row = (point.y() - grid.top) // (first.height() + grid.gap)
    column = int(max(0, min(grid.columns - 1, column)))
    row = int(max(0, min(grid.rows - 1, row)))
    rect = grid.tile(row * grid.columns + column)
    return (
        row * grid.columns + column,
        (point.x() - rect.x()) / grid.step,
        (point.y() - rect.y()) / grid.step,
    )


def _image(pixels) -> QImage:
    """A QImage on the memory of (H, W, 4) uint8; the Tiles keep that memory alive."""
    height, width = pixels.shape[:2]
    return QImage(pixels.data, width, height, pixels.strides[0], QImage.Format.Format_RGBX8888)


def _use_device_pixels(painter: QPainter, scale: float) -> None:
    """One unit of the painter is one device pixel from here on, aligned also at 125 or 150 %."""
    painter.scale(1 / scale, 1 / scale)
    origin = painter.deviceTransform()
    painter.translate(
        round(origin.dx()) - origin.dx(),
        round(origin.dy()) - origin.dy(),
    )


def _frame(painter: QPainter, rect: QRect, width: int, colour: QColor) -> None:
    """A frame inside `rect`, `width` device pixels thick, with sharp edges."""
    pen = QPen(colour, width)
    pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    half = width / 2
    painter.drawRect(QRectF(rect).adjusted(half, half, -half, -half))
