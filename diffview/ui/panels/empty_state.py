"""In the middle of a workspace that cannot show the chosen model: why, and a way on."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from diffview.ui.panels.card import describe

WIDTH = 460


class EmptyState(QFrame):
    """One paragraph, and a button with the id of a model that it does work with."""

    modelRequested = Signal(str)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self._offered = ""
        self.words = QLabel()
        self.words.setObjectName(f"{name}Words")
        self.words.setWordWrap(True)
        self.words.setFixedWidth(WIDTH)
        self.words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.button = QPushButton()
        describe(self.button, "Choose another model", "Choose this model, as in the list of "
                 "models", f"{name}Button")  # fmt: skip
        self.button.clicked.connect(self._on_clicked)
        body = QVBoxLayout(self)
        body.setSpacing(14)
        body.addStretch(1)
        for widget in (self.words, self.button):
            body.addWidget(widget, 0, Qt.AlignmentFlag.AlignHCenter)
        body.addStretch(1)

    def show_words(self, words: str, model_id: str, title: str) -> None:
        """Why there is nothing, and which model there would be something of; "" for none."""
        self.words.setText(words)
        self.words.ensurePolished()
        # A layout that aligns it would give it one line.
        self.words.setMinimumHeight(self.words.heightForWidth(WIDTH))
        self._offered = model_id
        self.button.setText(f"Choose {title}")
        self.button.setVisible(bool(model_id))

    @Slot()
    def _on_clicked(self) -> None:
        self.modelRequested.emit(self._offered)
