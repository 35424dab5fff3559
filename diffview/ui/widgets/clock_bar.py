"""How far a run is on a clock that it shares with another: what is used, and where it ends."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffview.ui import theme

HEIGHT = 12
GROOVE = 6


class ClockBar(QWidget):
    """A bar from tick 0 to the last one of both runs; the run's own part is the darker groove."""

    def __init__(self, token: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._token = token
        self._used, self._own, self._last = 0, 0, 1
        self.setFixedHeight(HEIGHT)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip(
            "Evaluations of the network for one sample: filled, what is used at this tick; the "
            "mark is where this run ends, the right end is where the longer one does"
        )

    def sizeHint(self) -> QSize:
        return QSize(160, HEIGHT)

    def show_clock(self, used: int, own: int, last: int) -> None:
        """`used` of its `own` evaluations, on a clock that ends at `last`."""
        if (used, own, last) != (self._used, self._own, self._last):
            self._used, self._own, self._last = used, own, max(1, last)
            self.setAccessibleDescription(f"{used} of {own} evaluations")
            self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        colours = theme.current()
        for upto, token in (
            (self._last, "field"), (self._own, "groove"), (self._used, self._token),
        ):  # fmt: skip
            if upto:
                painter.setBrush(colours.colour(token))
                painter.drawRoundedRect(self._until(upto), GROOVE / 2, GROOVE / 2)
        if self._own:
            painter.setPen(QPen(colours.colour("text"), 2))
            x = self._until(self._own).right() - 1
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        painter.end()

    def _until(self, tick: int) -> QRectF:
        wide = max(GROOVE, self.width() * min(1.0, tick / self._last))
        return QRectF(0, (self.height() - GROOVE) / 2, wide, GROOVE)
