"""Two small dialogs: another x_t to branch with, and a picture to invert."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QPushButton,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from diffview.models.card import ModelCard
from diffview.models.editing import PARTS
from diffview.models.inverting import MAX_REFINE
from diffview.ui.inversion import Picture
from diffview.ui.panels.card import describe, narrow
from diffview.ui.panels.picture_chooser import FILTER, MAX_SEED
from diffview.ui.state import Choices

STATES = "Tensors (*.safetensors);;All files (*)"
WIDTH = 400
SAMPLE, FILE = "sample", "file"


class StateDialog(QDialog):
    """New noise around the estimate, everywhere or in a part; or the state in a file."""

    noiseRequested = Signal(int, str)
    fileRequested = Signal(object)

    def __init__(self, seed: int, *, pictures: bool, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("stateDialog")
        self.setWindowTitle("Branch with another x_t")
        self._build(seed, pictures)

    def _build(self, seed: int, pictures: bool) -> None:
        about = QLabel(
            "New noise z around this step's estimate, x_t = α · estimate + σ z: what "
            "the network expects stays, the rest is drawn again. Or a state from a file."
        )
        about.setWordWrap(True)
        self.seed = QSpinBox(minimum=0, maximum=MAX_SEED, value=min(seed, MAX_SEED))
        describe(self.seed, "Seed of the new noise", "Of the first sample; the next has the next",
                 "stateSeedSpinBox")  # fmt: skip
        self.part = QComboBox()
        for name, text in PARTS.items():
            if pictures or name == "all":
                self.part.addItem(text.capitalize(), name)
        describe(self.part, "Where the new noise is", "The rest of x_t stays as it was recorded",
                 "statePartCombo")  # fmt: skip
        self.file = QPushButton("From a file…")
        describe(self.file, "State from a file", "A safetensors file whose tensor x (samples, "
                 "*shape) becomes x_t", "stateFileButton")  # fmt: skip
        buttons = _buttons("Branch")
        buttons.addButton(self.file, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.accepted.connect(self._on_noise)
        buttons.rejected.connect(self.reject)
        self.file.clicked.connect(self._on_file)
        form = QFormLayout()
        form.addRow("Seed of the noise", self.seed)
        form.addRow("New noise in", self.part)
        _stack(self, about, form, buttons)

    @Slot()
    def _on_noise(self) -> None:
        self.accept()
        self.noiseRequested.emit(self.seed.value(), self.part.currentData())

    @Slot()
    def _on_file(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open a state", str(Path.cwd()), STATES)
        if name:
            self.accept()
            self.fileRequested.emit(Path(name))


class InvertDialog(QDialog):
    """Which picture, how strongly guided, how often refined; a picture may be dropped here."""

    pictureRequested = Signal(object)

    def __init__(
        self,
        choices: Choices,
        card: ModelCard,
        sample: Any,
        path: Path | None,
        *,
        steered: bool,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("invertDialog")
        self.setWindowTitle("Invert a picture")
        self.setAcceptDrops(True)
        self._sample = sample
        self._build(choices, card, steered)
        if sample is not None:
            self.picture.addItem("The selected sample of the run", SAMPLE)
        if path is not None:
            self.show_file(path)
        self._show_ready()

    def _build(self, choices: Choices, card: ModelCard, steered: bool) -> None:
        about = QLabel(
            "DDIM run backwards: the picture is followed up to the x_T that leads back to it, and "
            f"the run from there is shown with its error. {_settings(choices, card, steered)}"
        )
        about.setWordWrap(True)
        self.picture, self.browse = QComboBox(), QPushButton("Open picture…")
        describe(self.picture, "Picture to invert", "Open one, or drop it here; it is cut to the "
                 "model's shape", "invertPictureCombo")  # fmt: skip
        narrow(self.picture)
        describe(self.browse, "Open a picture", "A picture file", "invertOpenButton")
        self.gamma = QDoubleSpinBox(minimum=0, maximum=100, value=1.0, singleStep=0.25)
        describe(self.gamma, "Guidance on both ways", "γ; 1 is the most faithful, more makes the "
                 "two ways differ", "invertGammaSpinBox")  # fmt: skip
        self.gamma.setEnabled(steered)
        self.refine = QSpinBox(minimum=0, maximum=MAX_REFINE)
        describe(self.refine, "Refinements", "More evaluations at each step of the way up, which "
                 "make it the inverse of the way back (Pan et al. 2023, arXiv 2309.04907)",
                 "invertRefineSpinBox")  # fmt: skip
        self.buttons = _buttons("Invert")
        self.buttons.accepted.connect(self._on_accepted)
        self.buttons.rejected.connect(self.reject)
        self.browse.clicked.connect(self._on_open)
        form = QFormLayout()
        form.addRow("Picture", self.picture)
        form.addRow("", self.browse)
        form.addRow("Guidance γ", self.gamma)
        form.addRow("Refinements", self.refine)
        _stack(self, about, form, self.buttons)

    def _show_ready(self) -> None:
        self.buttons.button(QDialogButtonBox.StandardButton.Ok).setEnabled(
            self.picture.count() > 0
        )

    @Slot()
    def _on_open(self) -> None:
        name, _ = QFileDialog.getOpenFileName(self, "Open picture", str(Path.cwd()), FILTER)
        if name:
            self.show_file(Path(name))

    def show_file(self, path: Path) -> None:
        """Offer this file, as what is chosen."""
        self.picture.insertItem(0, path.name, path)
        self.picture.setCurrentIndex(0)
        self._show_ready()

    @Slot()
    def _on_accepted(self) -> None:
        chosen, name = self.picture.currentData(), self.picture.currentText()
        gamma = self.gamma.value() if self.gamma.isEnabled() else None
        if chosen == SAMPLE:
            chosen, name = self._sample(), "a sample"
        self.accept()
        self.pictureRequested.emit(Picture(chosen, name, gamma, self.refine.value()))

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """A picture may be dropped here."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Take the first file."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            self.show_file(paths[0])


def _settings(choices: Choices, card: ModelCard, steered: bool) -> str:
    asked = choices.condition
    one = asked[0] if isinstance(asked, tuple) else asked
    name = card.classes[one] if isinstance(one, int) and card.classes else one
    under = f", as '{name}'" if steered else ", without a condition"
    return f"As chosen in the panels: {choices.n_steps} steps, spacing {choices.spacing}{under}."


def _buttons(word: str) -> QDialogButtonBox:
    buttons = QDialogButtonBox(
        QDialogButtonBox.StandardButton.Ok | QDialogButtonBox.StandardButton.Cancel
    )
    buttons.button(QDialogButtonBox.StandardButton.Ok).setText(word)
    return buttons


def _stack(dialog: QDialog, about: QLabel, form: QFormLayout, buttons: QDialogButtonBox) -> None:
    body = QVBoxLayout(dialog)
    body.setSpacing(12)
    body.addWidget(about)
    body.addLayout(form)
    body.addWidget(buttons)
    dialog.setMinimumWidth(WIDTH)
