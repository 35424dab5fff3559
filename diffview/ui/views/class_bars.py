"""The weight of each class as a row of bars, one below the other."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetricsF, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffview.ui import theme
from diffview.ui.views.nearest_view import percent

GAP = 6
NUMBER = "100.0 %"


class ClassBars(QWidget):
    """Names, bars and percentages; the chosen class has the colour of the estimate."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._names: tuple[str, ...] = ()
        self._weights: tuple[float, ...] = ()
        self._chosen = -1
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        return QSize(200, round(self._line() * max(1, len(self._names))))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, self.sizeHint().height())

    def show_weights(
        self, names: Sequence[str], weights: Sequence[float], chosen: int = -1
    ) -> None:
        """A weight 0 .. 1 of each class; none at all where weights are missing."""
        resized = len(names) != len(self._names)
        self._names, self._weights, self._chosen = tuple(names), tuple(weights), chosen
        best = max(range(len(weights)), key=lambda k: weights[k], default=None)
        if best is not None:
            self.setAccessibleDescription(f"{names[best]} {percent(weights[best])}")
        if resized:
            self.updateGeometry()
        self.update()

    def _font(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(max(8.5, font.pointSizeF() * 0.9))
        return font

    def _line(self) -> float:
        return QFontMetricsF(self._font()).height() + 2

    def paintEvent(self, event: QPaintEvent) -> None:
        painter, colours = QPainter(self), theme.current()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setFont(self._font())
        metrics, line = QFontMetricsF(self._font()), self._line()
        wide = max((metrics.horizontalAdvance(name) for name in self._names), default=0.0)
        wide = min(wide, self.width() * 0.4)
        number = metrics.horizontalAdvance(NUMBER)
        for place, name in enumerate(self._names):
            top = place * line
            weight = self._weights[place] if place < len(self._weights) else None
            painter.setPen(colours.colour("text" if place == self._chosen else "muted"))
            shown = metrics.elidedText(name, Qt.TextElideMode.ElideRight, wide)
            flags = Qt.AlignmentFlag.AlignVCenter
            painter.drawText(QRectF(0, top, wide, line), flags | Qt.AlignmentFlag.AlignLeft, shown)
            left = wide + GAP
            bar = QRectF(left, top + line / 2 - 2.5, self.width() - left - number - GAP, 5)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(colours.colour("groove"))
            painter.drawRoundedRect(bar, 2, 2)
            if weight is not None:
                painter.setBrush(
                    colours.colour("x0_hat" if place == self._chosen else "x0_uncond")
                )
                painter.drawRoundedRect(QRectF(bar.topLeft(), bar.size()).adjusted(
                    0, 0, -bar.width() * (1 - weight), 0), 2, 2)  # fmt: skip
            painter.setPen(colours.colour("text"))
            where = QRectF(self.width() - number, top, number, line)
            text = "–" if weight is None else percent(weight)
            painter.drawText(where, flags | Qt.AlignmentFlag.AlignRight, text)
        painter.end()
