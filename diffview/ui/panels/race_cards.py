"""The race's cards: the clock in numbers, and what each side does in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QLabel,
    QSpinBox,
    QWidget,
)

from diffview.engine import samplers
from diffview.engine.samplers.autoregressive import TEMPERATURE, TOP_K
from diffview.engine.trajectory import Trajectory
from diffview.frames import clock
from diffview.models.card import ModelCard
from diffview.ui.outlook import outlook
from diffview.ui.panels.card import Card, describe, labelled, narrow, silent
from diffview.ui.panels.knobs import bar
from diffview.ui.racing import NAMES, Settings
from diffview.ui.state import Choices

_ROWS = (
    ("used", "used", "Network evaluations of one sample at this tick"),
    ("own", "of", "All evaluations of its run"),
    ("steps", "steps", "Steps of its run; tokens, where it writes token by token"),
    ("each", "ms each", "Typical time of one evaluation for all samples together: an evaluation "
     "of the one is not as dear as one of the other"),
    ("seconds", "s in all", "Time of its whole run so far, for all samples together"),
)  # fmt: skip


class ClockCard(Card):
    """A table of both sides, and one sentence that says who is where."""

    def __init__(self) -> None:
        super().__init__("CLOCK")
        self.tick = QLabel("–")
        self.tick.setProperty("role", "title")
        self.tick.setObjectName("raceTick")
        self.tick.setToolTip("The clock counts evaluations of the network for one sample (NFE)")
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setProperty("role", "muted")
        self.words.setObjectName("raceWords")
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.words.setMinimumHeight(4 * self.words.fontMetrics().lineSpacing())
        self._values: dict[str, tuple[QLabel, QLabel]] = {}
        self.body.addWidget(self.tick)
        self.body.addLayout(self._build_table())
        self.body.addWidget(self.words)

    def _build_table(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(4)
        for side, name in enumerate(NAMES):
            head = QLabel(name)
            head.setProperty("role", "muted")
            grid.addWidget(head, 0, 1 + side, Qt.AlignmentFlag.AlignRight)
        for row, (key, text, help) in enumerate(_ROWS, 1):
            label = QLabel(text)
            label.setToolTip(help)
            grid.addWidget(label, row, 0)
            self._values[key] = (QLabel("–"), QLabel("–"))
            for side, value in enumerate(self._values[key]):
                value.setProperty("role", "value")
                value.setObjectName(f"race{NAMES[side]}_{key}")
                value.setToolTip(help)
                value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                grid.addWidget(value, row, 1 + side)
        for column in (1, 2):
            grid.setColumnStretch(column, 1)
        return grid

    def show_clock(self, tick: int, runs: Sequence[Trajectory | None]) -> None:
        """Both runs at a tick."""
        self.tick.setText(f"{tick} evaluation{'' if tick == 1 else 's'}")
        for side, run in enumerate(runs):
            texts = dict.fromkeys(self._values, "–") if run is None else _numbers(run, tick)
            for key, text in texts.items():
                self._values[key][side].setText(text)
        self.words.setText(in_words(tick, runs))


def _numbers(run: Trajectory, tick: int) -> dict[str, str]:
    steps = [record for record in run if record.level.sigma > 0]
    seconds = sum(record.seconds for record in run)
    per = median([record.seconds for record in steps]) if steps else 0.0
    asked = max(1, round(run.nfe / max(1, len(steps) * run.stride)))
    return {
        "used": f"{clock.used(run, tick)}",
        "own": f"{clock.expected(run)}",
        "steps": f"{run.spec.n_steps}",
        "each": f"{1000 * per / asked:.1f}" if steps else "–",
        "seconds": f"{seconds:.1f}" if run.stride == 1 else "–",
    }


def in_words(tick: int, runs: Sequence[Trajectory | None]) -> str:
    """Who has used how many evaluations at a tick."""
    parts = []
    for name, run in zip(NAMES, runs, strict=True):
        if run is None:
            continue
        used, own = clock.used(run, tick), clock.expected(run)
        if run.complete and tick >= own:
            parts.append(f"{name} is done: it took {own}.")
        else:
            parts.append(f"{name} has used {used} of {own}, {used / max(1, own):.0%}.")
    return "\n".join(parts)


class EntrantCard(Card):
    """What one side does in its own way: the fields that its kind of model has."""

    settingsRequested = Signal(object)

    def __init__(self, side: int) -> None:
        super().__init__(NAMES[side].upper())
        self._by_token = False
        self._build(NAMES[side])
        self._connect()

    def _build(self, name: str) -> None:
        self.words = QLabel("–")
        self.words.setProperty("role", "muted")
        self.words.setWordWrap(True)
        self.sampler = QComboBox()
        describe(self.sampler, f"Sampler, {name.lower()}", "How x_t is moved towards the picture",
                 f"race{name}Sampler")  # fmt: skip
        self.steps = QSpinBox(minimum=1, maximum=1000)
        describe(self.steps, f"Steps, {name.lower()}", "Steps of its sampler",
                 f"race{name}Steps")  # fmt: skip
        self.temperature = QDoubleSpinBox(minimum=0, maximum=10, singleStep=0.1, decimals=2)
        describe(self.temperature, f"Temperature, {name.lower()}", TEMPERATURE.help,
                 f"race{name}Temperature")  # fmt: skip
        self.top_k = QSpinBox(minimum=0)
        describe(self.top_k, f"Top k, {name.lower()}", TOP_K.help, f"race{name}TopK")
        self.gamma = QDoubleSpinBox(minimum=0, maximum=100, singleStep=0.5, decimals=2)
        describe(self.gamma, f"Guidance γ, {name.lower()}", "γ of classifier-free guidance: 1 is "
                 "the model under its condition, asked once a step; all others ask twice",
                 f"race{name}Gamma")  # fmt: skip
        titles: dict[QWidget, str] = {
            self.sampler: "Sampler", self.steps: "Steps",
            self.temperature: "Temperature", self.top_k: "Top k", self.gamma: "γ",
        }  # fmt: skip
        self._fields = {field: _titled(text, field) for field, text in titles.items()}
        self.fields = QWidget()
        self._grid = grid = QGridLayout(self.fields)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(6)
        places = (0, 0, 1, 2), (1, 0, 1, 1), (0, 0, 1, 1), (0, 1, 1, 1), (1, 1, 1, 1)
        for titled, place in zip(self._fields.values(), places, strict=True):
            grid.addWidget(titled, *place)
        for column in (0, 1):
            grid.setColumnStretch(column, 1)
        self.body.addWidget(self.words)
        self.body.addWidget(self.fields)

    def _connect(self) -> None:
        self.sampler.currentIndexChanged.connect(self._ask)
        for number in (self.steps, self.temperature, self.top_k, self.gamma):
            number.valueChanged.connect(self._ask)

    @Slot()
    def _ask(self, *_: object) -> None:
        if self._by_token:
            options = ((TEMPERATURE.name, self.temperature.value()),
                       (TOP_K.name, self.top_k.value()))  # fmt: skip
            made = Settings(guidance_scale=self.gamma.value(), options=options)
        else:
            made = Settings(self.steps.value(), self.gamma.value(), self.sampler.currentData())
        self.settingsRequested.emit(made)

    def show_choices(self, choices: Choices | None, card: ModelCard | None, words: str) -> None:
        """What this side is asked for; None where there is nothing to choose, for which `words`
        stand."""
        self.words.setText(words)
        self.fields.setVisible(choices is not None)
        if choices is None or card is None:
            return
        self._by_token = choices.by_token
        written = self.temperature, self.top_k
        for field, titled in self._fields.items():
            titled.setVisible(field is self.gamma or (field in written) == choices.by_token)
        # Beside the steps, or where they would be.
        self._grid.addWidget(self._fields[self.gamma], 1, 0 if choices.by_token else 1)
        self.gamma.setEnabled(card.guidable and choices.condition is not None)
        with silent(self.gamma):
            self.gamma.setValue(choices.guidance_scale)
        if choices.by_token:
            self._show_writing(choices, card)
        else:
            self._show_noise(choices, card)

    def _show_writing(self, choices: Choices, card: ModelCard) -> None:
        with silent(self.temperature, self.top_k):
            self.top_k.setMaximum(card.codes)
            self.temperature.setValue(float(choices.option(TEMPERATURE.name)))
            self.top_k.setValue(int(choices.option(TOP_K.name)))

    def _show_noise(self, choices: Choices, card: ModelCard) -> None:
        known = samplers.every()
        barred = outlook(choices, card, ()).barred.get("sampler", {})
        with silent(self.sampler, self.steps):
            if not self.sampler.count():
                for info in known.values():
                    self.sampler.addItem(info.title, info.name)
            self.sampler.setCurrentIndex(self.sampler.findData(choices.sampler))
            bar(self.sampler, {list(known).index(name): why for name, why in barred.items()})
            self.steps.setMaximum(card.schedule.T)
            self.steps.setValue(choices.n_steps)


def _titled(text: str, field: QWidget) -> QWidget:
    narrow(field)
    if isinstance(field, QAbstractSpinBox):
        field.setKeyboardTracking(False)
    whole = QWidget()
    column = labelled(text, field)
    column.setContentsMargins(0, 0, 0, 0)
    whole.setLayout(column)
    return whole
