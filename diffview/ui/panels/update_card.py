"""The step, explained: the update with this step's numbers and a picture of each term."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from diffview.engine import samplers
from diffview.engine.origin import in_force
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.frames import update as updates
from diffview.frames.lens import Lens
from diffview.frames.update import Term, Update
from diffview.ui.panels.card import FittingLabel, describe
from diffview.ui.panels.step_panel import number
from diffview.ui.views.update_view import Tile, UpdateView
from diffview.ui.widgets.math_label import MathLabel

RESULT = r"\c{xt}{x_{t'}}"
WHATS = {
    "x0hat": "x̂₀, where the model thinks it is going",
    "xraw": "x̂₀ before it was clipped: ε̂ is derived from it",
    "xt": "x_t, the state before the move",
    "z": "z, the fresh noise of this step; drawn from −3 to 3",
    "past": "x̂₀ of the step {} before this one",
    "stage": "x̂₀ of this step's second evaluation",
}
ROLES = {"xt": "xt", "z": "eps"}


class UpdateCard(QFrame):
    """Heading, equation, what the check says, and the row of pictures."""

    weightedToggled = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self._build()

    def _build(self) -> None:
        self.equation = MathLabel(RESULT)
        self.remark = FittingLabel()
        self.remark.setProperty("role", "muted")
        self.remark.setObjectName("updateRemark")
        self.weighted = QToolButton()
        self.weighted.setText("weighted")
        self.weighted.setCheckable(True)
        self.weighted.setProperty("small", True)
        self.weighted.setProperty("framed", True)
        describe(self.weighted, "Weighted terms", "Draw every term times its weight: on one "
                 "scale, so that the pictures on the right add up to the one on the left",
                 "weightedButton")  # fmt: skip
        self.weighted.toggled.connect(self.weightedToggled)
        self.view = UpdateView()
        describe(self.view, "The update, term by term", "", "updateView")
        head = QHBoxLayout()
        head.setContentsMargins(6, 0, 0, 0)
        head.setSpacing(12)
        head.addWidget(self.equation)
        head.addWidget(self.remark, 1)
        head.addWidget(self.weighted)
        body = QVBoxLayout(self)
        body.setContentsMargins(6, 6, 8, 4)
        body.setSpacing(2)
        body.addLayout(head)
        body.addWidget(self.view, 1)

    def show_nothing(self, message: str) -> None:
        """There is no step."""
        self.equation.show_markup(RESULT)
        self.remark.setText("")
        self.view.show_tiles((), message)

    def show_step(
        self, run: Trajectory, index: int, sample: int, scale: float | None, lens: Lens | None
    ) -> None:
        """The step of a record, under another guidance scale if one is given."""
        record, made = run[index], updates.update(run, index, sample, scale)
        sampler = in_force(run.spec, record.i).sampler
        info = samplers.find(sampler)
        self.equation.show_markup(_equation(made))
        self.equation.setToolTip(
            "The sampler's move to the next time t′, as a sum of its terms "
            f"({info.title}: {info.source})"
        )
        own = scale is None or scale == in_force(run.spec, record.i).guidance.scale
        would = "" if own else f"as γ = {scale:g} would make it"
        self.remark.setText(_remark(made, info.title, would))
        self.remark.setToolTip(self.remark.text())
        if not made.terms:
            self.view.show_tiles((), made.remark)
            return
        weighted = self.weighted.isChecked()
        terms = [_tile(record, term, sampler, lens, weighted=weighted) for term in made.terms]
        first = [] if made.result is None else [_result(record, made, lens)]
        if not first:  # the equation is read from its left side
            terms[0] = _unsigned(terms[0])
        self.view.show_tiles([*first, *terms])


def _unsigned(tile: Tile) -> Tile:
    sign = "" if tile.sign == "=" else tile.sign
    return Tile(tile.pixels, tile.caption, sign, tile.help, tile.quantity, tile.spoken)


def _remark(made: Update, title: str, would: str) -> str:
    if not made.terms:
        return title
    if would:
        return f"{title} · {would}"
    if made.remark:
        return f"{title} · {made.remark}"
    if made.gap is not None:
        return f"{title} · sum = recorded x_t′ to {_power(made.gap)}"
    noise = next((term for term in made.terms if term.name == "z"), None)
    if noise is None or noise.weight is None:
        return title
    rms = float(np.sqrt(np.mean(np.square(noise.values, dtype=np.float64))))
    return f"{title} · rms z = {rms:.3f}"


def _power(gap: float) -> str:
    return "the last bit" if gap == 0 else f"{gap:.0e}".replace("-", "−")


def symbol(term: Term) -> tuple[str, str]:
    """Weight and quantity of a term as markup."""
    if term.name.startswith("past"):
        k = term.name.removeprefix("past")
        return f"w_{{-{k}}}", rf"\c{{x0hat}}{{\hat{{x}}_{{0,-{k}}}}}"
    known = {
        "x0hat": ("w_{0}", r"\c{x0hat}{\hat{x}_{0}}"),
        "xraw": ("w_{r}", r"\c{x0hat}{\hat{x}_{r}}"),
        "xt": ("w_{1}", r"\c{xt}{x_{t}}"),
        "z": ("s_{t}", r"\c{eps}{z}"),
    }
    return known.get(term.name, ("w_{s}", r"\c{x0hat}{\hat{x}_{0,s}}"))


def _equation(made: Update) -> str:
    if not made.terms:
        return RESULT
    return f"{RESULT} = " + " + ".join(" ".join(symbol(term)) for term in made.terms)


def _tile(
    record: StepRecord, term: Term, sampler: str, lens: Lens | None, *, weighted: bool
) -> Tile:
    weight, name = symbol(term)
    value = term.weight
    shown, role = (term.part if weighted else term.values), ROLES.get(term.name, "x0hat")
    as_state = "xt" if weighted and term.name == "z" else term.name
    size = "" if value is None else number(abs(value)).replace("−", "-")
    caption = rf"{weight} {name}" if value is None else rf"\text{{{_told(size)}}}\, {name}"
    negative = value is not None and value < 0
    first = term.name == "x0hat"
    sign = ("= −" if negative else "=") if first else ("−" if negative else "+")
    help = f"{_what(term)}\n{updates.weight_help(sampler, term.name)}"
    if value is not None and not math.isnan(value):
        help += f"\nhere {number(value)}"
    pixels = updates.picture(record, as_state, shown, lens)
    return Tile(pixels, caption, sign, help, role, f"{size} {_what(term).split(',')[0]}")


def _told(size: str) -> str:
    return size.replace("-", "−")


def _what(term: Term) -> str:
    if term.name.startswith("past"):
        k = term.name.removeprefix("past")
        return WHATS["past"].format("right" if k == "1" else k)
    return WHATS.get(term.name, WHATS["stage"])


def _result(record: StepRecord, made: Update, lens: Lens | None) -> Tile:
    assert made.result is not None
    at = made.target
    place = (
        "the next state" if at is None else ("t′ = clean" if at.sigma == 0 else f"t′ = {at.t:g}")
    )
    help = f"x_t′, the state that the sampler goes on with, at {place}"
    return Tile(updates.picture(record, "result", made.result, lens), RESULT, "", help, "xt",
                "x t prime")  # fmt: skip
