"""Icons: own SVG drawings in one colour, tinted with the theme's text at the moment of painting.

An icon asks for its colour whenever it is drawn, so that nothing has to be set again when the
theme changes, and it is drawn from the SVG at the size and scale asked for: always crisp.
"""

from __future__ import annotations

from functools import cache

from PySide6.QtCore import QByteArray, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QIconEngine, QImage, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from diffview import resources
from diffview.ui import theme

NAMES = (
    "play", "pause", "first", "last", "previous", "next", "loop", "ping-pong", "run", "stop",
    "export", "open", "save", "settings", "sun", "moon", "reset-zoom", "palette", "help", "close",
    "warning", "info", "chevron-down", "chevron-up", "undo", "redo", "diffview",
)  # fmt: skip


def icon(name: str, size: int = 20, token: str = "text") -> QIcon:
    """The icon `name`, `size` logical pixels by nature, in the colour of a theme's token."""
    if name not in NAMES and not resources.path("icons", f"{name}.svg").exists():
        raise KeyError(f"no icon '{name}'; there are {', '.join(NAMES)}")
    return _icon(name, size, token)


@cache  # also keeps the Python engine alive for as long as any widget holds a copy of the icon
def _icon(name: str, size: int, token: str) -> QIcon:
    return QIcon(_SvgEngine(name, size, token))


class _SvgEngine(QIconEngine):
    """Draws one SVG in the current theme's colours."""

    def __init__(self, name: str, size: int, token: str) -> None:
        super().__init__()
        self._name, self._size, self._token = name, size, token

    def clone(self) -> QIconEngine:
        return _SvgEngine(self._name, self._size, self._token)

    def actualSize(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QSize:
        side = min(size.width(), size.height())
        return QSize(side, side)

    def availableSizes(self, mode=QIcon.Mode.Normal, state=QIcon.State.Off) -> list[QSize]:
        return [QSize(self._size, self._size)]

    def paint(self, painter: QPainter, rect: QRect, mode: QIcon.Mode, state: QIcon.State) -> None:
        _renderer(self._name, self._colour(mode)).render(painter, _square(QRectF(rect)))

    def pixmap(self, size: QSize, mode: QIcon.Mode, state: QIcon.State) -> QPixmap:
        return _pixmap(self._name, self._colour(mode), size.width(), size.height())

    def scaledPixmap(
        self, size: QSize, mode: QIcon.Mode, state: QIcon.State, scale: float
    ) -> QPixmap:
        return self.pixmap(size * scale, mode, state)

    def _colour(self, mode: QIcon.Mode) -> str:
        disabled = mode == QIcon.Mode.Disabled
        return getattr(theme.current(), "disabled" if disabled else self._token)


@cache
def _pixmap(name: str, colour: str, width: int, height: int) -> QPixmap:
    image = QImage(width, height, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    _renderer(name, colour).render(painter, _square(QRectF(image.rect())))
    painter.end()
    return QPixmap.fromImage(image)


@cache
def _renderer(name: str, colour: str) -> QSvgRenderer:
    drawing = resources.path("icons", f"{name}.svg").read_text(encoding="utf-8")
    return QSvgRenderer(QByteArray(drawing.replace("currentColor", colour).encode()))


def _square(rect: QRectF) -> QRectF:
    side = min(rect.width(), rect.height())
    square = QRectF(0, 0, side, side)
    square.moveCenter(rect.center())
    return square
