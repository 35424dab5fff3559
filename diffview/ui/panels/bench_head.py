"""What both runs of the guidance bench are asked for: class, samples, steps, clipping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QPushButton, QSpinBox, QWidget

from diffview.ui.judging import Asked
from diffview.ui.panels.card import FIELD_HEIGHT, describe, narrow, silent
from diffview.ui.panels.picture_chooser import MAX_SEED

MOST_SAMPLES, MOST_STEPS = 64, 250


class BenchHead(QWidget):
    """A row of fields."""

    askedAnew = Signal(object)
    runRequested = Signal()

    def __init__(self, asked: Asked, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._asked = asked
        self._build()
        self.label.currentIndexChanged.connect(self._ask)
        for field in (self.samples, self.seed, self.steps):
            field.valueChanged.connect(self._ask)
        self.clip.toggled.connect(self._ask)
        self.run.clicked.connect(self.runRequested)

    def _build(self) -> None:
        self.label = QComboBox()
        describe(self.label, "Class to steer to", "What the classifiers shall see in the pictures "
                 "of a model that is asked for nothing", "benchClassCombo")  # fmt: skip
        self.samples = QSpinBox(minimum=1, maximum=MOST_SAMPLES, suffix=" samples")
        self.seed = QSpinBox(minimum=0, maximum=MAX_SEED, prefix="seed ")
        self.steps = QSpinBox(minimum=2, maximum=MOST_STEPS, suffix=" steps")
        describe(self.samples, "Samples of each run", "How many pictures each run makes",
                 "benchSamplesSpinBox")  # fmt: skip
        describe(self.seed, "First seed", "Both runs begin with the noise of the same seeds",
                 "benchSeedSpinBox")  # fmt: skip
        describe(self.steps, "Steps of each run", "Steps of DDIM", "benchStepsSpinBox")
        self.clip = QCheckBox("Clip")
        describe(self.clip, "Clip the estimate", "Keep x̂₀ within black and white, and derive ε̂ "
                 "from it: at high noise the gradient is multiplied by σ²/α, and without this "
                 "what is left of it there is noise", "benchClipCheck")  # fmt: skip
        self.run = QPushButton("Run both")
        self.run.setProperty("primary", True)
        self.run.setMinimumWidth(self.run.fontMetrics().horizontalAdvance("Run both") + 40)
        describe(self.run, "Run or stop both", "Sample both anew (Ctrl+Enter); while they run: "
                 "stop (Esc)", "benchRunButton")  # fmt: skip
        narrow(self.label)
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        row.setSpacing(8)
        row.addWidget(self.label, 1)
        for field, width in ((self.samples, 122), (self.seed, 110), (self.steps, 110)):
            field.setKeyboardTracking(False)
            field.setFixedWidth(width)
            row.addWidget(field)
        row.addWidget(self.clip)
        row.addWidget(self.run)
        for widget in (self.label, self.samples, self.seed, self.steps):
            widget.setFixedHeight(FIELD_HEIGHT)

    @Slot()
    def _ask(self, *_: object) -> None:
        first, count = self.seed.value(), self.samples.value()
        asked = replace(
            self._asked,
            label=max(0, self.label.currentIndex()),
            seeds=tuple(range(first, first + count)),
            n_steps=self.steps.value(),
            clip=self.clip.isChecked(),
        )
        if asked != self._asked:
            self._asked = asked
            self.askedAnew.emit(asked)

    def show_classes(self, names: Sequence[str]) -> None:
        """What can be steered to."""
        with silent(self.label):
            self.label.clear()
            self.label.addItems(list(names))
        self.show_asked(self._asked)

    def show_asked(self, asked: Asked) -> None:
        """What is asked for."""
        self._asked = asked
        with silent(self.label, self.samples, self.seed, self.steps, self.clip):
            self.label.setCurrentIndex(asked.label)
            self.samples.setValue(len(asked.seeds))
            self.seed.setValue(asked.seeds[0])
            self.steps.setValue(asked.n_steps)
            self.clip.setChecked(asked.clip)

    def show_running(self, running: bool, possible: bool) -> None:
        """What the button does."""
        self.run.setText("Stop" if running else "Run both")
        self.run.setEnabled(running or possible)
