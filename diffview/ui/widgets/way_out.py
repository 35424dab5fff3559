"""The way back from one sample alone, or from a zoom: a small button on the pane that says so."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, QPoint, Slot
from PySide6.QtWidgets import QToolButton

from diffview.ui.panels.card import describe
from diffview.ui.views.grid_view import GridView

MARGIN = 8
"""From the pane's lower right corner (px)."""
TEXTS = {"zoomed": "Zoomed · Esc shows all", "alone": "One sample · Esc shows all"}


class WayOut(QToolButton):
    """Lies on a grid, and is only there while less than the whole grid is shown."""

    def __init__(self, view: GridView) -> None:
        super().__init__(view)
        self._view = view
        self.setProperty("framed", True)
        describe(self, "Show all samples", "Back to the whole of every sample (Esc)")
        self.hide()
        view.installEventFilter(self)
        view.narrowed.connect(self._on_narrowed)
        self.clicked.connect(view.widen)

    @Slot(str)
    def _on_narrowed(self, how: str) -> None:
        self.setText(TEXTS.get(how, ""))
        self.adjustSize()
        self.setVisible(bool(how))
        self._place()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay in the corner."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        corner = QPoint(self._view.width() - MARGIN, self._view.height() - MARGIN)
        self.move(corner - QPoint(self.width(), self.height()))
