"""The guidance slider: γ from 0 to 10, with 0 (unconditional) and 1 (conditional) marked.

x̂₀ = x̂₀ uncond. + γ (x̂₀ cond. − x̂₀ uncond.); above 1 the condition is exaggerated.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import (
    QFont,
    QFontMetricsF,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from diffview.ui import theme

PER_UNIT = 100
HIGHEST = 10
RADIUS = 9
GROOVE = 6
TICK = 4
NAMED = {
    "cfg": {0: "0 uncond.", 1: "1 cond."},
    "classifier": {0: "0 unguided", 1: "1"},
    "autoguidance": {0: "0 weaker", 1: "1 model"},
}
"""What γ = 0 and 1 are, by the kind of guidance."""


class GammaSlider(QSlider):
    """A QSlider whose value is 100 γ."""

    gammaChanged = Signal(float)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._named = NAMED["cfg"]
        self._build()
        self._connect()

    def _build(self) -> None:
        self.setRange(0, HIGHEST * PER_UNIT)
        self.setSingleStep(PER_UNIT // 10)
        self.setPageStep(PER_UNIT)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("guidance scale γ")
        self.setToolTip(
            "Guidance scale γ, no unit: x̂₀ = x̂₀ uncond. + γ (x̂₀ cond. − x̂₀ uncond.).\n"
            "0 ignores the condition, 1 is the model as trained, above 1 exaggerates it.\n"
            "[ and ] change it. Source: Ho and Salimans (2022), arXiv 2207.12598."
        )

    def _connect(self) -> None:
        self.valueChanged.connect(self._on_value)

    def gamma(self) -> float:
        """The guidance scale."""
        return self.value() / PER_UNIT

    def show_gamma(self, gamma: float) -> None:
        """Move the handle without telling anyone; beyond the ends it stays at the end."""
        with QSignalBlocker(self):
            self.setValue(round(gamma * PER_UNIT))
        self.update()

    def show_kind(self, kind: str) -> None:
        """Name 0 and 1 by what they are under this kind of guidance."""
        self._named = NAMED.get(kind, NAMED["cfg"])
        self.update()

    def _on_value(self, value: int) -> None:
        self.gammaChanged.emit(value / PER_UNIT)

    # where things are ---------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        return QSize(200, self._height())

    def minimumSizeHint(self) -> QSize:
        return QSize(140, self._height())

    def handle_centre(self, gamma: float | None = None) -> QPointF:
        """Where the handle is, or would be at `gamma`."""
        gamma = self.gamma() if gamma is None else gamma
        x = RADIUS + 1 + gamma / HIGHEST * self._length()
        return QPointF(x, self._label_height() + TICK + RADIUS)

    def gamma_at(self, x: float) -> float:
        """The guidance scale of a position."""
        share = (x - RADIUS - 1) / max(1, self._length())
        return max(0.0, min(1.0, share)) * HIGHEST

    def _length(self) -> float:
        return self.width() - 2 * (RADIUS + 1)

    def _height(self) -> int:
        return int(2 * self._label_height() + 2 * TICK + 2 * RADIUS + 1)

    def _label_height(self) -> float:
        return QFontMetricsF(self._small()).height()

    def _small(self) -> QFont:
        font = QFont(self.font())
        font.setPointSizeF(max(8.5, font.pointSizeF() * 0.85))
        return font

    # drawing ------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        self._paint_ticks(painter)
        self._paint_groove(painter)
        self._paint_handle(painter)
        painter.end()

    def _paint_ticks(self, painter: QPainter) -> None:
        """0 and the even numbers below, 1 above: at this width they would touch otherwise."""
        painter.setFont(self._small())
        metrics = QFontMetricsF(painter.font())
        free = 0.0
        for gamma in (0, 2, 4, 6, 8, 10):
            text = self._named.get(gamma, str(gamma))
            left = self._label_left(gamma, metrics.horizontalAdvance(text))
            if left >= free:
                self._paint_label(painter, text, left, below=True)
                free = left + metrics.horizontalAdvance(text) + 4
            self._paint_tick(painter, gamma, below=True)
        self._paint_label(painter, self._named[1], self.handle_centre(1).x() - 3, below=False)
        self._paint_tick(painter, 1, below=False)

    def _label_left(self, gamma: int, wide: float) -> float:
        if gamma == 0:
            return 1.0
        return min(self.handle_centre(gamma).x() - wide / 2, self.width() - wide - 1)

    def _paint_label(self, painter: QPainter, text: str, left: float, below: bool) -> None:
        high = self._label_height()
        top = self.height() - high if below else 0.0
        painter.setPen(theme.current().colour("muted" if self.isEnabled() else "disabled"))
        painter.drawText(QRectF(left, top, 200, high), Qt.AlignmentFlag.AlignLeft, text)

    def _paint_tick(self, painter: QPainter, gamma: int, below: bool) -> None:
        centre = self.handle_centre(gamma)
        near = GROOVE / 2 + 2
        sign = 1 if below else -1
        painter.setPen(QPen(theme.current().colour("outline"), 1.5))
        painter.drawLine(
            QPointF(centre.x(), centre.y() + sign * near),
            QPointF(centre.x(), centre.y() + sign * (near + TICK)),
        )

    def _paint_groove(self, painter: QPainter) -> None:
        colours, centre = theme.current(), self.handle_centre()
        groove = QRectF(1, centre.y() - GROOVE / 2, self.width() - 2, GROOVE)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.colour("groove"))
        painter.drawRoundedRect(groove, GROOVE / 2, GROOVE / 2)
        if self.isEnabled():
            groove.setRight(max(groove.left() + GROOVE, centre.x()))
            painter.setBrush(colours.colour("gamma"))
            painter.drawRoundedRect(groove, GROOVE / 2, GROOVE / 2)

    def _paint_handle(self, painter: QPainter) -> None:
        colours, centre = theme.current(), self.handle_centre()
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.colour("panel"))
        painter.drawEllipse(centre, RADIUS, RADIUS)
        painter.setBrush(colours.colour("gamma" if self.isEnabled() else "disabled"))
        painter.drawEllipse(centre, RADIUS - 1, RADIUS - 1)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colours.colour("text"), 2))
            painter.drawEllipse(centre, RADIUS - 0.5, RADIUS - 0.5)

    def changeEvent(self, event: QEvent) -> None:
        self.updateGeometry()
        self.update()
        super().changeEvent(event)

    # asking -------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            event.ignore()
            return
        self.setSliderDown(True)
        self._go(event.position().x())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self._go(event.position().x())

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.isSliderDown():
            self.setSliderDown(False)
            self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        delta = event.angleDelta().y() or -event.angleDelta().x()
        if delta:
            self.setValue(self.value() + self.singleStep() * (1 if delta > 0 else -1))
        event.accept()

    def _go(self, x: float) -> None:
        """To the tenth under the mouse: finer values come from the field beside the slider."""
        tenth = PER_UNIT // 10
        self.setValue(round(self.gamma_at(x) * PER_UNIT / tenth) * tenth)
