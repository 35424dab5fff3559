"""The sampling panel: sampler, steps, spacing, seeds, and the knobs the sampler declares."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLineEdit,
    QSpinBox,
    QWidget,
)

from diffview.engine import samplers
from diffview.engine.options import Option, Value
from diffview.engine.spacings import SPACINGS
from diffview.engine.spec import MAX_SAMPLES, declared_options
from diffview.models.card import ModelCard
from diffview.ui.panels.card import Card, describe, labelled, narrow, silent
from diffview.ui.state import Choices

MOST_SAMPLES = 256
"""As many as fit a pane; a run from a file may have more."""
FIXED_CELLS = 5
"""Sampler, steps, seed, samples, spacing; the declared options follow."""


class SeedField(QSpinBox):
    """The first seed. One that Qt cannot count is shown as it is, and stays until it is edited."""

    LARGEST = 2**31 - 1 - MAX_SAMPLES

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._beyond: int | None = None
        self.setRange(0, self.LARGEST)

    def seed(self) -> int:
        """The first seed as chosen."""
        shown = self.value()
        return shown if self._beyond is None or shown < self.LARGEST else self._beyond

    def show_seeds(self, seeds: Sequence[int]) -> None:
        """Show the first of these seeds; "…" says that the others are not simply the next."""
        self._beyond = seeds[0] if seeds[0] > self.LARGEST else None
        in_a_row = all(later == seeds[0] + k for k, later in enumerate(seeds))
        self.setSuffix("" if in_a_row else " …")
        self.setValue(min(seeds[0], self.LARGEST))
        self.lineEdit().setText(self.textFromValue(self.value()) + self.suffix())

    def textFromValue(self, value: int) -> str:
        """The number itself, also beyond Qt's."""
        beyond = self._beyond is not None and value == self.LARGEST
        return str(self._beyond if beyond else value)


class SamplingPanel(Card):
    """Everything of a run that is not model, condition or guidance."""

    samplerRequested = Signal(str)
    stepsRequested = Signal(int)
    spacingRequested = Signal(str)
    seedsRequested = Signal(object, int)
    optionRequested = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("SAMPLER", parent)
        self._options: dict[str, QWidget] = {}
        self._cells: list[QWidget] = []
        self._shown_for = ""
        self._build()
        self._connect()

    def _build(self) -> None:
        self.sampler = QComboBox()
        for info in samplers.every().values():
            self.sampler.addItem(info.title, info.name)
        describe(self.sampler, "Sampler", "How x_t is moved towards the picture", "samplerCombo")
        self.steps = QSpinBox(minimum=1, maximum=1000)
        describe(self.steps, "Steps", "N, how many of the schedule's times the run visits",
                 "stepsSpinBox")  # fmt: skip
        self.spacing = QComboBox()
        for name in SPACINGS:
            self.spacing.addItem(name.capitalize(), name)
        describe(self.spacing, "Spacing", "Which times are visited: trailing starts at noise, "
                 "leading ends at t = 0, linspace does both (Lin et al. 2023, table 2)",
                 "spacingCombo")  # fmt: skip
        self.seed = SeedField()
        describe(self.seed, "Seed", "Seed of the first sample; the next has the next seed",
                 "seedSpinBox")  # fmt: skip
        self.samples = QSpinBox(minimum=1, maximum=MOST_SAMPLES)
        describe(self.samples, "Samples", "How many pictures are sampled together",
                 "samplesSpinBox")  # fmt: skip
        for spin in (self.steps, self.seed, self.samples):
            spin.setKeyboardTracking(False)
        narrow(self.sampler, self.steps, self.spacing, self.seed, self.samples)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(8)
        self._grid.addLayout(labelled("Sampler", self.sampler), 0, 0)
        self._grid.addLayout(labelled("Steps N", self.steps), 0, 1)
        self._grid.addLayout(labelled("Seed", self.seed), 1, 0)
        self._grid.addLayout(labelled("Samples", self.samples), 1, 1)
        self._grid.addLayout(labelled("Spacing", self.spacing), 2, 0)
        self._grid.setColumnStretch(0, 1)
        self._grid.setColumnStretch(1, 1)
        self.body.addLayout(self._grid)

    def _connect(self) -> None:
        self.sampler.currentIndexChanged.connect(self._on_sampler)
        self.steps.valueChanged.connect(self.stepsRequested)
        self.spacing.currentIndexChanged.connect(self._on_spacing)
        self.seed.valueChanged.connect(self._on_seeds)
        self.samples.valueChanged.connect(self._on_seeds)

    @Slot(int)
    def _on_sampler(self, row: int) -> None:
        self.samplerRequested.emit(self.sampler.itemData(row))

    @Slot(int)
    def _on_spacing(self, row: int) -> None:
        self.spacingRequested.emit(self.spacing.itemData(row))

    @Slot(int)
    def _on_seeds(self, value: int) -> None:
        self.seedsRequested.emit(self.seed.seed(), self.samples.value())

    def show_model(self, card: ModelCard) -> None:
        """As many steps as the model's schedule has times."""
        with silent(self.steps):
            self.steps.setMaximum(card.schedule.T)

    def show_state(self, choices: Choices) -> None:
        """Show the choices; knobs are rebuilt when the sampler changes."""
        if choices.sampler != self._shown_for:
            self._rebuild_options(choices.sampler)
        with silent(self.sampler, self.steps, self.spacing, self.seed, self.samples):
            self.sampler.setCurrentIndex(self.sampler.findData(choices.sampler))
            self.steps.setValue(choices.n_steps)
            self.spacing.setCurrentIndex(self.spacing.findData(choices.spacing))
            self.seed.show_seeds(choices.seeds)
            self.samples.setMaximum(max(MOST_SAMPLES, len(choices.seeds)))
            self.samples.setValue(len(choices.seeds))
        for name, widget in self._options.items():
            with silent(widget):
                _show_value(widget, choices.option(name))
        if "rederive_eps" in self._options:
            self._options["rederive_eps"].setEnabled(choices.option("clip") != "none")

    def _rebuild_options(self, sampler: str) -> None:
        for widget in self._cells:
            widget.deleteLater()
        self._options, self._cells = {}, []
        for place, option in enumerate(declared_options(sampler).values(), FIXED_CELLS):
            self._options[option.name] = self._option_widget(option)
            cell = QWidget()
            column = labelled(option.title, self._options[option.name])
            column.setContentsMargins(0, 0, 0, 0)
            cell.setLayout(column)
            self._grid.addWidget(cell, place // 2, place % 2)
            self._cells.append(cell)
        self._shown_for = sampler

    def _option_widget(self, option: Option) -> QWidget:
        widget = self._make_widget(option)
        narrow(widget)
        describe(widget, option.title, f"{option.help}\n{option.source}", f"option_{option.name}")
        return widget

    def _make_widget(self, option: Option) -> QWidget:
        def request(value: Value) -> None:
            self.optionRequested.emit(option.name, value)

        if option.choices:
            combo = QComboBox()
            combo.addItems([choice.capitalize() for choice in option.choices])
            combo.currentIndexChanged.connect(lambda row: request(option.choices[row]))
            combo.setProperty("choices", list(option.choices))
            return combo
        if isinstance(option.default, bool):
            box = QCheckBox("on")
            box.toggled.connect(request)
            return box
        if isinstance(option.default, str):
            line = QLineEdit(placeholderText="none")
            line.editingFinished.connect(lambda: request(line.text()))
            return line
        low = -1e6 if option.low is None else option.low
        high = 1e6 if option.high is None else option.high
        spin = QDoubleSpinBox(minimum=low, maximum=high, decimals=3, singleStep=0.1)
        spin.setKeyboardTracking(False)
        spin.valueChanged.connect(request)
        return spin


def _show_value(widget: QWidget, value: Value) -> None:
    if isinstance(widget, QComboBox):
        widget.setCurrentIndex(widget.property("choices").index(value))
    elif isinstance(widget, QCheckBox):
        widget.setChecked(bool(value))
    elif isinstance(widget, QLineEdit):
        widget.setText(str(value))
    elif isinstance(widget, QDoubleSpinBox):
        widget.setValue(float(value))
