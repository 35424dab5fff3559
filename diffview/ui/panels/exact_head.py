"""What is compared: a network, a set of pictures, and over which of them is summed."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QWidget

from diffview.models.card import ModelCard
from diffview.ui.panels.card import FIELD_HEIGHT, describe, narrow, silent

SUMS = {
    "all": "All pictures",
    "class": "One class",
    "guided": "Guided by γ",
}
BY_HEART = ", by heart"
"""At the end of a set's title; here it goes without saying."""
SUMS_HELP = (
    "Over which pictures the exact denoiser sums, and what the network is asked for beside it.\n"
    "All pictures: E[x₀ | x_t], beside the network without a class (γ = 0).\n"
    "One class: E[x₀ | x_t, y], beside the network under its class (γ = 1).\n"
    "Guided by γ: x̂₀ = all + γ (class − all) for both, γ of the slider: classifier-free, even if "
    "the run itself was guided in another way."
)
NETWORK_HELP = "The trained network that is asked at the same x_t"
SET_HELP = (
    "The pictures that are known by heart. A folder of pictures dropped on the window becomes one "
    "more: brought to squares of one size, its sub-folders its classes."
)


class ExactHead(QWidget):
    """Four lists beside one another."""

    networkRequested = Signal(str)
    setRequested = Signal(str)
    sumsRequested = Signal(str)
    classRequested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.network, self.set = QComboBox(), QComboBox()
        self.sums, self.label = QComboBox(), QComboBox()
        for name, text in SUMS.items():
            self.sums.addItem(text, name)
        describe(self.network, "Network", NETWORK_HELP, "exactNetworkCombo")
        describe(self.set, "Set of pictures", SET_HELP, "exactSetCombo")
        describe(self.sums, "Sum over", SUMS_HELP, "exactSumsCombo")
        describe(self.label, "Class", "Which class, of the set's own", "exactClassCombo")
        narrow(self.network, self.set, self.sums, self.label)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        row.setSpacing(6)
        row.addStrut(FIELD_HEIGHT)
        for text, combo, most in (
            ("Network", self.network, 150), ("Set", self.set, 180), ("Sum", self.sums, 150),
            ("", self.label, 130),
        ):  # fmt: skip
            if text:
                label = QLabel(text)
                label.setProperty("role", "muted")
                label.setBuddy(combo)
                row.addWidget(label)
            combo.setMaximumWidth(most)
            row.addWidget(combo, 4)
        row.addStretch(1)

    def _connect(self) -> None:
        self.network.currentIndexChanged.connect(self._on_network)
        self.set.currentIndexChanged.connect(self._on_set)
        self.sums.currentIndexChanged.connect(self._on_sums)
        self.label.currentIndexChanged.connect(self.classRequested)

    @Slot(int)
    def _on_network(self, row: int) -> None:
        self.networkRequested.emit(self.network.itemData(row) or "")

    @Slot(int)
    def _on_set(self, row: int) -> None:
        self.setRequested.emit(self.set.itemData(row) or "")

    @Slot(int)
    def _on_sums(self, row: int) -> None:
        self.sumsRequested.emit(self.sums.itemData(row))

    def show_models(
        self, networks: Sequence[ModelCard], sets: Sequence[ModelCard], network: str, set: str
    ) -> None:
        """What there is of the run's shape, and what is chosen of it."""
        for combo, cards, chosen, none in (
            (self.network, networks, network, "None of this shape"),
            (self.set, sets, set, "None of this shape"),
        ):
            with silent(combo):
                combo.clear()
                for card in cards:
                    combo.addItem(card.title.removesuffix(BY_HEART), card.id)
                if not cards:
                    combo.addItem(none, "")
                combo.setCurrentIndex(max(0, combo.findData(chosen)))
            combo.setEnabled(bool(cards))

    def show_sums(self, kind: str, classes: Sequence[str], label: int, gamma: float) -> None:
        """How is summed, and over which class."""
        with silent(self.sums, self.label):
            self.sums.setItemText(2, f"Guided, γ = {gamma:g}")
            self.sums.setCurrentIndex(self.sums.findData(kind))
            if [self.label.itemText(k) for k in range(self.label.count())] != list(classes):
                self.label.clear()
                self.label.addItems(list(classes))
            self.label.setCurrentIndex(label)
        self.sums.setEnabled(bool(classes))
        self.label.setEnabled(bool(classes) and kind != "all")
