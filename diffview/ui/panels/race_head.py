"""What both sides of the race are asked for: the pair, the prompt or class, the seeds."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QWidget,
)

from diffview.models import conditions
from diffview.models.card import ModelCard
from diffview.ui.panels.card import FIELD_HEIGHT, describe, narrow, silent
from diffview.ui.panels.picture_chooser import MAX_SEED
from diffview.ui.racing import Wanted
from diffview.ui.widgets.prompt_edit import PromptEdit

PAIRS = (
    ("Emoji by words", "emoji-ar", "emoji-text"),
    ("Clothes by class", "fashion-pixel-ar", "fashion"),
)
"""What the lecture compares: autoregression on the left, diffusion on the right."""
OWN = "Your own two"
MOST = 64


class RaceHead(QWidget):
    """Asks for what is chosen; the fields that neither side needs are not there."""

    pairRequested = Signal(str, str)
    wantedRequested = Signal(object)
    runRequested = Signal()

    def __init__(self, wanted: Wanted, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._wanted = wanted
        self._card: ModelCard | None = None
        self._build()
        self._connect()

    def _build(self) -> None:
        self.pair = QComboBox()
        for title, left, right in PAIRS:
            self.pair.addItem(title, (left, right))
        self.pair.addItem(OWN, None)
        describe(self.pair, "Pair", "Autoregression beside diffusion, of one prompt or class; or "
                 "any two models, chosen below", "racePairCombo")  # fmt: skip
        self.prompt = PromptEdit()
        self.prompt.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.prompt.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.prompt.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        describe(self.prompt, "Prompt of both", "Words that both shall show; Enter takes them. "
                 "Underlined words are not read", "racePromptEdit")  # fmt: skip
        self.label = QComboBox()
        describe(self.label, "Class of both", "What the pictures of both shall show",
                 "raceClassCombo")  # fmt: skip
        self.samples = QSpinBox(minimum=1, maximum=MOST, suffix=" samples")
        describe(self.samples, "Samples of each", "How many pictures each side makes",
                 "raceSamplesSpinBox")  # fmt: skip
        self.seed = QSpinBox(minimum=0, maximum=MAX_SEED, prefix="seed ")
        describe(self.seed, "First seed", "Both sides draw from the same seeds: this one, and "
                 "those after it", "raceSeedSpinBox")  # fmt: skip
        self.run = QPushButton("Run both")
        self.run.setProperty("primary", True)
        self.run.setMinimumWidth(self.run.fontMetrics().horizontalAdvance("Run both") + 40)
        describe(self.run, "Run or stop both", "Sample both anew, on one clock (Ctrl+Enter); "
                 "while they run: stop (Esc)", "raceRunButton")  # fmt: skip
        narrow(self.pair, self.label)
        for number in (self.samples, self.seed):
            number.setKeyboardTracking(False)
            number.setFixedWidth(122)
        for widget in (self.pair, self.prompt, self.label, self.samples, self.seed):
            widget.setFixedHeight(FIELD_HEIGHT)
        self.nothing = QLabel()
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        row.setSpacing(8)
        row.addWidget(self.pair, 2)
        for asked in (self.prompt, self.label, self.nothing):
            row.addWidget(asked, 3)
        row.addWidget(self.samples)
        row.addWidget(self.seed)
        row.addWidget(self.run)
        self.show_cards(())

    def _connect(self) -> None:
        self.pair.currentIndexChanged.connect(self._on_pair)
        self.prompt.promptRequested.connect(self._ask)
        self.prompt.typedAnew.connect(self._on_typed)
        self.label.currentIndexChanged.connect(self._ask)
        self.samples.valueChanged.connect(self._ask)
        self.seed.valueChanged.connect(self._ask)
        self.run.clicked.connect(self.runRequested)

    @Slot(int)
    def _on_pair(self, row: int) -> None:
        pair = self.pair.itemData(row)
        if pair is not None:
            self.pairRequested.emit(*pair)

    @Slot()
    def _ask(self, *_: object) -> None:
        first, count = self.seed.value(), self.samples.value()
        label = self.label.currentText() or self._wanted.label
        prompt = " ".join(self.prompt.toPlainText().split())
        wanted = Wanted(prompt, label, tuple(range(first, first + count)))
        if wanted != self._wanted:
            self._wanted = wanted
            self.wantedRequested.emit(wanted)

    @Slot(str)
    def _on_typed(self, text: str) -> None:
        """The tool tip says which words are not read; they are underlined too."""
        warning = "" if self._card is None else conditions.reading(self._card, text).warning
        plain = "Words that both shall show; Enter takes them. Underlined words are not read"
        self.prompt.setToolTip(f"{warning[:1].upper()}{warning[1:]}" if warning else plain)

    # -- showing ------------------------------------------------------------------------------

    def show_pair(self, chosen: tuple[str, str]) -> None:
        """Which pair it is."""
        rows = {self.pair.itemData(row): row for row in range(self.pair.count())}
        with silent(self.pair):
            self.pair.setCurrentIndex(rows.get(chosen, self.pair.count() - 1))

    def show_cards(self, cards: Sequence[ModelCard]) -> None:
        """A field for the prompt or the class, as these models are asked."""
        texts = [card for card in cards if card.takes_text]
        self._card = texts[0] if texts else None
        names = list(dict.fromkeys(name for card in cards for name in card.classes))
        self.prompt.setVisible(bool(texts))
        self.label.setVisible(bool(names))
        self.nothing.setVisible(not texts and not names)
        self.prompt.show_vocabulary(sorted({word for card in texts for word in card.vocabulary}))
        if names != [self.label.itemText(row) for row in range(self.label.count())]:
            with silent(self.label):
                self.label.clear()
                self.label.addItems(names)
        self.show_wanted(self._wanted)

    def show_wanted(self, wanted: Wanted) -> None:
        """What both are asked for."""
        self._wanted = wanted
        self.prompt.show_prompt(wanted.prompt)
        with silent(self.label, self.samples, self.seed):
            self.label.setCurrentIndex(max(0, self.label.findText(wanted.label)))
            self.samples.setValue(len(wanted.seeds))
            self.seed.setValue(wanted.seeds[0])

    def show_running(self, running: bool, possible: bool) -> None:
        """What the button does."""
        self.run.setText("Stop" if running else "Run both")
        self.run.setEnabled(running or possible)

    def show_theme(self) -> None:
        """Marks in the present colours."""
        self.prompt.show_theme()
