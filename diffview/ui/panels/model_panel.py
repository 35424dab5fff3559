"""The model panel: what can be run, and what the chosen model is."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QLabel, QListWidget, QListWidgetItem, QPushButton, QWidget

from diffview.models.card import ModelCard
from diffview.ui.panels.card import Card, describe, silent

ID_ROLE = Qt.ItemDataRole.UserRole
ROW_HEIGHT = 28
MAX_ROWS = 4


class ModelPanel(Card):
    """A list of models, a line about the chosen one, and a button to open more."""

    modelRequested = Signal(str)
    openRequested = Signal()

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
        self.open = QPushButton("Open…")
        describe(self.open, "Open a model or a run", "Open a model, a saved run, or an exported "
                 "picture (Ctrl+O)", "openButton")  # fmt: skip
        self.corner.addWidget(self.open)
        self.body.addWidget(self.list)
        self.body.addWidget(self.about)

    def _connect(self) -> None:
        self.list.currentItemChanged.connect(self._on_current)
        self.open.clicked.connect(self.openRequested)

    @Slot(QListWidgetItem, QListWidgetItem)
    def _on_current(self, item: QListWidgetItem | None, before: QListWidgetItem | None) -> None:
        if item is not None:
            self.modelRequested.emit(item.data(ID_ROLE))

    def show_models(self, cards: Sequence[ModelCard]) -> None:
        """List the models that can be sampled."""
        with silent(self.list):
            self.list.clear()
            for card in cards:
                item = QListWidgetItem(f"{card.title}  ·  {_shape(card)}")
                item.setData(ID_ROLE, card.id)
                item.setToolTip(card.description)
                self.list.addItem(item)
        rows = max(1, min(self.list.count(), MAX_ROWS))
        self.list.setFixedHeight(rows * ROW_HEIGHT + 8)

    def show_model(self, card: ModelCard) -> None:
        """Mark the chosen model and say what it is."""
        with silent(self.list):
            for row in range(self.list.count()):
                if self.list.item(row).data(ID_ROLE) == card.id:
                    self.list.setCurrentRow(row)
        self.about.setText(_summary(card))
        self.about.setToolTip(_details(card))


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
        parts.append(f"{_PREDICTIONS.get(card.prediction, card.prediction)}-prediction")
    if card.parameters:
        parts.append(f"{card.parameters / 1e6:.1f} M parameters")
    return " · ".join(parts)


_PREDICTIONS = {"eps": "ε", "x0": "x₀", "v": "v"}


def _details(card: ModelCard) -> str:
    schedule = f"{card.schedule.name} schedule, T = {card.schedule.T}"
    lines = [card.description, schedule, card.limits and f"Limits: {card.limits}", card.source]
    lines.append(card.licence and f"Licence: {card.licence}")
    lines.append(card.weights_sha256 and f"SHA-256 {card.weights_sha256[:16]}…")
    return "\n\n".join(str(line) for line in lines if line)
