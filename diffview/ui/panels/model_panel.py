"""The model panel: what can be run, what the chosen model is, and where it computes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QTextOption
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMenu,
    QPushButton,
    QTextBrowser,
    QWidget,
)

from diffview.models import facts, memory
from diffview.models.card import ModelCard
from diffview.models.facts import Facts
from diffview.models.memory import Room
from diffview.ui.panels.card import Card, describe, labelled, narrow, silent
from diffview.ui.panels.fold import Fold

ID_ROLE = Qt.ItemDataRole.UserRole
ROW_HEIGHT = 28
MAX_ROWS = 3.5
"""The last one is cut, which says that there are more below."""
DEVICES = ("auto", "cpu", "cuda", "mps")
FACTS_HEIGHT = 260
"""Of the list of facts, where it is not shorter (px)."""
NO_BREAK = "\u00a0"
UNBROKEN = "\u2060"
"""Keeps a line from ending where it stands: the line about a model has room for two."""
NUMBERS_HELP = (
    "The numbers that weights are held and computed in: float32 is exact, the others take half "
    "the memory and are faster on a GPU. auto: float32 where it takes no more than half of the "
    "memory"
)
DEVICE_HELP = (
    "Where the model computes. auto: the fastest there is. The model is opened anew there"
)


class ModelPanel(Card):
    """A list of models, a line about the chosen one, all that is known of it, and ways to more."""

    modelRequested = Signal(str)
    openRequested = Signal()
    folderRequested = Signal()
    hubRequested = Signal()
    placeRequested = Signal(str, str)
    """Device and number type."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("MODEL", parent)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.list = QListWidget()
        describe(self.list, "Models", "The models that can be run here", "modelList")
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.about = QLabel()
        self.about.setWordWrap(True)
        self.about.setProperty("role", "muted")
        self.fold = Fold("about the model", "modelFold")
        self.open = QPushButton("Open…")
        describe(self.open, "Open a model or a run", "Open a model, a saved run, or an exported "
                 "picture: a file, a folder, or from the hub", "openButton")  # fmt: skip
        self._build_menu()
        self._build_more()
        self.corner.addWidget(self.open)
        row = QHBoxLayout()
        row.addWidget(self.about, 1)
        row.addWidget(self.fold.button, 0, Qt.AlignmentFlag.AlignTop)
        self.body.addWidget(self.list)
        self.body.addLayout(row)
        self.body.addWidget(self.fold)

    def _build_menu(self) -> None:
        menu = QMenu(self.open)
        self.open_file = menu.addAction("File…")
        self.open_folder = menu.addAction("Folder…")
        self.open_hub = menu.addAction("From the hub…")
        self.recent = menu.addMenu("Opened last")
        self.recent.setToolTipsVisible(True)
        self.open.setMenu(menu)

    def _build_more(self) -> None:
        self.facts = _FactList()
        describe(self.facts, "About the model", "All that was read of this model", "modelFacts")
        self.device, self.numbers = QComboBox(), QComboBox()
        self.device.addItems(DEVICES)
        describe(self.device, "Device", DEVICE_HELP, "deviceCombo")
        describe(self.numbers, "Numbers", NUMBERS_HELP, "numbersCombo")
        narrow(self.device, self.numbers)
        self.memory = QLabel()
        self.memory.setObjectName("memoryText")
        self.memory.setWordWrap(True)
        self.memory.setProperty("role", "muted")
        self.memory.setToolTip(
            "What the model takes, measured without running it, and what is free"
        )
        row = QHBoxLayout()
        row.addLayout(labelled("Device", self.device), 1)
        row.addLayout(labelled("Numbers", self.numbers), 1)
        self.fold.body.addLayout(row)
        self.fold.body.addWidget(self.memory)
        self.fold.body.addWidget(self.facts)

    def _connect(self) -> None:
        self.list.currentItemChanged.connect(self._on_current)
        self.open_file.triggered.connect(self.openRequested)
        self.open_folder.triggered.connect(self.folderRequested)
        self.open_hub.triggered.connect(self.hubRequested)
        self.device.currentIndexChanged.connect(self._on_place)
        self.numbers.currentIndexChanged.connect(self._on_place)

    @Slot(QListWidgetItem, QListWidgetItem)
    def _on_current(self, item: QListWidgetItem | None, before: QListWidgetItem | None) -> None:
        if item is not None:
            self.modelRequested.emit(item.data(ID_ROLE))

    @Slot(int)
    def _on_place(self, row: int) -> None:
        self.placeRequested.emit(self.device.currentText(), self.numbers.currentText())

    def show_models(self, cards: Sequence[ModelCard]) -> None:
        """List the models that can be sampled."""
        chosen = self.list.currentItem()
        before = "" if chosen is None else chosen.data(ID_ROLE)
        with silent(self.list):
            self.list.clear()
            for card in cards:
                item = QListWidgetItem(f"{card.title}  ·  {_shape(card)}")
                item.setData(ID_ROLE, card.id)
                item.setToolTip(card.description)
                self.list.addItem(item)
        rows = max(1, min(self.list.count(), MAX_ROWS))
        self.list.setFixedHeight(round(rows * ROW_HEIGHT) + 8)
        self._mark(before)

    def _mark(self, model_id: str) -> None:
        with silent(self.list):
            for row in range(self.list.count()):
                if self.list.item(row).data(ID_ROLE) == model_id:
                    self.list.setCurrentRow(row)

    def show_model(self, card: ModelCard, told: Facts = ()) -> None:
        """Mark the chosen model and say what it is; `told` is all that is known, if more is."""
        self._mark(card.id)
        self.about.setText(_summary(card))
        self.about.setToolTip(_told(card))
        told = told or facts.of_card(card)
        self.fold.show_changed(sum(name == "note" for name, _ in told))
        self.facts.show_facts(told)

    def show_place(
        self, card: ModelCard, place: tuple[str, str], numbers: Sequence[str], room: Room | None
    ) -> None:
        """Where it computes, of what can be chosen, and what that takes."""
        device, dtype = place
        with silent(self.device, self.numbers):
            self.device.setCurrentText(device)
            self.numbers.clear()
            self.numbers.addItems(list(numbers))
            self.numbers.setCurrentText(dtype)
        self.numbers.setEnabled(len(numbers) > 1)
        kind = dtype if len(numbers) > 1 else "float32"
        text = memory.foreseen(card.parameters, kind, memory.device_of(device))
        if room is not None:
            text += f". {memory.gigabytes(room.per_sample)} for each sample at work, "
            text += f"{room.samples} at once"
        self.memory.setText(text)
        self.memory.setVisible(card.parameters > 0)


class _FactList(QTextBrowser):
    """Names above values, wrapped wherever they must be."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setOpenLinks(False)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFixedHeight(FACTS_HEIGHT)

    def minimumSizeHint(self) -> QSize:
        """Any width will do."""
        return QSize(60, FACTS_HEIGHT)

    def show_facts(self, told: Facts) -> None:
        """Replace what is shown; what is unusual comes first."""
        unusual = [pair for pair in told if pair[0] == "note"]
        others = [pair for pair in told if pair[0] != "note"]
        self.setHtml("".join(_as_html(name, value) for name, value in (*unusual, *others)))


def _as_html(name: str, value: str) -> str:
    word = "unusual" if name == "note" else name
    return (
        f"<p style='margin:0 0 6px 0'><small><b>{escape(word)}</b></small><br>{escape(value)}</p>"
    )


def _shape(card: ModelCard) -> str:
    *channels, height, width = (
        card.shown_shape if len(card.shown_shape) > 1 else (card.shown_shape[0], 1)
    )
    colours = " RGB" if channels == [3] else ""
    return f"{height}×{width}{colours}"


def _summary(card: ModelCard) -> str:
    without = "takes a prompt" if card.takes_text else "unconditional"
    parts = [f"{len(card.classes)} classes" if card.classes else without]
    if card.by_token:
        parts.append(f"{card.tokens} tokens of {card.codes}")
    else:
        word = _PREDICTIONS.get(card.prediction, card.prediction)
        parts.append(f"{word}-{UNBROKEN}prediction")
    if card.parameters:
        parts.append(memory.counted(card.parameters).replace(" ", NO_BREAK))
    return " · ".join(parts)


def _told(card: ModelCard) -> str:
    """What there is no room for: the word behind the number, and what the model is."""
    size = f"{memory.counted(card.parameters)} parameters" if card.parameters else ""
    return "\n".join(filter(None, (size, card.description)))


_PREDICTIONS = {"eps": "ε", "x0": "x₀", "v": "v"}
