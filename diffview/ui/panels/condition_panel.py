"""The condition panel: which class the run is asked for."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QLineEdit, QWidget

from diffview.engine.spec import Condition
from diffview.models.card import ModelCard
from diffview.ui.panels.card import Card, describe, narrow, silent
from diffview.ui.state import Choices


class ConditionPanel(Card):
    """A list of classes; below them one of each, and none."""

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
        self.prompt = QLineEdit()
        describe(self.prompt, "Prompt", "Words the pictures shall show", "promptEdit")
        self.prompt.setPlaceholderText("This model takes no prompt")
        self.prompt.setVisible(False)
        self.label = QLabel("Class")
        self.label.setBuddy(self.combo)
        row = QHBoxLayout()
        row.addWidget(self.label)
        row.addWidget(self.combo, 1)
        self.body.addLayout(row)
        self.body.addWidget(self.prompt)

    def _connect(self) -> None:
        self.combo.currentIndexChanged.connect(self._on_chosen)

    @Slot(int)
    def _on_chosen(self, row: int) -> None:
        if 0 <= row < len(self._conditions):
            self.conditionRequested.emit(self._conditions[row])

    def show_model(self, card: ModelCard) -> None:
        """Offer the classes of a model."""
        self._card = card
        every = tuple(range(len(card.classes)))
        self._conditions = [*every, every, None] if every else [None]
        names = [*card.classes, "One of each", "No class"] if every else ["Unconditional model"]
        with silent(self.combo):
            self.combo.clear()
            self.combo.addItems(names)
        self.combo.setEnabled(bool(every))

    def show_state(self, choices: Choices) -> None:
        """Show the chosen class; a mixture from a file gets its own line."""
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
