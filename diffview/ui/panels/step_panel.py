"""The step panel: the numbers of the step that is shown, and of the pixel under the mouse."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QLabel, QWidget

from diffview.engine.trajectory import StepRecord
from diffview.frames import quantities
from diffview.frames.compose import Frame
from diffview.ui.panels.card import Card, describe, silent
from diffview.ui.panels.number_grid import NumberGrid
from diffview.ui.widgets.math_label import MathLabel

EQUATION = r"x_{t'} = w_{0} \c{x0hat}{\hat{x}_{0}} + w_{1} \c{xt}{x_{t}} + s_{t} z"
EQUATION_RAW = EQUATION.replace(" + s_", r" + w_{r} \c{x0hat}{\hat{x}_{r}} + s_")
"""Where ε follows the estimate before clipping, that estimate has a weight of its own."""
NO_SUM = r"\text{This move takes more than these.}"
"""Where a sampler's move is no weighted sum of estimates and the present state (LMS)."""
STAGE_TERM = r"\; + \; w_{s} \c{x0hat}{\hat{x}_{0,s}}"
OLDER_TERM = r"\; + \; w_{-1} \c{x0hat}{\hat{x}_{0,-1}}"
OLDER_TERMS = r"\; + \; \Sigma_{k} w_{-k} \c{x0hat}{\hat{x}_{0,-k}}"
MOST_OLDER, MOST_STAGES = 3, 1
"""As many weights of each kind have a place; no sampler has more."""

_ROWS = (
    ("t", "t", "The schedule's own time of this step: T − 1 is noise, 0 one step of noise"),
    ("i", "i / N", "Which of the N steps this is"),
    ("alpha_bar", r"\bar{\alpha}_{t}", "ᾱ_t = α², the share of the picture's variance in x_t"),
    ("snr", r"\text{SNR}", "Signal-to-noise ratio (α / σ)², in decibels"),
    ("alpha", r"\alpha_{t}", "α_t, the factor of the picture in x_t = α x₀ + σ ε"),
    ("sigma", r"\sigma_{t}", "σ_t, the factor of the noise in x_t = α x₀ + σ ε"),
    ("w0", r"w_{0}", "The weight of x̂₀ in this step's update"),
    ("w1", r"w_{1}", "The weight of x_t in this step's update"),
    ("noise_std", r"s_{t}", "The standard deviation of the fresh noise this step adds"),
    ("eps", r"\text{rms }\hat{\epsilon}", "Root mean square of ε̂ over the selected sample; "
     "about 1 when the estimate is good"),
    ("nfe", r"\text{NFE}", "Network evaluations of one sample so far; guidance takes two a step"),
    ("ms", r"\text{ms}", "Time of this step in milliseconds, all samples together"),
    ("w_raw", r"w_{r}", "The weight of the estimate before clipping, which ε is derived from"),
    ("w_stage", r"w_{s}", "The weight of this step's second estimate, x̂₀ at its second stage"),
    *((f"w_past{k}", f"w_{{-{k}}}", f"The weight of the estimate {k} step{'s' * (k > 1)} before")
      for k in range(1, MOST_OLDER + 1)),
)  # fmt: skip


class StepPanel(Card):
    """The update as a formula, and its numbers for the shown step; which of its evaluations."""

    stageRequested = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("THIS STEP", parent)
        self._build()

    def _build(self) -> None:
        self.equation = MathLabel(EQUATION)
        self.equation.setToolTip(
            "The sampler's move to the next time t′: a weighted sum of estimate and state, "
            "and fresh noise (DDPM eq. 7, DDIM eq. 12)"
        )
        self.more = MathLabel("")
        self.more.setToolTip(
            "Estimates of earlier steps (multistep samplers), or of this step's second stage"
        )
        self.stages = QComboBox()
        describe(self.stages, "Evaluation", "Which evaluation of this step the panes show: "
                 "its own, or the further ones its sampler makes", "stageCombo")  # fmt: skip
        self.stages.currentIndexChanged.connect(self.stageRequested)
        self.body.addWidget(self.stages)
        self.body.addWidget(self.equation)
        self.body.addWidget(self.more)
        self.numbers = NumberGrid("step", _ROWS)
        self.body.addWidget(self.numbers)
        self.stages.hide()
        self.more.hide()
        self._leave_out(older=0, raw=False, staged=False)

    def show_step(self, record: StepRecord, sample: int, n_steps: int) -> None:
        """The numbers of one record; `sample` is the one whose noise is measured."""
        self.numbers.show_numbers(step_numbers(record, sample, n_steps))
        move = record.move
        raw = (move is not None and move.w_raw != 0) or record.x0_raw is not None
        sums = move is not None or record.level.sigma == 0
        self.equation.show_markup((EQUATION_RAW if raw else EQUATION) if sums else NO_SUM)
        older = 0 if move is None else len(move.w_past)
        staged = move is not None and bool(move.w_stages)
        terms = STAGE_TERM * staged + ("", OLDER_TERM, OLDER_TERMS)[min(older, 2)]
        self.more.show_markup(terms)
        self.more.setVisible(bool(terms))
        self._leave_out(older, raw, staged)

    def _leave_out(self, older: int, raw: bool, staged: bool) -> None:
        """The weights of what this step's move has not: estimates `older` than its own, ..."""
        absent = {f"w_past{k}" for k in range(older + 1, MOST_OLDER + 1)}
        self.numbers.leave_out(
            absent | (set() if raw else {"w_raw"}) | (set() if staged else {"w_stage"})
        )

    def show_stages(self, record: StepRecord, stage: int) -> None:
        """Offer the evaluations of a record, if it has several, and mark the shown one."""
        names = ["Evaluation 1: the step", *_stage_names(record)]
        with silent(self.stages):
            if [self.stages.itemText(row) for row in range(self.stages.count())] != names:
                self.stages.clear()
                self.stages.addItems(names)
            self.stages.setCurrentIndex(stage if stage < len(names) else 0)
        self.stages.setVisible(len(names) > 1)


def _stage_names(record: StepRecord) -> Iterator[str]:
    for number, point in enumerate(record.stages, 2):
        if point.x0_hat is None:
            yield f"{point.name.capitalize()}, not evaluated"
        else:
            yield f"Evaluation {number}: {point.name}"


def step_numbers(record: StepRecord, sample: int, n_steps: int) -> dict[str, str]:
    """The texts of the step panel by name; "–" where the clean end has no such number."""
    level, move, clean = record.level, record.move, record.level.sigma == 0
    return {
        "t": "clean" if clean else f"{level.t:g}",
        "i": f"{record.i}/{n_steps}",
        "alpha_bar": number(level.alphas_cumprod),
        "snr": "∞" if clean else decibels(level.snr_db),
        "alpha": number(level.alpha),
        "sigma": number(level.sigma),
        "w0": "–" if move is None else number(move.w0),
        "w1": "–" if move is None else number(move.w1),
        "w_raw": "–" if move is None else number(move.w_raw),
        "w_stage": "–" if move is None else " ".join(map(number, move.w_stages)),
        **{f"w_past{k}": _weight_before(record, k) for k in range(1, MOST_OLDER + 1)},
        "noise_std": _std(math.nan if move is None else move.noise_std),
        "eps": "–" if clean else f"{_rms(quantities.find('eps').values(record)[sample]):.4f}",
        "nfe": str(record.nfe),
        "ms": f"{1000 * record.seconds:.1f}",
    }


def _weight_before(record: StepRecord, k: int) -> str:
    past = () if record.move is None else record.move.w_past
    return number(past[k - 1]) if k <= len(past) else "–"


def number(value: float) -> str:
    """Four decimals, or powers of ten where those would round a small value to nothing."""
    small = value != 0 and abs(value) < 1e-3
    return (f"{value:.2e}" if small else f"{value:.4f}").replace("-", "−")


def decibels(value: float) -> str:
    """A level in dB with a true minus sign."""
    return ("−∞" if math.isinf(value) else f"{value:.1f}".replace("-", "−")) + " dB"


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


class MousePanel(Card):
    """The values under the mouse, of both panes."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("UNDER THE MOUSE", parent)
        self.place = QLabel()
        self.place.setProperty("role", "muted")
        self.values = QLabel()
        self.values.setProperty("role", "value")
        self.values.setObjectName("mouseValues")
        self.body.addWidget(self.place)
        self.body.addWidget(self.values)
        self.show_nothing()

    def show_nothing(self) -> None:
        """The mouse is elsewhere."""
        self.place.setText("Point at a picture to read its values.")
        self.values.setText(" ")

    def show_values(self, frame: Frame, sample: int, row: int, column: int) -> None:
        """Values in data units (−1 is black, 1 is white in the clean picture)."""
        self.place.setText(f"sample {sample} · row {row}, column {column}")
        texts = []
        for tiles in frame.tiles:
            label = quantities.find(tiles.quantity).label
            numbers = " ".join(signed(float(v)) for v in tiles.values[sample, row, column])
            texts.append(f"{label}  {numbers}")
        self.values.setText("\n".join(texts))


def signed(value: float) -> str:
    """A number with its sign and three decimals; "–" for none."""
    if math.isnan(value):
        return "–"
    return f"{value:+.3f}".replace("-", "−")


def _std(value: float) -> str:
    return "–" if math.isnan(value) else number(value)
