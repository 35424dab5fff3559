"""The sampling panel: sampler, steps, spacing, seeds, and the knobs that options declare.

The sampler's first option stands with them, the others are folded away.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QSpinBox, QWidget

from diffview.engine import samplers
from diffview.engine.options import RUN_OPTIONS, Value
from diffview.engine.spacings import SPACINGS
from diffview.engine.spec import MAX_SAMPLES, declared_options
from diffview.models import sampling
from diffview.models.card import ModelCard
from diffview.ui.outlook import Outlook
from diffview.ui.panels import guidance_panel
from diffview.ui.panels.card import Card, describe, labelled, narrow, silent
from diffview.ui.panels.fold import Fold
from diffview.ui.panels.knobs import Knob, bar
from diffview.ui.state import Choices

MOST_SAMPLES = 256
"""As many as fit a pane; a run from a file may have more."""
MOST_STEPS = 999_999
"""What can be typed; a schedule has fewer times, and says so."""
STEPS_HELP = "N, how many of the schedule's times the run visits"
ELSEWHERE = {option.name for option in guidance_panel.OPTIONS}


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


class StepsField(QSpinBox):
    """N. A number beyond the schedule's can be typed, becomes the largest, and is told."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._most = 1000
        self.setRange(1, MOST_STEPS)
        self.setKeyboardTracking(False)

    @property
    def most(self) -> int:
        """As many times as the schedule has."""
        return self._most

    def show_most(self, most: int) -> None:
        """Another schedule."""
        self._most = most

    def stepEnabled(self) -> QSpinBox.StepEnabledFlag:
        """No step beyond the schedule."""
        up = QSpinBox.StepEnabledFlag.StepUpEnabled
        enabled = super().stepEnabled()
        return enabled & ~up if self.value() >= self._most else enabled


class SamplingPanel(Card):
    """Everything of a run that is not model, condition or guidance."""

    samplerRequested = Signal(str)
    stepsRequested = Signal(int)
    spacingRequested = Signal(str)
    seedsRequested = Signal(object, int)
    optionRequested = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("SAMPLER", parent)
        self._knobs: dict[str, Knob] = {}
        self._shown_for = ""
        self._held_back = ""
        self._card: ModelCard | None = None
        self._own: dict[str, Value] = {}
        self._build()
        self._connect()

    def _build(self) -> None:
        self.sampler = QComboBox()
        for info in samplers.every().values():
            self.sampler.addItem(info.title, info.name)
        describe(self.sampler, "Sampler", "How x_t is moved towards the picture", "samplerCombo")
        self.steps = StepsField()
        describe(self.steps, "Steps", STEPS_HELP, "stepsSpinBox")
        self.spacing = QComboBox()
        for name in SPACINGS:
            self.spacing.addItem(name.capitalize(), name)
        describe(self.spacing, "Spacing", "Which times are visited: trailing starts at noise, "
                 "leading ends at t = 0, linspace does both (Lin et al. 2023, table 2); list "
                 "takes the times typed below More", "spacingCombo")  # fmt: skip
        self.seed = SeedField()
        describe(self.seed, "Seed", "Seed of the first sample; the next has the next seed",
                 "seedSpinBox")  # fmt: skip
        self.samples = QSpinBox(minimum=1, maximum=MOST_SAMPLES)
        describe(self.samples, "Samples", "How many pictures are sampled together",
                 "samplesSpinBox")  # fmt: skip
        for spin in (self.seed, self.samples):
            spin.setKeyboardTracking(False)
        narrow(self.sampler, self.steps, self.spacing, self.seed, self.samples)
        self._grid = QGridLayout()
        self._grid.setHorizontalSpacing(10)
        self._grid.setVerticalSpacing(6)
        self._grid.addLayout(labelled("Sampler", self.sampler), 0, 0)
        self._grid.addLayout(labelled("Steps N", self.steps), 0, 1)
        self._grid.addLayout(labelled("Seed", self.seed), 1, 0)
        self._grid.addLayout(labelled("Samples", self.samples), 1, 1)
        self._spaced = QWidget()
        spaced = labelled("Spacing", self.spacing)
        spaced.setContentsMargins(0, 0, 0, 0)
        self._spaced.setLayout(spaced)
        self._grid.addWidget(self._spaced, 2, 0, Qt.AlignmentFlag.AlignTop)
        self._grid.setColumnStretch(0, 1)
        self._grid.setColumnStretch(1, 1)
        self.body.addLayout(self._grid)
        self.warning = QLabel()
        self.warning.setObjectName("samplingWarning")
        self.warning.setProperty("role", "warn")
        self.warning.setWordWrap(True)
        self.warning.hide()
        self.body.addWidget(self.warning)
        self.fold = Fold("sampling options", "moreSamplingButton")
        self.corner.addWidget(self.fold.button)
        self.body.addWidget(self.fold)

    def _connect(self) -> None:
        self.sampler.currentIndexChanged.connect(self._on_sampler)
        self.steps.valueChanged.connect(self._on_steps)
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
    def _on_steps(self, n_steps: int) -> None:
        most = self.steps.most
        if n_steps > most:
            with silent(self.steps):
                self.steps.setValue(most)
            self._held_back = (
                f"{n_steps} steps were asked for: this model's schedule has {most} times, so "
                f"{most} is the most"
            )
            self._warn(self._held_back)
        self.stepsRequested.emit(min(n_steps, most))

    @Slot(int)
    def _on_seeds(self, value: int) -> None:
        self.seedsRequested.emit(self.seed.seed(), self.samples.value())

    def show_model(self, card: ModelCard) -> None:
        """The samplers of the model's kind, and what is its own."""
        self._card = card
        self._own = sampling.range_of(card)
        infos = samplers.by_token() if card.by_token else samplers.every()
        with silent(self.sampler):
            if [self.sampler.itemData(row) for row in range(self.sampler.count())] != list(infos):
                self.sampler.clear()
                for info in infos.values():
                    self.sampler.addItem(info.title, info.name)

    def show_state(self, choices: Choices, outlook: Outlook | None = None) -> None:
        """Show the choices; knobs are rebuilt when the sampler changes."""
        outlook = outlook or Outlook()
        if choices.sampler != self._shown_for:
            self._rebuild_knobs(choices.sampler)
        if self._card is not None:
            self.steps.show_most(self._card.tokens or choices.schedule(self._card).T)
        with silent(self.sampler, self.steps, self.spacing, self.seed, self.samples):
            self.sampler.setCurrentIndex(self.sampler.findData(choices.sampler))
            self.steps.setValue(choices.n_steps)
            self.spacing.setCurrentIndex(self.spacing.findData(choices.spacing))
            self.seed.show_seeds(choices.seeds)
            self.samples.setMaximum(max(MOST_SAMPLES, len(choices.seeds)))
            self.samples.setValue(len(choices.seeds))
        if choices.n_steps != self.steps.most or choices.by_token:
            self._held_back = ""
        self._show_reasons(outlook)
        self._show_kind(choices)
        for name, knob in self._knobs.items():
            default = knob.option.default
            knob.show_value(dict(choices.options).get(name, self._own.get(name, default)))
            knob.show_barred(outlook.barred.get(name, {}))
            knob.show_reason(outlook.idle.get(name, ""))
        self.fold.show_changed(self._changed(choices))

    def _show_reasons(self, outlook: Outlook) -> None:
        for combo, name in ((self.sampler, "sampler"), (self.spacing, "spacing")):
            reasons = outlook.barred.get(name, {})
            rows = {combo.findData(value): why for value, why in reasons.items()}
            bar(combo, rows)
        reason = outlook.idle.get("steps", "")
        self.steps.setEnabled(not reason)
        self.steps.setToolTip(f"{STEPS_HELP}\n\nNot used: {reason}" if reason else STEPS_HELP)
        steps = f"Steps: {reason}" if reason else ""
        self._warn("\n".join(filter(None, (outlook.warning, steps, self._held_back))))

    def _show_kind(self, choices: Choices) -> None:
        """What a model that writes token by token has no use for is not there."""
        tokens = choices.by_token
        self._spaced.setVisible(not tokens)
        self.fold.button.setVisible(not tokens)
        if tokens:
            self.fold.button.setChecked(False)
            self.steps.setEnabled(False)
            self.steps.setToolTip(f"{choices.n_steps} tokens, one a step: the picture has as many")

    def _warn(self, text: str) -> None:
        self.warning.setText(text)
        self.warning.setVisible(bool(text))

    def _changed(self, choices: Choices) -> int:
        folded = [knob.option for knob in self._knobs.values() if self.fold.isAncestorOf(knob)]
        return sum(choices.option(option.name) != option.default for option in folded)

    def _rebuild_knobs(self, sampler: str) -> None:
        for knob in self._knobs.values():
            knob.setParent(None)
            knob.deleteLater()
        info = samplers.find(sampler)
        shown = [option.name for option in info.options if option not in RUN_OPTIONS]
        places = dict.fromkeys(shown[:1], (2, 1))
        if info.by_token:
            places = {name: (2 + k // 2, k % 2) for k, name in enumerate(shown)}
        self._knobs = {}
        for name, option in declared_options(sampler).items():
            if name in ELSEWHERE:
                continue
            knob = Knob(option, self.optionRequested.emit, stacked=name in places)
            self._knobs[name] = knob
            if name in places:
                self._grid.addWidget(knob, *places[name])
            else:
                self.fold.body.addWidget(knob)
        self._shown_for = sampler
