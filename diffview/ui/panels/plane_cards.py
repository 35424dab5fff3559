"""The 2-D lab's cards: the level, the particles, and what the model says under the mouse."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QGridLayout, QLabel, QProgressBar, QWidget

from diffview.engine.levels import NoiseLevel
from diffview.ui.panels.card import Card, describe, labelled, narrow, silent
from diffview.ui.panels.number_grid import NumberGrid
from diffview.ui.panels.step_panel import decibels, number
from diffview.ui.plane_lab import COUNTS, Place
from diffview.ui.widgets.math_label import MathLabel

_LEVEL = (
    ("t", "t", "The schedule's own time: T − 1 is noise, 0 one step of noise"),
    ("snr", r"\text{SNR}", "Signal-to-noise ratio (α / σ)², in decibels"),
    ("alpha", r"\alpha_{t}", "α_t, the factor of the data in x_t = α x₀ + σ ε"),
    ("sigma", r"\sigma_{t}", "σ_t, the factor of the noise in x_t = α x₀ + σ ε"),
    ("gamma", r"\c{gamma}{\gamma}", "γ that acts at this step: score = (1 − γ) ∇ log p(x_t) + γ ∇ "
     "log p(x_t | y); 0 without a class"),
    ("step", "i", "The step of the run"),
)  # fmt: skip
_PLACE = (
    ("x_t", r"\c{xt}{x_{t}}", "The place under the mouse, in data units"),
    ("score", r"\c{score}{\nabla \log p}", "The score there, per data unit"),
    ("x0_hat", r"\c{x0hat}{\hat{x}_{0}}", "E[x₀ | x_t]: where a particle from here would have "
     "come from on average, in data units"),
    ("log_p", r"\log p", "log p(x_t) in nats; of p_γ but for a constant"),
)  # fmt: skip
TWEEDIE = (
    r"\c{x0hat}{\hat{x}_{0}} = (\c{xt}{x_{t}} + \sigma^{2} \c{score}{\nabla \log p}) / \alpha"
)
NO_PLACE = "Point at the plane to read its numbers."


class Rows(QWidget):
    """Symbols on the left and their values on the right, a row each."""

    def __init__(self, prefix: str, rows: Sequence[tuple[str, str, str]]) -> None:
        super().__init__()
        self._values: dict[str, QLabel] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setVerticalSpacing(4)
        for place, (name, symbol, help) in enumerate(rows):
            label, value = MathLabel(symbol), QLabel("–")
            value.setProperty("role", "value")
            value.setObjectName(f"{prefix}_{name}")
            value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for column, widget in enumerate((label, value)):
                widget.setToolTip(help)
                grid.addWidget(widget, place, column)
            self._values[name] = value
        grid.setColumnStretch(1, 1)

    def show_texts(self, **texts: str) -> None:
        """Set these values; the others stay."""
        for name, text in texts.items():
            self._values[name].setText(text)

    def show_nothing(self) -> None:
        """A dash for every value."""
        for value in self._values.values():
            value.setText("–")

    def text(self, name: str) -> str:
        """What is shown for a value."""
        return self._values[name].text()


class PlaneLevelCard(Card):
    """The level that is looked at."""

    def __init__(self) -> None:
        super().__init__("NOISE LEVEL")
        self.numbers = NumberGrid("plane", _LEVEL)
        self.body.addWidget(self.numbers)

    def show_level(self, level: NoiseLevel, gamma: float | None, step: int, of: int) -> None:
        """Its numbers, and γ where a class steers."""
        self.numbers.show_numbers(
            {
                "t": "clean" if level.sigma == 0 else f"{level.t:g}",
                "snr": "∞" if level.sigma == 0 else decibels(level.snr_db),
                "alpha": number(level.alpha),
                "sigma": number(level.sigma),
                "gamma": "–" if gamma is None else f"{gamma:g}",
                "step": f"{step}/{of}" if of else "–",
            }
        )


class ParticlesCard(Card):
    """How many particles are followed, and how many have come through."""

    countRequested = Signal(int)

    def __init__(self) -> None:
        super().__init__("PARTICLES")
        self.count = QComboBox()
        for count in COUNTS:
            how = "dots" if count <= COUNTS[1] else "histogram"
            self.count.addItem(f"{count:,} as {how}", count)
        describe(self.count, "How many particles", "How many particles go through the same run as "
                 "the samples: sampler, steps, class and γ", "planeParticlesCombo")  # fmt: skip
        narrow(self.count)
        self.bar = QProgressBar(textVisible=False)
        describe(self.bar, "Particles that are there", "How many of the particles have gone "
                 "through the whole run", "planeParticlesProgress")  # fmt: skip
        self.remark = QLabel(" ")
        self.remark.setProperty("role", "muted")
        self.body.addLayout(labelled("How many", self.count))
        self.body.addWidget(self.bar)
        self.body.addWidget(self.remark)
        self.count.currentIndexChanged.connect(self._on_count)

    @Slot()
    def _on_count(self) -> None:
        self.countRequested.emit(self.count.currentData())

    def show_count(self, count: int) -> None:
        """What is chosen."""
        with silent(self.count):
            self.count.setCurrentIndex(max(0, self.count.findData(count)))

    def show_progress(self, ready: int, count: int) -> None:
        """How many of how many are there; fewer than were chosen where memory is short."""
        self.bar.setMaximum(max(1, count))
        self.bar.setValue(ready)
        wanted = self.count.currentData()
        least = f" (of {wanted:,}: memory)" if 0 < count < wanted else ""
        self.remark.setText(f"{ready:,} of {count:,} are there{least}" if count else " ")


class PlaceCard(Card):
    """The numbers under the mouse, and Tweedie's formula that joins them."""

    def __init__(self) -> None:
        super().__init__("UNDER THE MOUSE")
        self.rows = Rows("place", _PLACE)
        self.formula = MathLabel(TWEEDIE)
        self.formula.setToolTip(
            "Tweedie's formula: the score says where the data lie (Efron 2011; Robbins 1956)"
        )
        self.check = QLabel(NO_PLACE)
        self.check.setProperty("role", "small")
        self.check.setWordWrap(True)
        self.check.setMinimumHeight(2 * self.check.fontMetrics().lineSpacing())
        self.body.addWidget(self.rows)
        self.body.addWidget(self.formula)
        self.body.addWidget(self.check)

    def show_nothing(self) -> None:
        """The mouse is elsewhere."""
        self.rows.show_nothing()
        self.check.setText(NO_PLACE)

    def show_place(self, place: Place) -> None:
        """What the model says there."""
        self.rows.show_texts(
            x_t=_pair(place.x_t),
            score=_pair(place.score),
            x0_hat=_pair(place.x0_hat),
            log_p="–" if place.log_p is None else f"{_signed(place.log_p)} nats",
        )
        parts = zip(place.x_t, place.score, place.x0_hat, strict=True)
        terms = [tweedie(place.level, *map(float, part)) for part in parts]
        self.check.setText("\n".join(terms))


def tweedie(level: NoiseLevel, x_t: float, score: float, x0_hat: float) -> str:
    """The formula with its numbers, in a line that the card is wide enough for."""
    sign, size = "−" if score < 0 else "+", _signed(abs(score))
    return (
        f"({_signed(x_t)} {sign} {number(level.sigma**2)}·{size})/{number(level.alpha)} = "
        f"{_signed(x0_hat)}"
    )


def _pair(values: NDArray[np.float64]) -> str:
    return f"({_signed(values[0])}, {_signed(values[1])})"


def _signed(value: float) -> str:
    places = 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{value:.{places}f}".replace("-", "−")
