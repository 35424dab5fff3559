"""The cards of the training lab: what to train, how it goes, and what is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QToolButton,
)

from diffview.training.events import Begun, Trained
from diffview.training.kept import KeptTraining, Order
from diffview.ui import icons
from diffview.ui.panels.card import Card, describe, labelled, narrow, silent
from diffview.ui.panels.number_grid import NumberGrid

FIRST = ("points", "fashion", "folder")
"""What comes first in the list: what is quick, and what is a person's own."""
CONTINUED = 0.2
"""Weights that are good already are changed by smaller steps: this share of the usual rate."""
MOST_SAMPLES = 1_000_000_000
NEW, MODEL, KEPT = "new", "model", "kept"


class OrderCard(Card):
    """What to train: a recipe, its data, what to begin with, how long and how fast."""

    keptDeleted = Signal(object)

    def __init__(self) -> None:
        super().__init__("TRAIN")
        self._offers: dict[str, Any] = {}
        self._data: dict[str, Path] = {}
        self._build()
        self._connect()

    def _build(self) -> None:
        self.recipe, self.begin = QComboBox(), QComboBox()
        describe(self.recipe, "Recipe", "What is trained, on which data", "recipeCombo")
        describe(self.begin, "Begin with", "Fresh weights, those of a model, or a training that "
                 "was stopped", "beginCombo")  # fmt: skip
        narrow(self.recipe, self.begin)
        self.remark = QLabel("Looking for recipes…")
        self.remark.setProperty("role", "muted")
        self.remark.setWordWrap(True)
        self.remark.setTextFormat(Qt.TextFormat.PlainText)
        # A long word in it must not widen the dock.
        self.remark.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.data = QPushButton("Data folder…")
        describe(self.data, "Data folder", "Where the data lie, if not at their usual place",
                 "dataFolderButton")  # fmt: skip
        self.samples = QSpinBox(minimum=1, maximum=MOST_SAMPLES, singleStep=10_000)
        self.samples.setGroupSeparatorShown(True)
        describe(self.samples, "Samples to show", "How many samples the network is shown in all, "
                 "each as often as it is shown", "trainSamplesSpinBox")  # fmt: skip
        self.rate = QDoubleSpinBox(decimals=6, minimum=1e-6, maximum=1.0, singleStep=1e-4)
        describe(self.rate, "Learning rate", "AdamW's highest rate: a warm-up leads there, a "
                 "cosine down from it", "learningRateSpinBox")  # fmt: skip
        self.delete = QToolButton()
        self.delete.setIcon(icons.icon("close"))
        describe(self.delete, "Delete this training", "Delete this training that was stopped: its "
                 "checkpoint and its curves", "deleteTrainingButton")  # fmt: skip
        begin = QHBoxLayout()
        begin.setSpacing(4)
        begin.addLayout(labelled("Begin with", self.begin), 1)
        begin.addWidget(self.delete, 0, Qt.AlignmentFlag.AlignBottom)
        numbers = QHBoxLayout()
        numbers.setSpacing(6)
        numbers.addLayout(labelled("Samples to show", self.samples), 1)
        numbers.addLayout(labelled("Learning rate", self.rate), 1)
        narrow(self.samples, self.rate)
        self.body.addLayout(labelled("Recipe", self.recipe))
        self.body.addWidget(self.remark)
        self.body.addWidget(self.data)
        self.body.addLayout(begin)
        self.body.addLayout(numbers)

    def _connect(self) -> None:
        self.recipe.currentIndexChanged.connect(self._on_recipe)
        self.begin.currentIndexChanged.connect(self._on_begin)
        self.data.clicked.connect(self._on_data)
        self.delete.clicked.connect(lambda: self.keptDeleted.emit(self.begin.currentData()[1]))

    # -- what can be chosen -------------------------------------------------------------------

    def show_offers(self, offers: Sequence[Any]) -> None:
        """What can be trained; what was chosen stays chosen if it is still there."""
        places = {name: place for place, name in enumerate(FIRST)}
        ordered = sorted(offers, key=lambda offer: places.get(offer.info.name, len(FIRST)))
        chosen, before = self.recipe.currentData(), self._chosen
        self._offers = {offer.info.name: offer for offer in ordered}
        with silent(self.recipe):
            self.recipe.clear()
            for offer in ordered:
                self.recipe.addItem(offer.info.title, offer.info.name)
            self.recipe.setCurrentIndex(max(0, self.recipe.findData(chosen)))
        self._on_recipe()
        if chosen in self._offers:
            self._choose_again(*before)

    @property
    def _chosen(self) -> tuple[tuple[str, Any], int, float]:
        begin = self.begin.currentData() or (NEW, None)
        return begin, self.samples.value(), self.rate.value()

    def _choose_again(self, begin: tuple[str, Any], samples: int, rate: float) -> None:
        """What was chosen before, if it is still there and not at its end."""
        places = [self.begin.itemData(place) for place in range(self.begin.count())]
        kind, value = begin
        if kind == KEPT:
            same = [one for one in places if one[0] == KEPT and one[1].folder == value.folder]
            if same and same[0][1].step < same[0][1].steps:
                self.begin.setCurrentIndex(places.index(same[0]))
        elif begin in places:
            self.begin.setCurrentIndex(places.index(begin))
            with silent(self.samples, self.rate):
                self.samples.setValue(samples)
                self.rate.setValue(rate)

    def remember(self, recipe: str) -> None:
        """Choose what was trained last, and to go on with it where it was not at its end."""
        row = self.recipe.findData(recipe)
        if row < 0:
            return
        self.recipe.setCurrentIndex(row)
        for place in range(self.begin.count()):
            kind, value = self.begin.itemData(place)
            if kind == KEPT and value.step < value.steps:
                self.begin.setCurrentIndex(place)
                return

    @property
    def offer(self) -> Any:
        """What there is for the chosen recipe; None before anything is known."""
        return self._offers.get(self.recipe.currentData())

    @Slot()
    def _on_recipe(self) -> None:
        offer = self.offer
        if offer is None:
            return
        with silent(self.begin):
            self.begin.clear()
            for entry in offer.models:
                which = "the bundled weights" if entry.bundled else f"“{entry.card.title}”"
                self.begin.addItem(which, (MODEL, entry.path))
            self.begin.insertItem(0, "fresh weights", (NEW, None))
            for kept in offer.kept:
                self.begin.addItem(_stopped(kept), (KEPT, kept))
            self.begin.setCurrentIndex(0)
        self._on_begin()

    def _show_remark(self) -> None:
        offer, folder = self.offer, self._data.get(self.recipe.currentData())
        if self.kept is not None:
            folder = self.kept.order.data
        needs = f"Needs {offer.info.needs}; takes {offer.info.takes}."
        self.remark.setText(needs if folder is None else f"Data: {folder}")
        self.remark.setToolTip(needs)

    @Slot()
    def _on_begin(self) -> None:
        if self.begin.currentData() is None:
            return
        kind, value = self.begin.currentData()
        offer = self.offer
        with silent(self.samples, self.rate):
            self.samples.setValue(offer.samples)
            self.rate.setValue(offer.learning_rate * (CONTINUED if kind == MODEL else 1))
            if kind == KEPT and value.order.samples is not None:
                self.samples.setValue(value.order.samples)
            if kind == KEPT and value.order.learning_rate is not None:
                self.rate.setValue(value.order.learning_rate)
        for widget in (self.rate, self.data):  # a training that is gone on with keeps its own
            widget.setEnabled(kind != KEPT)
        self.delete.setVisible(kind == KEPT)
        self._show_remark()

    @Slot()
    def _on_data(self) -> None:
        name = QFileDialog.getExistingDirectory(self, "Folder of the data")
        if name:
            self.use_data(Path(name))

    def use_data(self, folder: Path) -> None:
        """Train the chosen recipe on the data in this folder."""
        self._data[self.recipe.currentData()] = folder
        self._show_remark()

    # -- what is chosen -----------------------------------------------------------------------

    @property
    def kept(self) -> KeptTraining | None:
        """The training to go on with, if one is chosen."""
        kind, value = self.begin.currentData() or (NEW, None)
        return value if kind == KEPT else None

    @property
    def order(self) -> Order:
        """What is asked for, for a new training."""
        kind, value = self.begin.currentData() or (NEW, None)
        recipe = self.recipe.currentData()
        return Order(
            recipe,
            data=self._data.get(recipe),
            begin=value if kind == MODEL else None,
            samples=self.samples.value(),
            learning_rate=self.rate.value(),
        )


def _stopped(kept: KeptTraining) -> str:
    """A training to go on with, and whose pictures it is of."""
    of = "" if kept.order.data is None else f" · {kept.order.data.name}"
    return f"go on at step {kept.step:,} of {kept.steps:,}{of}"


_NUMBERS = (
    ("step", r"\text{step}", "Steps of the optimiser so far; each shows one batch"),
    ("samples", r"\text{samples}", "Samples shown so far, each as often as it was shown"),
    ("speed", r"\text{speed}", "Samples a second over about the last minute, with the looks"),
    ("left", r"\text{left}", "Remaining time at the present speed"),
    ("loss", r"\text{loss}", "The mean loss of the last steps, as many as are smoothed over"),
    ("held", r"\text{held out}", "The mean loss over all levels, on pictures kept from training, "
     "of the averaged weights at the shown step"),
)  # fmt: skip


class ProgressCard(Card):
    """How a training goes, in numbers."""

    def __init__(self) -> None:
        super().__init__("PROGRESS")
        self.numbers = NumberGrid("training", _NUMBERS)
        self.remark = QLabel()
        self.remark.setProperty("role", "muted")
        self.remark.setWordWrap(True)
        self.remark.hide()
        self.body.addWidget(self.numbers)
        self.body.addWidget(self.remark)
        self._begun: Begun | None = None

    def clear(self) -> None:
        """Nothing is trained yet."""
        self._begun = None
        self.numbers.show_nothing()
        self.remark.hide()

    def show_begun(self, begun: Begun) -> None:
        """What is trained, and where it stands."""
        self._begun = begun
        self.remark.setText(
            f"{begun.parameters:,} parameters, {begun.pictures:,} training samples, batches of "
            f"{begun.batch} on {begun.device}"
        )
        self.remark.show()
        self._show_step(begun.step)
        if begun.step == begun.steps:
            self.numbers.show_numbers({"left": "0 s"})

    def show_trained(self, trained: Trained) -> None:
        """Some steps more."""
        self._show_step(trained.step)
        speed = trained.samples_per_second
        self.numbers.show_numbers(
            {"speed": f"{speed:,.0f}/s", "left": duration(trained.seconds_left)}
        )

    def show_loss(self, loss: float | None, held_out: float | None) -> None:
        """The smoothed loss, and the held-out one of the step that is looked at."""
        self.numbers.show_numbers({"loss": _loss(loss), "held": _loss(held_out)})

    def _show_step(self, step: int) -> None:
        if self._begun is not None:
            samples = step * self._begun.batch
            self.numbers.show_numbers({"step": f"{step:,}", "samples": _short(samples)})


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _short(count: int) -> str:
    return f"{count:,}" if count < 1_000_000 else f"{count / 1e6:.2f} M"


def duration(seconds: float) -> str:
    """A time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
