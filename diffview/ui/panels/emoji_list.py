"""The bundled emoji by name, in a list that completes what is typed from any part of a name."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QCompleter, QLineEdit, QWidget

from diffview.ui.panels.card import describe, narrow, silent

MOST_SHOWN = 12
"""Names in view at a time."""


class EmojiList(QComboBox):
    """Says by `activated` which one was chosen, and what was typed that none is called."""

    unknownTyped = Signal(str)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.field = QLineEdit()
        self.setEditable(True)
        self.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.setLineEdit(self.field)
        self.setMaxVisibleItems(MOST_SHOWN)
        self.field.setPlaceholderText("Name")
        describe(self, "Emoji", "Type any part of a name; Enter takes it", name)
        narrow(self)
        self.field.returnPressed.connect(self._on_typed)

    def show_names(self, names: Sequence[str]) -> None:
        """Offer these."""
        with silent(self):
            self.addItems(list(names))
        completer = QCompleter(self.model(), self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        completer.setMaxVisibleItems(MOST_SHOWN)
        self.setCompleter(completer)

    def show_title(self, title: str) -> None:
        """What is chosen now: one of the names, or something else."""
        with silent(self):
            self.setCurrentIndex(self.findText(title, Qt.MatchFlag.MatchExactly))
            self.setEditText(title)

    @Slot()
    def _on_typed(self) -> None:
        typed = self.currentText().strip()
        if self.findText(typed, Qt.MatchFlag.MatchFixedString) < 0:
            self.unknownTyped.emit(typed)
