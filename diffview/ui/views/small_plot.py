"""A small plot with its symbol and the value at the cursor: one of many beside one another.

Drawn by hand into a pixmap, so that moving the cursor costs no curve: many of these follow the
scrubber together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontMetricsF,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QPolygonF,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffview.ui import theme
from diffview.ui.views.focused import FocusedView
from diffview.ui.widgets.math_label import draw_math, math_size

HEAD, FOOT, RIGHT, TICK = 24, 16, 8, 4
"""Room above, below and right of the curves, and beside a tick's name (px)."""
FAINT = 80
"""Opacity of a faint curve, of 255."""
HEADROOM = 0.06
FROM_ZERO = 0.5
"""Where the lowest value is less than this share of the highest, the axis begins at 0."""
SLACK = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """y (n,) over the x of the plot; `token` is a colour of the theme. Gaps are NaN."""

    y: np.ndarray
    token: str
    faint: bool = False
    dashed: bool = False
    x: np.ndarray | None = None


class SmallPlot(FocusedView):
    """Curves over places x (n,); a click or a drag asks for the index of the nearest place."""

    placeRequested = Signal(int)

    def __init__(
        self,
        markup: str,
        *,
        noise_left: bool = True,
        log_x: bool = False,
        log_y: bool = False,
        unit: str = "t",
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._markup, self._unit = markup, unit
        self._noise_left, self._log_x, self._log_y = noise_left, log_x, log_y
        self._x = np.zeros(0)
        self._whole: tuple[float, float] | None = None
        self._series: tuple[Series, ...] = ()
        self._marks: tuple[float, ...] = ()
        self._cursor: int | None = None
        self._value, self._message, self._note = "", "", ""
        self._drawn: tuple[object, QPixmap] | None = None
        self._build()

    def _build(self) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)

    def sizeHint(self) -> QSize:
        return QSize(190, 130)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 84)

    # what is shown -----------------------------------------------------------------------------

    def show_series(self, x: np.ndarray, series: Sequence[Series]) -> None:
        """Draw these over x, the last one on top."""
        self._x, self._series = np.asarray(x, np.float64), tuple(series)
        self._drawn = None
        self.update()

    def show_range(self, low: float, high: float) -> None:
        """Reach from low to high at least, however far the curves are."""
        if (low, high) != self._whole:
            self._whole, self._drawn = (low, high), None
            self.update()

    def show_cursor(self, index: int | None, value: str = "") -> None:
        """A line at a place, and what the curve says there."""
        if (index, value) != (self._cursor, self._value):
            self._cursor, self._value = index, value
            self.setAccessibleDescription(value)
            self.update()

    def show_marks(self, places: Sequence[float]) -> None:
        """Thin upright lines at these places of the axis."""
        self._marks = tuple(places)
        self.update()

    def show_message(self, text: str) -> None:
        """Words in place of curves."""
        if text != self._message:
            self._message = text
            self.update()

    def show_note(self, text: str) -> None:
        """A few words between the ends of the axis."""
        if text != self._note:
            self._note, self._drawn = text, None
            self.update()

    @property
    def head(self) -> QRectF:
        """Where the symbol stands; what is right of it and left of the value is free."""
        return QRectF(4, 0, math_size(self._markup, self.font()).width(), HEAD - 2)

    def show_theme(self) -> None:
        """Draw in the colours of the present theme."""
        self._drawn = None
        self.update()

    # where things are ---------------------------------------------------------------------------

    def _room(self) -> QRectF:
        left = self._left()
        return QRectF(left, HEAD, self.width() - left - RIGHT, self.height() - HEAD - FOOT)

    def _left(self) -> float:
        names = [name for _, name in self._ticks_y()] or ["0.00"]
        metrics = self._small_metrics()
        return max(metrics.horizontalAdvance(name) for name in (*names, "0.00")) + 2.0 * TICK

    def _small(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(max(8.0, font.pointSizeF() * 0.85))
        return font

    def _small_metrics(self) -> QFontMetricsF:
        return QFontMetricsF(self._small())

    def _range_x(self) -> tuple[float, float]:
        finite = self._mapped_x(np.append(self._x, self._whole or ()))
        finite = finite[np.isfinite(finite)]
        if not len(finite):
            return 0.0, 1.0
        low, high = float(finite.min()), float(finite.max())
        return (low, high) if high > low else (low, low + 1)

    def _range_y(self) -> tuple[float, float]:
        values = [self._mapped_y(one.y) for one in self._series if not one.faint]
        values = [y[np.isfinite(y)] for y in values]
        values = [y for y in values if len(y)]
        if not values:
            return 0.0, 1.0
        low = min(float(y.min()) for y in values)
        high = max(float(y.max()) for y in values)
        from_zero = not self._log_y and 0 <= low < FROM_ZERO * high
        room = HEADROOM * (high - low) or abs(high) * HEADROOM or 0.1
        return (0.0 if from_zero else low - room), high + room

    def _mapped_x(self, x: np.ndarray) -> np.ndarray:
        return _log10(x) if self._log_x else np.asarray(x, np.float64)

    def _mapped_y(self, y: np.ndarray) -> np.ndarray:
        return _log10(y) if self._log_y else np.asarray(y, np.float64)

    def _points(self, x: np.ndarray, y: np.ndarray, room: QRectF) -> list[list[QPointF]]:
        """The pieces of a curve between its gaps, in pixels."""
        (left, right), (low, high) = self._range_x(), self._range_y()
        along = (self._mapped_x(x) - left) / (right - left)
        along = 1 - along if self._noise_left else along
        up = (self._mapped_y(y) - low) / (high - low)
        across, down = room.left() + room.width() * along, room.bottom() - room.height() * up
        good = np.isfinite(across) & np.isfinite(down)
        pieces: list[list[QPointF]] = []
        piece: list[QPointF] = []
        for ok, px, py in zip(good, across, down, strict=True):
            if ok:
                piece.append(QPointF(float(px), float(py)))
            elif piece:
                pieces.append(piece)
                piece = []
        return [*pieces, piece] if piece else pieces

    def _ticks_y(self) -> list[tuple[float, str]]:
        low, high = self._range_y()
        if self._log_y:
            decades = range(math.ceil(low - SLACK), math.floor(high + SLACK) + 1)
            if len(decades) < 2:
                return _within_decades(low, high)
            every = max(1, math.ceil(len(decades) / 4))
            return [(float(d), f"{10.0**d:g}") for d in decades if d % every == 0]
        step = _nice((high - low) / 4)
        first = math.ceil(low / step - SLACK)
        places = [k * step for k in range(first, first + 8) if k * step <= high + SLACK]
        return [(place, f"{round(place, 10):g}".replace("-", "−")) for place in places]

    def _ticks_x(self) -> list[tuple[float, str]]:
        left, right = self._range_x()
        if not self._log_x:
            texts = [(right, f"{right:.4g}"), (left, f"{left:.4g}")]
        else:
            texts = [(place, f"{10**place:.2g}") for place in (left, (left + right) / 2, right)]
        first = 0
        return [(at, f"{self._unit} {t}" if k == first else t) for k, (at, t) in enumerate(texts)]

    # drawing ------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours, room = theme.current(), self._room()
        self._paint_head(painter, colours)
        if self._message or not len(self._x):
            painter.setPen(colours.colour("muted"))
            painter.setFont(self._small())
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            around = QRectF(self.rect()).adjusted(8, HEAD, -8, -4)
            painter.drawText(around, flags, self._message)
        else:
            painter.drawPixmap(0, 0, self._curves())
            self._paint_marks(painter, room, colours)
            self._paint_cursor(painter, room, colours)
        if self._by_keyboard:
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(QPen(colours.colour("accent"), 1.5))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(1, 1, -1, -1), 6, 6)
        painter.end()

    def _paint_head(self, painter: QPainter, colours: theme.Theme) -> None:
        head = self.head
        draw_math(painter, head, self._markup, self.font(), colours.colour("text"))
        bold = QFont(self.font())
        bold.setWeight(QFont.Weight.DemiBold)
        painter.setFont(bold)
        painter.setPen(colours.colour("text"))
        where = QRectF(head.right() + 6, 0, self.width() - head.right() - 6 - RIGHT, HEAD - 2)
        flags = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(where, flags, self._value)

    def _curves(self) -> QPixmap:
        """Axes and curves, drawn anew only when they or the size have changed."""
        scale = self.devicePixelRatioF()
        key = (self.size().toTuple(), scale, theme.current().name)
        if self._drawn is None or self._drawn[0] != key:
            pixmap = QPixmap(self.size() * scale)
            pixmap.setDevicePixelRatio(scale)
            pixmap.fill(Qt.GlobalColor.transparent)
            painter = QPainter(pixmap)
            painter.setRenderHints(
                QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing
            )
            self._paint_axes(painter, self._room())
            self._paint_curves(painter, self._room())
            painter.end()
            self._drawn = key, pixmap
        return self._drawn[1]

    def _paint_axes(self, painter: QPainter, room: QRectF) -> None:
        colours, metrics = theme.current(), self._small_metrics()
        painter.setFont(self._small())
        (low, high), (left, right) = self._range_y(), self._range_x()
        for place, name in self._ticks_y():
            y = room.bottom() - room.height() * (place - low) / (high - low)
            painter.setPen(QPen(colours.colour("border"), 1))
            painter.drawLine(QPointF(room.left(), y), QPointF(room.right(), y))
            painter.setPen(colours.colour("muted"))
            x = room.left() - TICK - metrics.horizontalAdvance(name)
            painter.drawText(QPointF(x, y + metrics.ascent() / 2 - 1), name)
        painter.setPen(colours.colour("muted"))
        for place, name in self._ticks_x():
            along = (place - left) / (right - left)
            along = 1 - along if self._noise_left else along
            wide = metrics.horizontalAdvance(name)
            x = room.left() + (room.width() - wide) * along
            painter.drawText(QPointF(x, self.height() - 3.0), name)
        wide = metrics.horizontalAdvance(self._note)
        painter.drawText(QPointF(room.center().x() - wide / 2, self.height() - 3.0), self._note)

    def _paint_curves(self, painter: QPainter, room: QRectF) -> None:
        painter.setClipRect(room.adjusted(-3, -3, 3, 3))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        for one in self._series:
            colour = theme.current().colour(one.token)
            if one.faint:
                colour.setAlpha(FAINT)
            style = Qt.PenStyle.DashLine if one.dashed else Qt.PenStyle.SolidLine
            painter.setPen(QPen(colour, 1.0 if one.faint else 1.6, style))
            x = self._x if one.x is None else one.x
            for piece in self._points(x, one.y, room):
                if len(piece) > 1:
                    painter.drawPolyline(QPolygonF(piece))
                else:
                    _dot(painter, piece[0], colour, 1.5)

    def _paint_marks(self, painter: QPainter, room: QRectF, colours: theme.Theme) -> None:
        painter.setPen(QPen(colours.colour("muted"), 1, Qt.PenStyle.DotLine))
        for place in self._marks:
            x = self._across(place, room)
            painter.drawLine(QPointF(x, room.top()), QPointF(x, room.bottom()))

    def _across(self, place: float, room: QRectF) -> float:
        left, right = self._range_x()
        along = (float(self._mapped_x(np.array([place]))[0]) - left) / (right - left)
        return room.left() + room.width() * (1 - along if self._noise_left else along)

    def _paint_cursor(self, painter: QPainter, room: QRectF, colours: theme.Theme) -> None:
        if self._cursor is None or not 0 <= self._cursor < len(self._x):
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        x = self._across(float(self._x[self._cursor]), room)
        painter.setPen(QPen(colours.colour("text"), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(x, room.top()), QPointF(x, room.bottom()))
        for one in self._series:
            if one.faint or one.dashed or one.x is not None or self._cursor >= len(one.y):
                continue
            at = slice(self._cursor, self._cursor + 1)
            for piece in self._points(self._x[at], one.y[at], room):
                _dot(painter, piece[0], colours.colour(one.token), 3.5)

    # asking -------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._ask_for(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._ask_for(event.position())

    def position_of(self, index: int) -> QPointF:
        """Where a place lies, half way up the plot."""
        room = self._room()
        return QPointF(self._across(float(self._x[index]), room), room.center().y())

    def _ask_for(self, pos: QPointF) -> None:
        if not len(self._x) or self._message:
            return
        room = self._room()
        places = np.array([self._across(float(x), room) for x in self._x])
        self.placeRequested.emit(int(np.nanargmin(np.abs(places - pos.x()))))

    def changeEvent(self, event: QEvent) -> None:
        if event.type() in (QEvent.Type.PaletteChange, QEvent.Type.FontChange):
            self.show_theme()
        super().changeEvent(event)


def _log10(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    out = np.full(values.shape, np.nan)
    np.log10(values, out=out, where=values > 0)
    return out


def _within_decades(low: float, high: float) -> list[tuple[float, str]]:
    """1, 2 and 5 times powers of ten within log10's from low to high, which hold none or one;
    both ends too where that leaves fewer than two."""
    powers = range(math.floor(low), math.ceil(high) + 1)
    fine = (math.log10(k) + power for power in powers for k in (1, 2, 5))
    places = [place for place in fine if low - SLACK <= place <= high + SLACK]
    places = places if len(places) > 1 else [low, *places, high]
    return [(place, f"{10.0**place:.3g}") for place in places]


def _nice(step: float) -> float:
    """1, 2 or 5 times a power of ten, at least `step`."""
    if not step > 0 or not math.isfinite(step):
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= step * (1 - SLACK))


def _dot(painter: QPainter, at: QPointF, colour: QColor, radius: float) -> None:
    painter.save()
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    painter.drawEllipse(at, radius, radius)
    painter.restore()
