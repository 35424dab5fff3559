"""The timestep scrubber: a video player's bar for a run, noise on the left, image on the right.

It is a true QSlider whose value is the index of a recorded step. What is computed can be reached;
the rest of the bar is hatched.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QPointF, QRectF, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import (
    QBrush,
    QColor,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QSlider, QWidget

from diffview.ui import theme

RADIUS = 9
GROOVE = 6
MARK_WIDTH = 3


class TimestepScrubber(QSlider):
    """Click or drag to any computed step; the wheel moves by one; keys belong to the window."""

    scrubStarted = Signal()
    scrubEnded = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self._available: int | None = None
        self._role: QColor | None = None
        self._marks: tuple[int, ...] = ()
        self._build()

    def _build(self) -> None:
        self.setRange(0, 0)
        self.setSingleStep(1)
        self.setPageStep(10)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("timestep")
        self.setToolTip(
            "Step of the run, from noise to image. Drag or click; "
            "Left and Right step by one, with Shift by ten."
        )

    def sizeHint(self) -> QSize:
        return QSize(320, 2 * RADIUS + 8)

    def minimumSizeHint(self) -> QSize:
        return QSize(120, 2 * RADIUS + 8)

    # what is shown -----------------------------------------------------------------------------

    def show_progress(self, available: int, expected: int) -> None:
        """`available` of `expected` records are there; the range is that of the whole run."""
        with QSignalBlocker(self):
            self._available = max(0, available)
            self.setMaximum(max(0, expected - 1))
            super().setValue(min(self.value(), self.last()))
        self.update()

    def show_value(self, index: int) -> None:
        """Move the handle without telling anyone."""
        with QSignalBlocker(self):
            self.setValue(index)
        self.update()

    def show_marks(self, marks: Sequence[int]) -> None:
        """Indices that are marked on the bar, such as where a branch left its run."""
        self._marks = tuple(marks)
        self.update()

    def marks(self) -> tuple[int, ...]:
        """The marked indices."""
        return self._marks

    def show_role(self, colour: QColor) -> None:
        """The colour of the part up to the handle; x̂₀'s by default."""
        self._role = QColor(colour)
        self.update()

    def last(self) -> int:
        """The last index that can be reached."""
        if self._available is None:
            return self.maximum()
        return max(0, min(self.maximum(), self._available - 1))

    def setValue(self, index: int) -> None:
        """As a QSlider's, held to what is computed."""
        super().setValue(max(self.minimum(), min(int(index), self.last())))

    # where things are ---------------------------------------------------------------------------

    def handle_centre(self, index: int | None = None) -> QPointF:
        """Where the handle is, or would be at `index`."""
        index = self.value() if index is None else index
        share = index / self.maximum() if self.maximum() else 0.0
        return QPointF(RADIUS + 1 + share * self._length(), self.height() / 2)

    def index_at(self, x: float) -> int:
        """The index nearest to a position."""
        share = (x - RADIUS - 1) / max(1, self._length())
        return round(max(0.0, min(1.0, share)) * self.maximum())

    def _length(self) -> float:
        return self.width() - 2 * (RADIUS + 1)

    # drawing ------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        self._paint_groove(painter)
        self._paint_marks(painter)
        self._paint_handle(painter)
        painter.end()

    def _paint_groove(self, painter: QPainter) -> None:
        colours, middle = theme.current(), self.handle_centre()
        groove = QRectF(0, 0, self.width() - 2, GROOVE)
        groove.moveCenter(QPointF(self.width() / 2, self.height() / 2))
        rounded = QPainterPath()
        rounded.addRoundedRect(groove, GROOVE / 2, GROOVE / 2)
        painter.save()
        painter.setClipPath(rounded)
        computed = self.handle_centre(self.last()).x()
        if self.last() >= self.maximum():
            computed = groove.right()
        painter.fillRect(groove, colours.colour("field"))
        hatched = QBrush(colours.colour("groove"), Qt.BrushStyle.BDiagPattern)
        painter.fillRect(groove, hatched)
        painter.fillRect(_until(groove, computed), colours.colour("groove"))
        if self.isEnabled() and self._available != 0:
            painter.fillRect(_until(groove, middle.x()), self._colour())
        painter.restore()

    def _paint_marks(self, painter: QPainter) -> None:
        painter.setBrush(theme.current().colour("text"))
        for index in self._marks:
            mark = QRectF(0, 0, MARK_WIDTH, 2 * RADIUS)
            mark.moveCenter(self.handle_centre(index))
            painter.drawRoundedRect(mark, MARK_WIDTH / 2, MARK_WIDTH / 2)

    def _paint_handle(self, painter: QPainter) -> None:
        colours, centre = theme.current(), self.handle_centre()
        if not self.isEnabled() or self._available == 0:
            painter.setBrush(colours.colour("disabled"))
            painter.drawEllipse(centre, RADIUS - 3, RADIUS - 3)
            return
        painter.setBrush(colours.colour("panel"))
        painter.drawEllipse(centre, RADIUS, RADIUS)
        painter.setBrush(colours.colour("handle"))
        painter.drawEllipse(centre, RADIUS - 1, RADIUS - 1)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(colours.colour("accent"), 2))
            painter.drawEllipse(centre, RADIUS - 0.5, RADIUS - 0.5)

    def _colour(self) -> QColor:
        return self._role or theme.colour_of(theme.current(), "x0hat")

    def changeEvent(self, event: QEvent) -> None:
        self.update()
        super().changeEvent(event)

    # asking -------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton or not self.maximum():
            event.ignore()
            return
        self.setSliderDown(True)
        self.scrubStarted.emit()
        self.setValue(self.index_at(event.position().x()))
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if self.isSliderDown():
            self.setValue(self.index_at(event.position().x()))

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton and self.isSliderDown():
            self.setSliderDown(False)
            self.scrubEnded.emit()
            self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        delta = event.angleDelta().y() or -event.angleDelta().x()
        if delta:
            self.setValue(self.value() + (1 if delta > 0 else -1))
        event.accept()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        event.ignore()


def _until(groove: QRectF, x: float) -> QRectF:
    return QRectF(groove.left(), groove.top(), max(0.0, x - groove.left()), groove.height())
