"""The cards of the exact denoiser: its posterior in numbers, and the weight of each class."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtWidgets import QLabel

from diffview.models.exact.reading import Sum
from diffview.ui.panels.card import Card, describe
from diffview.ui.panels.number_grid import NumberGrid
from diffview.ui.panels.step_panel import number
from diffview.ui.views.class_bars import ClassBars
from diffview.ui.widgets.math_label import MathLabel

FORMULA = r"\c{x0hat}{\hat{x}_{0}} = \Sigma_{i} w_{i} x_{i}"
WEIGHTS = r"w_{i} \propto \exp (-\| \c{xt}{x_{t}} - \alpha x_{i} \|^{2} / 2 \sigma^{2})"
FORMULA_HELP = (
    "The best estimate there is for data that are exactly these pictures: their mean, weighed by "
    "how likely x_t comes from each (Karras et al. 2022, arXiv 2206.00364, eq. 57)"
)
_POSTERIOR = (
    ("effective", r"N_{\text{eff}}", "exp(H): how many pictures x_t could as well have come from"),
    ("count", "N", "The pictures that are summed over"),
    ("entropy", "H", "The entropy of the weights in nats: log N if all weigh the same, 0 if one "
     "has all the weight"),
    ("most", r"\max w_{i}", "The weight of the heaviest picture"),
    ("log_prob", r"\log p_{\sigma}", "log p(x_t) in nats: of the pictures with noise around each. "
     "Under a class log p(x_t | y)"),
    ("per_value", r"\text{per } d", "The same divided by the number of values of a sample"),
)  # fmt: skip
_BESIDE = (
    ("rms", r"\text{rms}", "Root mean square of x̂₀ of the network − x̂₀ of the set, in data units"),
    ("distance", r"\text{to set}", "How far the network's x̂₀ is from the nearest picture of the "
     "whole set (root mean square, data units): 0 would be a memory"),
)  # fmt: skip


class PosteriorCard(Card):
    """The formula, and the read-outs of one state."""

    def __init__(self) -> None:
        super().__init__("WHERE IT COULD COME FROM")
        for markup in (FORMULA, WEIGHTS):
            formula = MathLabel(markup)
            formula.setToolTip(FORMULA_HELP)
            self.body.addWidget(formula)
        self.numbers = NumberGrid("posterior", _POSTERIOR)
        self.remark = QLabel(" ")
        self.remark.setProperty("role", "muted")
        self.body.addWidget(self.numbers)
        self.body.addWidget(self.remark)

    def show_nothing(self) -> None:
        """There is no posterior."""
        self.numbers.show_nothing()

    def show_remark(self, text: str, help: str) -> None:
        """What the set takes of memory."""
        self.remark.setText(text or " ")
        self.remark.setToolTip(help)

    def show_sum(self, told: Sum, values: int) -> None:
        """The read-outs of a sum; a sample has so many values."""
        self.numbers.show_numbers(
            {
                "effective": effective(told.effective),
                "count": f"{told.count:,}".replace(",", "\u202f"),
                "entropy": f"{abs(told.entropy):.3f}",
                "most": number(float(told.weights[0])),
                "log_prob": _nats(told.log_prob),
                "per_value": f"{told.log_prob / values:.3f}".replace("-", "−"),
            }
        )


class BesideCard(Card):
    """How far network and set are from one another, and the network from all it has seen."""

    def __init__(self) -> None:
        super().__init__("NETWORK AND SET")
        self.numbers = NumberGrid("beside", _BESIDE)
        self.remark = QLabel(" ")
        self.remark.setProperty("role", "muted")
        self.remark.setWordWrap(True)
        self.body.addWidget(self.numbers)
        self.body.addWidget(self.remark)

    def show_nothing(self, remark: str = " ") -> None:
        """There are not two to compare; why."""
        self.numbers.show_nothing()
        self.remark.setText(remark)

    def show_gap(self, rms: float, distance: float, nearest: str) -> None:
        """Root mean square of the difference, and the network's distance to the nearest picture;
        NaN where that is not known."""
        far = "–" if math.isnan(distance) else number(distance)
        self.numbers.show_numbers({"rms": number(rms), "distance": far})
        self.remark.setText(nearest or " ")


class ClassCard(Card):
    """P(y | x_t): the weight of all pictures of each class."""

    def __init__(self) -> None:
        super().__init__("ITS CLASS")
        self.bars = ClassBars()
        describe(self.bars, "Weight of each class", "P(y | x_t): the weights of all pictures of a "
                 "class, added up; all pictures are summed over", "classBars")  # fmt: skip
        self.remark = QLabel("This set has no classes.")
        self.remark.setProperty("role", "muted")
        self.body.addWidget(self.bars)
        self.body.addWidget(self.remark)

    def show_weights(self, names: Sequence[str], weights: Sequence[float], chosen: int) -> None:
        """The weight of each class."""
        self.bars.setVisible(bool(names))
        self.remark.setHidden(bool(names))
        self.bars.show_weights(names, weights, chosen)


def _nats(value: float) -> str:
    digits = 1 if abs(value) < 10_000 else 0
    return f"{value:.{digits}f}".replace("-", "−")


def effective(value: float) -> str:
    """A number of pictures: whole where it is large."""
    return f"{value:.3f}" if value < 100 else f"{value:,.0f}".replace(",", "\u202f")
