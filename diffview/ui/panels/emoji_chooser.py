"""Which picture is coded: a bundled emoji by its name, or a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QPushButton, QWidget

from diffview.ui.panels.card import describe
from diffview.ui.panels.emoji_list import EmojiList
from diffview.ui.panels.picture_chooser import FILTER
from diffview.ui.settings import Settings


class EmojiChooser(QWidget):
    """A list of the bundled ones, and a button for files."""

    emojiRequested = Signal(int)
    unknownTyped = Signal(str)
    fileRequested = Signal(object)

    def __init__(self, settings: Settings, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._settings = settings
        self._build()
        self.list.activated.connect(self.emojiRequested)
        self.list.unknownTyped.connect(self.unknownTyped)
        self.open.clicked.connect(self._on_open)

    def _build(self) -> None:
        label = QLabel("Emoji")
        label.setProperty("role", "muted")
        self.list = EmojiList("codebookEmojiCombo")
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
        self.list.show_names(names)

    def show_title(self, title: str) -> None:
        """What is coded now: a name of the list or a file."""
        self.list.show_title(title)

    @Slot()
    def _on_open(self) -> None:
        folder = self._settings.get("picture_folder", str(Path.cwd()))
        name, _ = QFileDialog.getOpenFileName(self, "Open picture", folder, FILTER)
        if name:
            self._settings.save(picture_folder=str(Path(name).parent))
            self.fileRequested.emit(Path(name))
