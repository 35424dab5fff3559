"""The condition panel: which class or which words the run is asked for."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from diffview.engine.spec import MAX_PROMPT, Condition
from diffview.models import conditions
from diffview.models.card import ModelCard
from diffview.ui.panels.card import Card, describe, narrow, silent
from diffview.ui.state import Choices
from diffview.ui.widgets.prompt_edit import PromptEdit


class ConditionPanel(Card):
    """A list of classes; below them one of each, and none. For models of text, a prompt."""

    conditionRequested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("CONDITION", parent)
        self._conditions: list[Condition] = []
        self._card: ModelCard | None = None
        self._build()
        self._connect()

    def _build(self) -> None:
        self.combo = QComboBox()
        describe(self.combo, "Class", "What the pictures shall show; 'No class' leaves it open "
                 "and needs no guidance", "conditionCombo")  # fmt: skip
        narrow(self.combo)
        self.prompt = PromptEdit()
        describe(self.prompt, "Prompt", "Words the pictures shall show; Enter takes them, none "
                 "leaves it open. Underlined words are not read by this model",
                 "promptEdit")  # fmt: skip
        self.prompt.setVisible(False)
        self.unread = QLabel()
        self.unread.setProperty("role", "warn")
        self.unread.setTextFormat(Qt.TextFormat.PlainText)
        self.unread.setWordWrap(True)
        self.unread.setVisible(False)
        self.label = QLabel("Class")
        self.label.setBuddy(self.combo)
        row = QHBoxLayout()
        row.addWidget(self.label)
        row.addWidget(self.combo, 1)
        self.body.addLayout(row)
        self.body.addWidget(self.prompt)
        self.body.addWidget(self.unread)

    def _connect(self) -> None:
        self.combo.currentIndexChanged.connect(self._on_chosen)
        self.prompt.promptRequested.connect(self._on_prompt)
        self.prompt.typedAnew.connect(self._on_typed)
        self.prompt.shortened.connect(self._on_shortened)

    @Slot(int)
    def _on_chosen(self, row: int) -> None:
        if 0 <= row < len(self._conditions):
            self.conditionRequested.emit(self._conditions[row])

    @Slot(str)
    def _on_prompt(self, text: str) -> None:
        self.conditionRequested.emit(text or None)

    @Slot(str)
    def _on_typed(self, text: str) -> None:
        """Say which words have no effect: one that is still being typed, too."""
        card = self._card
        takes = card is not None and card.takes_text
        self._warn(conditions.reading(card, text).warning if card is not None and takes else "")

    @Slot(int)
    def _on_shortened(self, letters: int) -> None:
        self._warn(f"a prompt has at most {MAX_PROMPT:,} letters: {letters:,} were left out")

    def _warn(self, text: str) -> None:
        self.unread.setText(text[:1].upper() + text[1:])
        self.unread.setVisible(bool(text))

    def show_model(self, card: ModelCard) -> None:
        """Offer the classes of a model, or a field for its prompt."""
        self._card = card
        for widget in (self.label, self.combo):
            widget.setVisible(not card.takes_text)
        self.prompt.setVisible(card.takes_text)
        self.prompt.show_vocabulary(card.vocabulary)
        known = f", of {len(card.vocabulary):,} words" if card.vocabulary else ""
        self.prompt.setPlaceholderText(f"What to show{known}")
        self._on_typed(self.prompt.toPlainText())
        every = tuple(range(len(card.classes)))
        self._conditions = [*every, every, None] if every else [None]
        names = [*card.classes, "One of each", "No class"] if every else ["Unconditional model"]
        with silent(self.combo):
            self.combo.clear()
            self.combo.addItems(names)
        self.combo.setEnabled(bool(every))

    def show_state(self, choices: Choices) -> None:
        """Show the chosen class or prompt; a mixture from a file gets its own line."""
        if self._card is not None and self._card.takes_text:
            self.prompt.show_prompt(_prompt_of(choices.condition))
            return
        with silent(self.combo):
            if choices.condition not in self._conditions:
                self._conditions.append(choices.condition)
                self.combo.addItem(self._mixture(choices.condition))
            self.combo.setCurrentIndex(self._conditions.index(choices.condition))

    def _mixture(self, condition: Condition) -> str:
        labels = condition if isinstance(condition, tuple) else (condition,)
        names = [self._name(label) for label in labels[:3]]
        return ", ".join(names) + (", …" if len(labels) > len(names) else "")

    def _name(self, label: int | str | None) -> str:
        classes = () if self._card is None else self._card.classes
        if isinstance(label, int) and 0 <= label < len(classes):
            return classes[label]
        return f"unknown class {label}"


def _prompt_of(condition: Condition) -> str:
    """One line; of several prompts the first, since a person can type but one for all."""
    first = condition[0] if isinstance(condition, tuple) and condition else condition
    return first if isinstance(first, str) else ""
