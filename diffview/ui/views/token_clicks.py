"""Where a picture of tokens is clicked, and where a stroke over it leads."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal, SignalInstance, Slot
from PySide6.QtGui import QMouseEvent

from diffview.ui.views.grid_view import GridView


class TokenClicks(QObject):
    """Hears at which pixel a view is clicked: (row, column), and how many rows it has.

    While `painting`, a stroke over the view is heard pixel by pixel; the view hears none of it.
    """

    clicked = Signal(int, int, int)
    dragged = Signal(int, int, int)
    released = Signal()

    def __init__(self, view: GridView) -> None:
        super().__init__(view)
        self._view = view
        self.rows = 0
        self.painting = False
        view.installEventFilter(self)

    @Slot(bool)
    def show_painting(self, painting: bool) -> None:
        """Whether a stroke paints."""
        self.painting = painting

    def show_rows(self, rows: int) -> None:
        """How many rows of pixels the view shows."""
        self.rows = rows

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Tell of the left button."""
        if not isinstance(event, QMouseEvent):
            return False
        kind, left = event.type(), Qt.MouseButton.LeftButton
        if kind == QEvent.Type.MouseButtonPress and event.button() == left:
            self._tell(self.clicked, event)
            return self.painting
        if kind == QEvent.Type.MouseMove and event.buttons() & left and self.painting:
            self._tell(self.dragged, event)
            return True
        if kind == QEvent.Type.MouseButtonRelease and event.button() == left:
            self.released.emit()
        return False

    def _tell(self, signal: SignalInstance, event: QMouseEvent) -> None:
        found = self._view.pixel_at(event.position())
        if found is not None:
            signal.emit(found[1], found[2], self.rows)
