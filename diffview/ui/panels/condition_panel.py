"""The condition panel: which class or which words the run is asked for, and which it avoids."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from diffview.engine.spec import MAX_PROMPT, Condition
from diffview.models import conditions
from diffview.models.card import ModelCard
from diffview.ui.panels.card import Card, describe, narrow, silent
from diffview.ui.panels.fold import Fold
from diffview.ui.state import Choices
from diffview.ui.widgets.prompt_edit import PromptEdit

AVOIDED = (
    "Words that guidance steers away from, in place of no prompt at all: "
    "x̂₀ = x̂₀,n + γ (x̂₀,c − x̂₀,n)"
)
IDLE = "A negative prompt needs a prompt, and classifier-free guidance to steer by"


class ConditionPanel(Card):
    """A list of classes; below them one of each, and none. For models of text, two prompts.

    The second, which guidance steers away from, is folded away.
    """

    conditionRequested = Signal(object)
    negativeRequested = Signal(object)
    """What guidance steers away from, None for no prompt."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("CONDITION", parent)
        self._conditions: list[Condition] = []
        self._card: ModelCard | None = None
        self._classes: tuple[str, ...] = ()
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
        self.negative = PromptEdit()
        describe(self.negative, "Negative prompt", AVOIDED, "negativePromptEdit")
        self.negative.setPlaceholderText("What to steer away from")
        self.prompt.setVisible(False)
        self.fold = Fold("about the prompt", "moreConditionButton")
        self.fold.button.setVisible(False)
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
        self.fold.body.addWidget(self.negative)
        self.body.addWidget(self.fold)
        self.corner.addWidget(self.fold.button)

    def _connect(self) -> None:
        self.combo.currentIndexChanged.connect(self._on_chosen)
        self.prompt.promptRequested.connect(self._on_prompt)
        self.negative.promptRequested.connect(self._on_negative)
        for box in (self.prompt, self.negative):
            box.typedAnew.connect(self._on_typed)
            box.shortened.connect(self._on_shortened)

    @Slot(int)
    def _on_chosen(self, row: int) -> None:
        if 0 <= row < len(self._conditions):
            self.conditionRequested.emit(self._conditions[row])

    @Slot(str)
    def _on_prompt(self, text: str) -> None:
        self.conditionRequested.emit(text or None)

    @Slot(str)
    def _on_negative(self, text: str) -> None:
        self.negativeRequested.emit(text or None)

    @Slot()
    def _on_typed(self) -> None:
        """Say which words have no effect: one that is still being typed, too."""
        self._warn("; ".join(self._unread()))

    def _unread(self) -> list[str]:
        card = self._card
        if card is None or not card.takes_text:
            return []
        boxes = (self.prompt, self.negative) if self._steers else (self.prompt,)
        told = [conditions.reading(card, box.toPlainText()).warning for box in boxes]
        return list(dict.fromkeys(filter(None, told)))

    @Slot(int)
    def _on_shortened(self, letters: int) -> None:
        short = f"a prompt has at most {MAX_PROMPT:,} letters: {letters:,} were left out"
        self._warn("; ".join([short, *self._unread()]))

    def _warn(self, text: str) -> None:
        self.unread.setText(text[:1].upper() + text[1:])
        self.unread.setVisible(bool(text))

    def show_model(self, card: ModelCard) -> None:
        """Offer the classes of a model, or a field for its prompt."""
        self._card = card
        for widget in (self.label, self.combo):
            widget.setVisible(not card.takes_text)
        self.prompt.setVisible(card.takes_text)
        self.fold.button.setVisible(self._steers)
        self.fold.button.setChecked(self._steers and self.fold.button.isChecked())
        for box in (self.prompt, self.negative):
            box.show_vocabulary(card.vocabulary)
        known = f", of {len(card.vocabulary):,} words" if card.vocabulary else ""
        self.prompt.setPlaceholderText(f"What to show{known}")
        self._on_typed()
        self._offer(card.classes)

    def show_classes(self, classes: tuple[str, ...]) -> None:
        """Offer these: a model that has none can be steered to those of its classifier."""
        if classes != self._classes:
            self._offer(classes)

    def _offer(self, classes: tuple[str, ...]) -> None:
        self._classes = classes
        every = tuple(range(len(classes)))
        self._conditions = [*every, every, None] if every else [None]
        names = [*classes, "One of each", "No class"] if every else ["Unconditional model"]
        with silent(self.combo):
            self.combo.clear()
            self.combo.addItems(names)
        self.combo.setEnabled(bool(every))

    def show_state(self, choices: Choices) -> None:
        """Show the chosen class or prompt; a mixture from a file gets its own line."""
        if self._card is not None and self._card.takes_text:
            self.prompt.show_prompt(_prompt_of(choices.condition))
            self._show_negative(choices.negative or "")
            of_use = choices.guidance_kind == "cfg" and choices.condition is not None
            self.negative.setEnabled(of_use)
            self.negative.setToolTip(AVOIDED if of_use else IDLE)
            return
        with silent(self.combo):
            if choices.condition not in self._conditions:
                self._conditions.append(choices.condition)
                self.combo.addItem(self._mixture(choices.condition))
            self.combo.setCurrentIndex(self._conditions.index(choices.condition))

    def _show_negative(self, text: str) -> None:
        """It is folded away until it is wanted: below the prompt there is no room to spare."""
        if text and text != self.negative.toPlainText() and self._steers:
            self.fold.button.setChecked(True)
        self.negative.show_prompt(text)
        self.fold.show_changed(int(bool(text)))

    @property
    def _steers(self) -> bool:
        return self._card is not None and self._card.takes_text and self._card.guidable

    def _mixture(self, condition: Condition) -> str:
        labels = condition if isinstance(condition, tuple) else (condition,)
        names = [self._name(label) for label in labels[:3]]
        return ", ".join(names) + (", …" if len(labels) > len(names) else "")

    def _name(self, label: int | str | None) -> str:
        if isinstance(label, int) and 0 <= label < len(self._classes):
            return self._classes[label]
        return f"unknown class {label}"


def _prompt_of(condition: Condition) -> str:
    """One line; of several prompts the first, since a person can type but one for all."""
    first = condition[0] if isinstance(condition, tuple) and condition else condition
    return first if isinstance(first, str) else ""
