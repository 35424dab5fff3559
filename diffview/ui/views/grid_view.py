"""A pane of pictures: one quantity of every sample, magnified so that single pixels can be seen.

Every native pixel covers the same whole number of device pixels, at any scale of the screen. The
pictures are painted from the composed buffer, never from a magnified copy of it. The view changes
nothing by itself: it asks, and is told by the show_... methods, which never echo.
"""

from __future__ import annotations

import math

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, QSize, Qt, Signal, Slot
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
from diffview.ui.views.focused import FocusedView
from diffview.ui.views.grid_layout import WHOLE, Grid, Room, Viewport, lay_out, panned, zoomed

PADDING = 4
MIN_GAP, MAX_GAP = 3, 8
RING = 2
"""Lengths in logical pixels; the ring fits into the smallest gap and hides no pixel."""

CONVERTED = 2**20
"""Up to so many bytes of tiles are worth turning into the screen's format."""


class GridView(FocusedView):
    """Draws the tiles of one quantity; selection, focus, zoom and hovering are asked for."""

    sampleSelected = Signal(int)
    focusRequested = Signal(int)
    viewportRequested = Signal(object)
    narrowed = Signal(str)
    """"zoomed", "alone" (one sample), or "" when all is shown."""
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
        self._crosshair: tuple[int, int, int, int] | None = None
        self._under_mouse: tuple[int, int, int] | None = None
        self._press: tuple[QPointF, Viewport] | None = None
        self._dragging = False
        self._layout: tuple[object, Grid] | None = None
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
        self._images = [] if tiles is None else _images(tiles)
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
        self._narrow(sample, self._viewport)

    def show_viewport(self, viewport: Viewport) -> None:
        """Zoom and pan as another pane asked for."""
        self._narrow(self._focus, viewport)

    def _narrow(self, focus: int | None, viewport: Viewport) -> None:
        before = self.how_narrow
        self._focus, self._viewport = focus, viewport
        self.update()
        if self.how_narrow != before:
            self.narrowed.emit(self.how_narrow)

    @property
    def how_narrow(self) -> str:
        """Whether less than all is shown, as `narrowed` says it."""
        if self._viewport.zoom > 1:
            return "zoomed"
        return "" if self._focus is None else "alone"

    @Slot()
    def widen(self) -> None:
        """Ask for one step back: from the zoom first, then from one sample alone."""
        if self._viewport.zoom > 1:
            self.reset_viewport()
        elif self._focus is not None:
            self.focusRequested.emit(-1)

    def show_crosshair(
        self, sample: int | None, row: int = 0, column: int | None = 0, side: int = 1
    ) -> None:
        """Outline one pixel, the one under the mouse in a linked pane, or `side` x `side` of them
        from there on; None: no outline."""
        crosshair = None
        if sample is not None and column is not None and sample >= 0:
            crosshair = sample, row, column, side
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
        scale = self.devicePixelRatioF()
        tile = grid.tile(self._shown().index(sample))
        return QRectF(*(length / scale for length in tile))

    def pixel_at(self, pos: QPointF | QPoint) -> tuple[int, int, int] | None:
        """(sample, row, column) of the native pixel at a logical position, None between tiles."""
        grid, shown = self._grid(), self._shown()
        found = None if grid is None else grid.pixel(self._device(pos))
        if found is None or found[0] >= len(shown):
            return None
        return shown[found[0]], *found[1:]

    def _device(self, pos: QPointF | QPoint) -> tuple[float, float]:
        scale = self.devicePixelRatioF()
        return pos.x() * scale, pos.y() * scale

    def _shown(self) -> range:
        count = len(self._images)
        if self._focus is not None and 0 <= self._focus < count:
            return range(self._focus, self._focus + 1)
        return range(count)

    def _grid(self) -> Grid | None:
        if not self._images:
            return None
        key = self._room(), self._viewport
        if self._layout is None or self._layout[0] != key:
            self._layout = key, lay_out(*key)
        return self._layout[1]

    def _room(self) -> Room:
        scale, image = self.devicePixelRatioF(), self._images[0]
        inside = self.width() - 2 * PADDING, self.height() - 2 * PADDING
        return Room(
            count=len(self._shown()),
            height=image.height(),
            width=image.width(),
            pane=(max(1, math.floor(inside[0] * scale)), max(1, math.floor(inside[1] * scale))),
            gaps=(round(MIN_GAP * scale), round(MAX_GAP * scale)),
            padding=round(PADDING * scale),
        )

    # drawing ------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        grid = self._grid()
        if grid is not None:
            self._paint_pictures(painter, grid)
        else:
            painter.setPen(theme.current().colour("muted"))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(self.rect().adjusted(24, 24, -24, -24), flags, self._message)
        if self._by_keyboard:
            self._paint_focus(painter)
        painter.end()

    def _paint_pictures(self, painter: QPainter, grid: Grid) -> None:
        scale = self.devicePixelRatioF()
        painter.save()
        _use_device_pixels(painter, scale)
        view = QRect(0, 0, math.ceil(self.width() * scale), math.ceil(self.height() * scale))
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, grid.step < 1)
        for place, sample in enumerate(self._shown()):
            rect = QRect(*grid.tile(place))
            if rect.intersects(view):
                painter.drawImage(rect, self._images[sample])
        self._paint_selection(painter, grid, scale)
        self._paint_crosshair(painter, grid, scale)
        painter.restore()

    def _paint_selection(self, painter: QPainter, grid: Grid, scale: float) -> None:
        shown = self._shown()
        if self._selection is None or self._selection not in shown or len(shown) == 1:
            return
        rect = QRect(*grid.tile(shown.index(self._selection)))
        colour = self._role or theme.current().colour("accent")
        width = round(RING * scale)
        _frame(painter, rect.adjusted(-width, -width, width, width), width, colour)

    def _paint_crosshair(self, painter: QPainter, grid: Grid, scale: float) -> None:
        shown = self._shown()
        if self._crosshair is None or self._crosshair[0] not in shown or grid.step < 1:
            return
        sample, row, column, side = self._crosshair
        left, top, _, _ = grid.tile(shown.index(sample))
        step, width = int(grid.step), max(1, round(scale))
        pixel = QRect(left + column * step, top + row * step, side * step, side * step)
        around = pixel.adjusted(-width, -width, width, width)
        _frame(painter, around.adjusted(-width, -width, width, width), width, QColor(0, 0, 0))
        _frame(painter, around, width, QColor(255, 255, 255))

    def _paint_focus(self, painter: QPainter) -> None:
        """A ring around the pane, for those who came by Tab."""
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(theme.current().colour("accent"), 1.5))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)

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
            self._drag(event.position(), *self._press)
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
            point = self._device(event.position())
            self.viewportRequested.emit(zoomed(self._room(), self._viewport, point, notches))
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

    def _drag(self, pos: QPointF, start: QPointF, viewport: Viewport) -> None:
        moved = pos - start
        if not self._dragging:
            far = moved.manhattanLength() >= QApplication.startDragDistance()
            if viewport.zoom <= 1 or not far:
                return
            self._dragging = True
            self.setCursor(Qt.CursorShape.ClosedHandCursor)
        self.viewportRequested.emit(panned(self._room(), viewport, self._device(moved)))


def _images(tiles: Tiles) -> list[QImage]:
    """QImages on the memory of the tiles, (B, H, W, 4) uint8, which must stay alive.

    Small pictures are turned into the screen's own format: that costs a few microseconds and
    halves the time of every painting.
    """
    height, width = tiles.pixels.shape[1:3]
    shared = [
        QImage(pixels.data, width, height, pixels.strides[0], QImage.Format.Format_RGBX8888)
        for pixels in tiles.pixels
    ]
    if tiles.pixels.nbytes > CONVERTED:
        return shared
    return [image.convertToFormat(QImage.Format.Format_RGB32) for image in shared]


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
