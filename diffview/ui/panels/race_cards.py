"""The race's cards: the clock in numbers, and what each side does in its own way."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QDoubleSpinBox, QGridLayout, QLabel, QSpinBox, QWidget

from diffview.engine.trajectory import Trajectory
from diffview.frames import clock
from diffview.models.card import ModelCard
from diffview.ui.panels.card import Card, describe, labelled, narrow, silent
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
    """Steps and guidance of one side."""

    settingsRequested = Signal(object)

    def __init__(self, side: int) -> None:
        super().__init__(NAMES[side].upper())
        name = NAMES[side]
        self.steps = QSpinBox(minimum=1, maximum=1000)
        describe(self.steps, f"Steps, {name.lower()}", "Steps of its sampler; a model that writes "
                 "token by token takes one for each token", f"race{name}Steps")  # fmt: skip
        self.gamma = QDoubleSpinBox(minimum=0, maximum=100, singleStep=0.5, decimals=2)
        describe(self.gamma, f"Guidance γ, {name.lower()}", "γ of classifier-free guidance: 1 is "
                 "the model under its condition, asked once a step; all others ask twice",
                 f"race{name}Gamma")  # fmt: skip
        self.sampler = QLabel("–")
        self.sampler.setProperty("role", "muted")
        self.sampler.setWordWrap(True)
        self.fields = QWidget()
        row = QGridLayout(self.fields)
        row.setContentsMargins(0, 0, 0, 0)
        row.setHorizontalSpacing(8)
        for column, (text, field) in enumerate((("Steps", self.steps), ("γ", self.gamma))):
            field.setKeyboardTracking(False)
            narrow(field)
            row.addLayout(labelled(text, field), 0, column)
        self.body.addWidget(self.sampler)
        self.body.addWidget(self.fields)
        self.steps.valueChanged.connect(self._ask)
        self.gamma.valueChanged.connect(self._ask)

    @Slot()
    def _ask(self, *_: object) -> None:
        self.settingsRequested.emit(Settings(self.steps.value(), self.gamma.value()))

    def show_choices(self, choices: Choices | None, card: ModelCard | None, words: str) -> None:
        """What this side is asked for; None where there is nothing to choose, for which `words`
        stand."""
        self.sampler.setText(words)
        if choices is None or card is None:
            self.fields.hide()
            return
        self.fields.show()
        self.steps.setEnabled(not choices.by_token)
        self.gamma.setEnabled(card.guidable and choices.condition is not None)
        most = choices.n_steps if choices.by_token else card.schedule.T
        with silent(self.steps, self.gamma):
            self.steps.setMaximum(max(1, most))
            self.steps.setValue(choices.n_steps)
            self.gamma.setValue(choices.guidance_scale)
