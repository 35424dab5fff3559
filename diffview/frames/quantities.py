"""What can be looked at in a step, each a pure function of its record.

Shapes are (B, *D); eps and score are per unit of x_t (engine/conversions.py has the formulas).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from diffview.engine.conversions import eps_from_x0, score_from_x0
from diffview.engine.trajectory import Float32, StepRecord
from diffview.errors import InputError
from diffview.frames import tokens


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing a pane can show.

    `label` has mathematics in it, `word` none; `extent` is the value drawn at full strength either
    side of 0. `of`: which runs have it, those that remove "noise", those that write "tokens", or
    "any". An `amount` is never below 0, and not a number where there is none yet.
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
    of: str = "any"
    amount: bool = False

    @property
    def state(self) -> bool:
        """Whether it is a state of the model, which a lens shows where that is of latents."""
        return not (self.signed or self.amount)

    def lacking(self, *, by_token: bool, guided: bool) -> str:
        """Why a run of this kind has no such quantity; "" where it has."""
        if self.of == "noise" and by_token:
            return f"'{self.name}' is of a run that removes noise, and this one writes tokens"
        if self.of == "tokens" and not by_token:
            return f"'{self.name}' is of a run that writes tokens, and this one removes noise"
        if self.needs_guidance and not guided:
            return f"'{self.name}' needs a run with guidance, and this one has none"
        return ""

    def of_kind(self, *, by_token: bool) -> Quantity:
        """The same in the words of a run that writes token by token, or of one that does not."""
        title, help = TOKEN_WORDS.get(self.name, (self.title, self.help))
        return replace(self, title=title, help=help) if by_token else self


_too_large_is_infinite = np.errstate(over="ignore", invalid="ignore")
"""A diverging run is looked at up to the last step that is finite, whatever follows from it."""


def _unguided(record: StepRecord) -> Float32:
    return record.x0_hat if record.base is None else record.base


@_too_large_is_infinite
def _conditional(record: StepRecord) -> Float32:
    if record.base is None or record.direction is None:
        return record.x0_hat
    return record.base + record.direction


def _direction(record: StepRecord) -> Float32:
    return np.zeros_like(record.x0_hat) if record.direction is None else record.direction


@_too_large_is_infinite
def _eps(record: StepRecord) -> Float32:
    if record.level.sigma == 0:
        return np.zeros_like(record.x_t)
    return np.asarray(eps_from_x0(record.x_t, _behind_eps(record), record.level), np.float32)


@_too_large_is_infinite
def _score(record: StepRecord) -> Float32:
    if record.level.sigma == 0:
        return np.zeros_like(record.x_t)
    return np.asarray(score_from_x0(record.x_t, _behind_eps(record), record.level), np.float32)


def _behind_eps(record: StepRecord) -> Float32:
    """The estimate that the sampler derives eps from: before clipping, where that was chosen."""
    return record.x0_hat if record.x0_raw is None else record.x0_raw


def _log_codes(record: StepRecord) -> float:
    return math.log(max(2, tokens.codes(record)))


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
        False, True, _conditional, of="noise",
    ),
    Quantity(
        "x0uncond", "x̂₀ uncond.", "Unconditional", "the estimate without condition",
        "x̂₀ without condition, γ = 0.",
        False, True, _unguided, of="noise",
    ),
    Quantity(
        "diff", "x̂₀ c − u", "Difference", "where the condition pulls",
        "x̂₀ conditional minus x̂₀ unconditional: the direction that γ multiplies. "
        "Blue below zero, amber above.",
        True, True, _direction, of="noise",
    ),
    Quantity(
        "eps", "ε̂", "Noise", "the noise it sees",
        "ε̂ = (x_t − α x̂₀) / σ, the noise that goes with the estimate; drawn from −3 to 3.",
        True, False, _eps, _three, "noise",
    ),
    Quantity(
        "score", "score", "Score", "uphill in log p",
        "∇ log p(x_t) = −ε̂ / σ; drawn from −3/σ to 3/σ.",
        True, False, _score, _three_per_sigma, "noise",
    ),
    Quantity(
        "entropy", "H", "Entropy", "how open each token was",
        "−Σ p log p of the distribution that each token was drawn from, the next one's too; drawn "
        "from 0 (black, certain) to log K nats of K tokens. Grey: not written yet.",
        False, False, tokens.entropies, _log_codes, "tokens", amount=True,
    ),
    Quantity(
        "surprise", "−log p", "Surprise", "how unlikely what was drawn was",
        "−log p of each token that was drawn, the next one's too; drawn from 0 (black) to log K "
        "nats of K tokens. Grey: not written yet.",
        False, False, tokens.surprises, _log_codes, "tokens", amount=True,
    ),
)  # fmt: skip

TOKEN_WORDS = {
    "xt": (
        "the picture so far",
        "x_t, the tokens written so far, as their decoder shows them; middle grey where none is "
        "yet.",
    ),
    "x0hat": (
        "and the likeliest next token",
        "The picture so far with the most likely next token in its place. It says nothing of the "
        "tokens after that one: such a model has no estimate of the whole picture.",
    ),
}
"""Title and help of what means something else where a picture is written token by token."""

QUANTITIES: dict[str, Quantity] = {quantity.name: quantity for quantity in _ALL}


def find(name: str) -> Quantity:
    """The quantity called `name`. Raises InputError naming the known ones."""
    if name not in QUANTITIES:
        raise InputError(f"cannot show '{name}'; known are {', '.join(QUANTITIES)}")
    return QUANTITIES[name]
