"""The one-step estimate x0_hat and the step a sampler yields.

Guidance of every kind is affine in its scale at a given x_t: x0_hat(w) = base + w * direction.
Keeping both terms lets a slider change w at a recorded step without a network call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffview.engine.conversions import eps_from_x0
from diffview.engine.levels import CLEAN, NoiseLevel

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a denoiser says of x_0 at (x_t, level); every tensor (B, *D).

    x0_hat is what the sampler uses. x0_raw is x0_hat before clipping, kept only where the
    sampler shall derive eps from it. base and direction are there where guidance ran.
    variance_mix is there where the network learned the variance of a step: 0 small, 1 large.
    """

    x0_hat: Tensor
    base: Tensor | None = None
    direction: Tensor | None = None
    x0_raw: Tensor | None = None
    variance_mix: Tensor | None = None

    def eps_hat(self, x_t: Tensor, level: NoiseLevel) -> Tensor:
        """The noise that goes with this estimate (from x0_raw where clipping kept it)."""
        x0 = self.x0_hat if self.x0_raw is None else self.x0_raw
        eps_hat: Tensor = eps_from_x0(x_t, x0, level)
        return eps_hat


@dataclass(frozen=True, slots=True)
class Move:
    """The update x' = w0 * x0_hat + w1 * x_t + noise_std * z, as the numbers of one step.

    Where eps comes from an estimate before clipping, its part is w_raw * x0_raw. A multistep
    sampler adds w_past[k] * x0_hat of step i - 1 - k, one that evaluates more than once
    w_stages[k] * x0_hat of the step's stage k.
    """

    w0: float
    w1: float
    noise_std: float
    w_raw: float = 0.0
    w_past: tuple[float, ...] = ()
    w_stages: tuple[float, ...] = ()


def straight(level: NoiseLevel, target: NoiseLevel) -> Move:
    """The first-order step: x_0 and eps stay what they are estimated to be, the level changes.

    x' = alpha' x0_hat + sigma' eps_hat; DDIM without noise, Euler in whatever coordinates, and
    DPM-Solver++ of order 1 are all this. Nothing is divided by alpha: pure noise is no exception.
    """
    w1 = target.sigma / level.sigma
    return Move(target.alpha - w1 * level.alpha, w1, 0.0)


@dataclass(frozen=True, slots=True)
class Stage:
    """A further point of a step: "second stage" (Heun's) or "corrector" (UniPC's).

    `estimate` is None where the network was not asked again.
    """

    name: str
    level: NoiseLevel
    x_t: Tensor
    estimate: Estimate | None


@dataclass(frozen=True, slots=True)
class Step:
    """What a sampler yields: the state before the move, and the move it is about to make.

    The estimate is that of (x_t, level); what else the step evaluated is in `stages`.
    """

    i: int
    level: NoiseLevel
    x_t: Tensor
    estimate: Estimate
    move: Move | None = None
    stages: tuple[Stage, ...] = ()


def last_step(i: int, x_0: Tensor) -> Step:
    """The end of a run: no noise is left, so x_t is its own estimate under any guidance."""
    return Step(i, CLEAN, x_0, Estimate(x0_hat=x_0))


def first_index(past: Sequence[Step]) -> int:
    """The step a sampler begins with: the one after `past`, the steps it goes on from."""
    return past[-1].i + 1 if past else 0


Denoise = Callable[["Tensor", NoiseLevel], Estimate]
"""A denoiser with condition and guidance already bound."""

Noise = Callable[[int], "Tensor"]
"""Step index -> z (B, *D), standard normal."""
