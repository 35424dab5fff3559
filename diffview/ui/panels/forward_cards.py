"""The cards of the forward process: the level, the estimate's error, the levels over t."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel

from diffview.engine.levels import NoiseLevel
from diffview.frames.compose import Tiles
from diffview.models.forward import Error
from diffview.ui import theme
from diffview.ui.panels.card import Card
from diffview.ui.panels.number_grid import NumberGrid
from diffview.ui.panels.step_panel import decibels, number, signed
from diffview.ui.views.level_plot import LevelPlot
from diffview.ui.widgets.math_label import MathLabel

FORMULA = r"\c{xt}{x_{t}} = \alpha_{t} x_{0} + \sigma_{t} \epsilon"
_LEVEL = (
    ("t", "t", "The schedule's own time: T − 1 is noise, 0 one step of noise"),
    ("snr", r"\text{SNR}", "Signal-to-noise ratio (α / σ)², in decibels"),
    ("alpha_bar", r"\bar{\alpha}_{t}", "ᾱ_t = α², the share of the picture's variance in x_t"),
    ("lam", r"\lambda_{t}", "Half the log signal-to-noise ratio, log(α / σ), in nats"),
    ("alpha", r"\alpha_{t}", "α_t, the factor of the picture in x_t = α x₀ + σ ε"),
    ("sigma", r"\sigma_{t}", "σ_t, the factor of the noise in x_t = α x₀ + σ ε"),
)
_NORM = (("norm", r"\|\hat{x}_{0} - x_{0}\|", "Euclidean norm over all values, in data units"),)
_ERROR = (
    ("at", "t", "The time of this estimate: a dragged scrubber is ahead of the network"),
    ("gamma", r"\gamma", "The guidance weight of this estimate"),
    ("rms", r"\text{rms}", "Root mean square of x̂₀ − x₀, in data units (black is −1, white 1)"),
    ("psnr", r"\text{PSNR}", "Peak signal-to-noise ratio, 10 log₁₀(range² / mean square error) "
     "with the data's range, in decibels"),
    ("eps", r"\text{rms }\Delta\epsilon", "Root mean square of ε̂ − ε: what the network was "
     "trained to make small (Ho et al. 2020, eq. 14)"),
)  # fmt: skip


class LevelCard(Card):
    """The formula of the forward process, and the numbers of one level."""

    def __init__(self) -> None:
        super().__init__("FORWARD PROCESS")
        formula = MathLabel(FORMULA)
        formula.setToolTip(
            "Picture times α plus noise times σ; ε stays the same for every t "
            "(Ho, Jain, Abbeel 2020, arXiv 2006.11239, eq. 4)"
        )
        self.numbers = NumberGrid("forward", _LEVEL)
        self.body.addWidget(formula)
        self.body.addWidget(self.numbers)

    def show_nothing(self) -> None:
        """There is no level to look at."""
        self.numbers.show_nothing()

    def show_level(self, level: NoiseLevel) -> None:
        """The numbers of the level that is looked at."""
        self.numbers.show_numbers(
            {
                "t": f"{level.t:g}",
                "snr": decibels(level.snr_db),
                "alpha_bar": number(level.alphas_cumprod),
                "lam": "−∞" if math.isinf(level.lam) else f"{level.lam:.3f}".replace("-", "−"),
                "alpha": number(level.alpha),
                "sigma": number(level.sigma),
            }
        )


class ErrorCard(Card):
    """How far the one-step estimate is from the picture that was noised."""

    def __init__(self) -> None:
        super().__init__("ONE-STEP ESTIMATE")
        self.norm = NumberGrid("estimate", _NORM)
        self.numbers = NumberGrid("estimate", _ERROR)
        self.remark = QLabel()
        self.remark.setProperty("role", "muted")
        self.remark.setWordWrap(True)
        self.body.addWidget(self.norm)
        self.body.addWidget(self.numbers)
        self.body.addWidget(self.remark)

    def show_nothing(self, remark: str) -> None:
        """There is no estimate; why."""
        self.norm.show_nothing()
        self.numbers.show_nothing()
        self.remark.setText(remark)

    def show_error(self, error: Error, level: NoiseLevel, gamma: float | None, who: str) -> None:
        """The numbers of an estimate, and whose it is."""
        self.norm.show_numbers({"norm": number(error.norm)})
        self.numbers.show_numbers(
            {
                "at": f"{level.t:g}",
                "gamma": "–" if gamma is None else f"{gamma:g}",
                "rms": number(error.rms),
                "psnr": _psnr(error.psnr),
                "eps": number(error.eps_rms),
            }
        )
        self.remark.setText(who)


def _psnr(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "∞ dB" if math.isinf(value) else f"{value:.1f} dB".replace("-", "−")


class PlotCard(Card):
    """α̅ and σ, or the SNR, of every level."""

    def __init__(self) -> None:
        super().__init__("NOISE OVER t")
        self.plot = LevelPlot()
        self.body.addWidget(self.plot)

    def show_theme(self) -> None:
        """In the present colours."""
        self.plot.show_theme(theme.current())


class ValueCard(Card):
    """The values under the mouse, in every pane."""

    def __init__(self) -> None:
        super().__init__("UNDER THE MOUSE")
        self.place, self.values = QLabel(), QLabel()
        self.place.setProperty("role", "muted")
        self.values.setProperty("role", "value")
        self.values.setTextFormat(Qt.TextFormat.PlainText)
        self.body.addWidget(self.place)
        self.body.addWidget(self.values)
        self.show_nothing()

    def show_nothing(self) -> None:
        """The mouse is elsewhere."""
        self.place.setText("Point at a picture to read its values.")
        self.values.setText(" \n \n ")

    def show_values(self, labels: Sequence[str], tiles: Sequence[Tiles], row: int, column: int):
        """Values in data units at one pixel."""
        self.place.setText(f"row {row}, column {column}")
        lines = []
        for label, shown in zip(labels, tiles, strict=True):
            numbers = " ".join(signed(float(v)) for v in shown.values[0, row, column])
            lines.append(f"{label}  {numbers}")
        self.values.setText("\n".join(lines))
