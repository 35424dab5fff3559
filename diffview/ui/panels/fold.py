"""A section of a card that is folded away until it is asked for."""

from __future__ import annotations

from PySide6.QtWidgets import QToolButton, QVBoxLayout, QWidget

from diffview.ui.panels.card import describe


class Fold(QWidget):
    """What `body` holds is shown while `button`, which stands elsewhere, is down."""

    def __init__(self, what: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = QToolButton()
        self.button.setCheckable(True)
        self.button.setProperty("small", True)
        self.button.setProperty("framed", True)
        self._changed = 0
        describe(self.button, f"More {what}", f"Show or hide more {what}", name)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(0, 2, 0, 0)
        self.body.setSpacing(8)
        self.button.toggled.connect(self._on_toggled)
        self._on_toggled(False)

    def _on_toggled(self, down: bool) -> None:
        self.setVisible(down)
        self.show_changed(self._changed)

    def show_changed(self, count: int) -> None:
        """Say how many of what is folded away are not as they came."""
        self._changed = count
        word = "Less" if self.button.isChecked() else "More"
        self.button.setText(f"{word} · {count}" if count else word)
        self.button.setAccessibleDescription(f"{count} changed" if count else "")
