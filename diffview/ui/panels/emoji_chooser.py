"""Which picture is coded: a bundled emoji by its name, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QCompleter,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

from diffview.ui.panels.card import describe, narrow, silent
from diffview.ui.panels.picture_chooser import FILTER
from diffview.ui.settings import Settings

MOST_SHOWN = 12
"""Names in view at a time."""


class EmojiChooser(QWidget):
    """A list that completes what is typed, from any part of a name; and a button for files."""

    emojiRequested = Signal(int)
    unknownTyped = Signal(str)
    fileRequested = Signal(object)

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._build()
        self.list.activated.connect(self.emojiRequested)
        self.field.returnPressed.connect(self._on_typed)
        self.open.clicked.connect(self._on_open)

    def _build(self) -> None:
        label = QLabel("Emoji")
        label.setProperty("role", "muted")
        self.list, self.field = QComboBox(), QLineEdit()
        self.list.setEditable(True)
        self.list.setInsertPolicy(QComboBox.InsertPolicy.NoInsert)
        self.list.setLineEdit(self.field)
        self.list.setMaxVisibleItems(MOST_SHOWN)
        self.field.setPlaceholderText("Name")
        describe(self.list, "Emoji", "Type any part of a name; Enter takes it",
                 "codebookEmojiCombo")  # fmt: skip
        narrow(self.list)
        self.list.setMaximumWidth(280)
        label.setBuddy(self.list)
        self.open = QPushButton("Open picture…")
        describe(self.open, "Open a picture", "A picture file; or drop one on the window. The "
                 "middle is cut out and scaled, transparency goes over white",
                 "codebookOpenButton")  # fmt: skip
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        row.setSpacing(8)
        row.addWidget(label)
        row.addWidget(self.list, 3)
        row.addWidget(self.open)
        row.addStretch(1)

    def show_names(self, names: Sequence[str]) -> None:
        """Offer these."""
        with silent(self.list):
            self.list.addItems(list(names))
        completer = QCompleter(self.list.model(), self.list)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        completer.setMaxVisibleItems(MOST_SHOWN)
        self.list.setCompleter(completer)

    def show_title(self, title: str) -> None:
        """What is coded now: a name of the list or a file."""
        with silent(self.list):
            self.list.setCurrentIndex(self.list.findText(title, Qt.MatchFlag.MatchExactly))
            self.list.setEditText(title)

    @Slot()
    def _on_typed(self) -> None:
        typed = self.list.currentText().strip()
        if self.list.findText(typed, Qt.MatchFlag.MatchFixedString) < 0:
            self.unknownTyped.emit(typed)

    @Slot()
    def _on_open(self) -> None:
        folder = self._settings.get("picture_folder", str(Path.cwd()))
        name, _ = QFileDialog.getOpenFileName(self, "Open picture", folder, FILTER)
        if name:
            self._settings.save(picture_folder=str(Path(name).parent))
            self.fileRequested.emit(Path(name))
