"""What can be looked at in a step, each a pure function of its record.

Shapes are (B, *D); eps and score are per unit of x_t (engine/conversions.py has the formulas).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diffview.engine.conversions import eps_from_x0, score_from_x0
from diffview.engine.trajectory import Float32, StepRecord
from diffview.errors import InputError


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing a pane can show.

    `label` has mathematics in it, `word` none; `extent` is the value drawn at full strength either
    side of 0.
    """

    name: str
    label: str
    word: str
    title: str
    help: str
    signed: bool
    needs_guidance: bool
    values: Callable[[StepRecord], Float32]
    extent: Callable[[StepRecord], float] = lambda record: 1.0


def _unguided(record: StepRecord) -> Float32:
    return record.x0_hat if record.base is None else record.base


def _conditional(record: StepRecord) -> Float32:
    if record.base is None or record.direction is None:
        return record.x0_hat
    return record.base + record.direction


def _direction(record: StepRecord) -> Float32:
    return np.zeros_like(record.x0_hat) if record.direction is None else record.direction


def _eps(record: StepRecord) -> Float32:
    if record.level.sigma == 0:
        return np.zeros_like(record.x_t)
    return np.asarray(eps_from_x0(record.x_t, _behind_eps(record), record.level), np.float32)


def _score(record: StepRecord) -> Float32:
    if record.level.sigma == 0:
        return np.zeros_like(record.x_t)
    return np.asarray(score_from_x0(record.x_t, _behind_eps(record), record.level), np.float32)


def _behind_eps(record: StepRecord) -> Float32:
    """The estimate that the sampler derives eps from: before clipping, where that was chosen."""
    return record.x0_hat if record.x0_raw is None else record.x0_raw


def _three(record: StepRecord) -> float:
    return 3.0


def _three_per_sigma(record: StepRecord) -> float:
    return 3.0 / record.level.sigma if record.level.sigma > 0 else 1.0


_ALL = (
    Quantity(
        "xt", "x_t", "State", "what the sampler holds",
        "x_t, the state before this step's move: picture times α plus noise times σ.",
        False, False, lambda record: record.x_t,
    ),
    Quantity(
        "x0hat", "x̂₀", "Estimate", "where it thinks it is going",
        "x̂₀, the one-step estimate of the picture from x_t: base + γ · direction.",
        False, False, lambda record: record.x0_hat,
    ),
    Quantity(
        "x0cond", "x̂₀ cond.", "Conditional", "the estimate for this condition",
        "x̂₀ under the condition alone, γ = 1.",
        False, True, _conditional,
    ),
    Quantity(
        "x0uncond", "x̂₀ uncond.", "Unconditional", "the estimate without condition",
        "x̂₀ without condition, γ = 0.",
        False, True, _unguided,
    ),
    Quantity(
        "diff", "x̂₀ c − u", "Difference", "where the condition pulls",
        "x̂₀ conditional minus x̂₀ unconditional: the direction that γ multiplies. "
        "Blue below zero, amber above.",
        True, True, _direction,
    ),
    Quantity(
        "eps", "ε̂", "Noise", "the noise it sees",
        "ε̂ = (x_t − α x̂₀) / σ, the noise that goes with the estimate; drawn from −3 to 3.",
        True, False, _eps, _three,
    ),
    Quantity(
        "score", "score", "Score", "uphill in log p",
        "∇ log p(x_t) = −ε̂ / σ; drawn from −3/σ to 3/σ.",
        True, False, _score, _three_per_sigma,
    ),
)  # fmt: skip

QUANTITIES: dict[str, Quantity] = {quantity.name: quantity for quantity in _ALL}


def find(name: str) -> Quantity:
    """The quantity called `name`. Raises InputError naming the known ones."""
    if name not in QUANTITIES:
        raise InputError(f"cannot show '{name}'; known are {', '.join(QUANTITIES)}")
    return QUANTITIES[name]
