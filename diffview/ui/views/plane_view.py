"""A part of the plane: a ground of colours, shapes over it, and particles by the ten thousand.

Both axes have one scale. Ground, contours and fields change seldom and are kept as a picture; the
particles are drawn into an image by `frames/plane.py` at every step. The view asks for nothing but
another window and the place under the mouse.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal, Slot
from PySide6.QtGui import (
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QResizeEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffview.frames.pixels import Uint8
from diffview.frames.plane import DOTS, Window, splat, tinted
from diffview.ui import theme
from diffview.ui.views import plane_marks as marks
from diffview.ui.views.focused import FocusedView
from diffview.ui.views.plane_shapes import Float64, Shape

HOME = 2.0
"""Half of the shorter side in data units: what is seen of the noise N(0, I) at first."""
NEAREST, FARTHEST = 0.02, 400.0
NOTCH = 1.2
NUDGE = 0.04
"""A step of the probe by the keyboard, of the shorter side."""
MOST_PIXELS = 900_000
"""Particles are drawn in the screen's own pixels up to so many, else in coarser ones."""
KEPT_BYTES = 224 * 1024**2
"""Pictures of scenes that were drawn, so that scrubbing back is free: a run of 50 steps on a full
screen; a memory that is too small for a run is of no use while it plays in a loop."""

Ground = tuple[Uint8, Window]
"""Colours (ny, nx, 4), the highest y first, and where they lie."""
Scene = tuple[Ground | None, Mapping[str, Shape | None]]
"""What lies under the moving shapes."""


class PlaneView(FocusedView):
    """Still shapes are drawn once, moving ones at every step; both in the order of their names."""

    windowChanged = Signal(object)
    probed = Signal(float, float)
    unprobed = Signal()
    pressed = Signal(float, float, object)
    dragged = Signal(float, float, object)
    released = Signal()
    entered = Signal()
    erased = Signal()

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._ground: Ground | None = None
        self._still: dict[str, Shape] = {}
        self._moving: dict[str, Shape] = {}
        self._particles: tuple[NDArray[np.float32], str] | None = None
        self._legend: tuple[str, ...] = ()
        self._message = ""
        self._centre, self._half, self._home = (0.0, 0.0), HOME, HOME
        self._kept: QPixmap | None = None
        self._scene: tuple[Hashable, Callable[[], Scene]] | None = None
        self._pictures: OrderedDict[Any, QPixmap] = OrderedDict()
        self._image: QImage | None = None
        self._probe: tuple[float, float] | None = None
        self._press: tuple[QPointF, tuple[float, float]] | None = None
        self.pans = True
        self.setObjectName(name)
        self._build()

    def _build(self) -> None:
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(120, 120)
        self.setCursor(Qt.CursorShape.CrossCursor)

    def sizeHint(self) -> QSize:
        return QSize(480, 480)

    # what is shown -----------------------------------------------------------------------------

    def show_ground(self, ground: Ground | None) -> None:
        """Colours under everything."""
        self._ground = ground
        self._renew_still()

    def show_still(self, shapes: Mapping[str, Shape | None]) -> None:
        """Put these still shapes in place of those of the same names."""
        _put(self._still, shapes)
        self._renew_still()

    def show_scene(self, key: Hashable, make: Callable[[], Scene]) -> None:
        """Ground and still shapes in place of all there were; pictures of known keys are kept.

        `make` is called when a picture of this key is not there yet.
        """
        self._scene = key, make
        self._renew_still()

    def show_moving(self, shapes: Mapping[str, Shape | None]) -> None:
        """Put these moving shapes in place of those of the same names."""
        _put(self._moving, shapes)
        self.update()

    def show_particles(self, places: NDArray[np.float32] | None, token: str = "x_t") -> None:
        """Particles (n, 2), as dots or as a histogram by their number."""
        self._particles = None if places is None else (places, token)
        self._image = None
        self.update()

    def show_legend(self, lines: Sequence[str]) -> None:
        """Words in the upper right corner: what colours and lengths mean, with units."""
        if tuple(lines) != self._legend:
            self._legend = tuple(lines)
            self.setAccessibleDescription(". ".join(lines))
            self.update()

    def show_message(self, text: str) -> None:
        """Words in the middle, while there is nothing to see."""
        if text != self._message:
            self._message = text
            self.update()

    def show_home(self, half: float) -> None:
        """How much is seen at first, as half of the shorter side."""
        if half != self._home:
            self._home = half
            self.reset_window()

    def show_view(self, centre: tuple[float, float], half: float) -> None:
        """See this part of the plane, as a linked view asked for."""
        half = min(max(half, NEAREST), FARTHEST)
        if (centre, half) != (self._centre, self._half):
            self._centre, self._half = centre, half
            self._renew()
            self.windowChanged.emit(self.seen)

    @Slot()
    def reset_window(self) -> None:
        """See what was seen at first."""
        self.show_view((0.0, 0.0), self._home)

    @property
    def view(self) -> tuple[tuple[float, float], float]:
        """Middle and half of the shorter side, as `show_view` takes them."""
        return self._centre, self._half

    @property
    def zoomed(self) -> bool:
        """Whether something else is seen than at first."""
        return self.view != ((0.0, 0.0), self._home)

    @property
    def seen(self) -> Window:
        """The part of the plane that is seen."""
        w, h = self.width() / self._scale / 2, self.height() / self._scale / 2
        x, y = self._centre
        return Window((x - w, y - h), (x + w, y + h))

    @property
    def _scale(self) -> float:
        """Pixels for one data unit."""
        return max(1, min(self.width(), self.height())) / (2 * self._half)

    def to_pixels(self, places: Float64) -> Float64:
        """(..., 2) in data units -> logical pixels of this widget."""
        window, scale = self.seen, self._scale
        out = np.empty(np.shape(places))
        out[..., 0] = (places[..., 0] - window.low[0]) * scale
        out[..., 1] = (window.high[1] - places[..., 1]) * scale
        return out

    def to_place(self, pos: QPointF) -> tuple[float, float]:
        """A logical pixel -> data units."""
        window, scale = self.seen, self._scale
        return window.low[0] + pos.x() / scale, window.high[1] - pos.y() / scale

    def show_theme(self) -> None:
        """Draw in the colours of the present theme."""
        self._renew()

    def _renew(self) -> None:
        self._image = None
        self._renew_still()

    def _renew_still(self) -> None:
        self._kept = None
        self.update()

    # drawing ------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        if self._kept is None:
            self._kept = self._picture()
        painter.drawPixmap(0, 0, self._kept)
        self._paint_particles(painter)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for shape in self._moving.values():
            shape.paint(painter, self.to_pixels)
        if self._probe is not None:
            self._paint_probe(painter)
        if self._message:
            self._paint_message(painter)
        marks.paint_legend(painter, self.rect(), self._legend)
        marks.paint_frame(painter, self.rect(), self._by_keyboard)
        painter.end()

    def _picture(self) -> QPixmap:
        """The still part; a known scene is not drawn again."""
        if self._scene is None:
            return self._still_picture()
        key, make = self._scene
        size = self.width(), self.height(), self.devicePixelRatioF()
        whole = (key, size, self.view, theme.current().name)
        if whole not in self._pictures:
            self._ground, shapes = make()
            self._still = {name: shape for name, shape in shapes.items() if shape is not None}
            self._pictures[whole] = self._still_picture()
            each = size[0] * size[1] * size[2] ** 2 * 4
            while len(self._pictures) > max(1, KEPT_BYTES // each):
                self._pictures.popitem(last=False)
        self._pictures.move_to_end(whole)
        return self._pictures[whole]

    def _still_picture(self) -> QPixmap:
        scale = self.devicePixelRatioF()
        made = QPixmap(math.ceil(self.width() * scale), math.ceil(self.height() * scale))
        made.setDevicePixelRatio(scale)
        made.fill(theme.current().colour("panel"))
        painter = QPainter(made)
        painter.setRenderHints(
            QPainter.RenderHint.Antialiasing | QPainter.RenderHint.SmoothPixmapTransform
        )
        if self._ground is not None:
            self._paint_ground(painter, *self._ground)
        marks.paint_axes(painter, self.rect(), self.seen)
        for shape in self._still.values():
            shape.paint(painter, self.to_pixels)
        painter.end()
        return made

    def _paint_ground(self, painter: QPainter, colours: Uint8, window: Window) -> None:
        height, width = colours.shape[:2]
        image = QImage(
            colours.data, width, height, colours.strides[0], QImage.Format.Format_RGBX8888
        )
        corners = self.to_pixels(np.array([window.low, window.high]))
        (left, bottom), (right, top) = corners.tolist()
        painter.drawImage(QRectF(left, top, right - left, bottom - top), image)

    def _paint_particles(self, painter: QPainter) -> None:
        if self._particles is None:
            return
        if self._image is None:
            self._image = self._drawn_particles(*self._particles)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(QRectF(self.rect()), self._image)

    def _drawn_particles(self, places: NDArray[np.float32], token: str) -> QImage:
        scale = self.devicePixelRatioF()
        while self.width() * self.height() * scale**2 > MOST_PIXELS and scale > 0.5:
            scale /= 2
        size = max(1, round(self.height() * scale)), max(1, round(self.width() * scale))
        many = len(places) > DOTS
        radius = 0.0 if many else (1.9 if len(places) <= 2000 else 1.2) * scale
        strengths = splat(places, self.seen, size, radius)
        colour = theme.current().colour(token)
        least = 0.42 if many else 0.7 if len(places) <= 2000 else 0.36
        self._pixels = tinted(strengths, (colour.red(), colour.green(), colour.blue()), least)
        return QImage(
            self._pixels.data, size[1], size[0], QImage.Format.Format_ARGB32_Premultiplied
        )

    def _paint_probe(self, painter: QPainter) -> None:
        assert self._probe is not None
        x, y = self.to_pixels(np.array(self._probe)).tolist()
        painter.setPen(QPen(theme.current().colour("text"), 1))
        for reach in (QPointF(7, 0), QPointF(0, 7)):
            painter.drawLine(QPointF(x, y) - reach, QPointF(x, y) - reach * 0.35)
            painter.drawLine(QPointF(x, y) + reach * 0.35, QPointF(x, y) + reach)

    def _paint_message(self, painter: QPainter) -> None:
        painter.setPen(theme.current().colour("muted"))
        flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
        painter.drawText(self.rect().adjusted(24, 24, -24, -24), flags, self._message)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Another part of the plane is seen."""
        super().resizeEvent(event)
        self._renew()
        self.windowChanged.emit(self.seen)

    def changeEvent(self, event: QEvent) -> None:
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.StyleChange):
            self._renew()
        super().changeEvent(event)

    # asking -------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if self.pans or event.button() == Qt.MouseButton.MiddleButton:
            self._press = event.position(), self._centre
        self.pressed.emit(*self.to_place(event.position()), event.button())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        place = self.to_place(event.position())
        if event.buttons() == Qt.MouseButton.NoButton:
            self._ask_about(place)
        elif self._press is not None:
            moved = (event.position() - self._press[0]) / self._scale
            x, y = self._press[1]
            self.show_view((x - moved.x(), y + moved.y()), self._half)
        else:
            self.dragged.emit(*place, event.buttons())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        self._press = None
        self.released.emit()

    def wheelEvent(self, event: QWheelEvent) -> None:
        notches = event.angleDelta().y() / 120
        if notches:
            self._zoom(NOTCH**-notches, self.to_place(event.position()))
        event.accept()

    def _zoom(self, factor: float, around: tuple[float, float]) -> None:
        half = min(max(self._half * factor, NEAREST), FARTHEST)
        share = half / self._half
        x, y = (a + share * (c - a) for a, c in zip(around, self._centre, strict=True))
        self.show_view((x, y), half)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """+ and − zoom, 0 goes back, Alt and arrows move the probe; the rest is the window's."""
        key, alt = event.key(), event.modifiers() & Qt.KeyboardModifier.AltModifier
        if key in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self._zoom(1 / NOTCH, self._probe or self._centre)
        elif key == Qt.Key.Key_Minus:
            self._zoom(NOTCH, self._probe or self._centre)
        elif key == Qt.Key.Key_0:
            self.reset_window()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and not event.modifiers():
            self.entered.emit()
        elif key in (Qt.Key.Key_Backspace, Qt.Key.Key_Delete):
            self.erased.emit()
        elif alt and key in _ARROWS:
            x, y = self._probe or self._centre
            right, up = _ARROWS[key]
            step = NUDGE * self._half
            self._ask_about((x + right * step, y + up * step))
        else:
            event.ignore()

    @property
    def probe(self) -> tuple[float, float] | None:
        """The place under the mouse, or where the keyboard has led."""
        return self._probe

    def _ask_about(self, place: tuple[float, float]) -> None:
        self._probe = place
        self.update()
        self.probed.emit(*place)

    def leaveEvent(self, event: QEvent) -> None:
        self._probe = None
        self.update()
        self.unprobed.emit()


_ARROWS = {
    int(Qt.Key.Key_Left): (-1, 0),
    int(Qt.Key.Key_Right): (1, 0),
    int(Qt.Key.Key_Up): (0, 1),
    int(Qt.Key.Key_Down): (0, -1),
}


def _put(known: dict[str, Shape], shapes: Mapping[str, Shape | None]) -> None:
    for name, shape in shapes.items():
        if shape is None:
            known.pop(name, None)
        else:
            known[name] = shape
