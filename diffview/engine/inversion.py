"""DDIM run backwards: from a picture to the x_T that DDIM without noise takes back to it.

The probability flow keeps x_0 and eps while the level rises from (alpha, sigma) to (alpha',
sigma'), both taken from the estimate at the state that is left, at its own level:
    x' = alpha' x0_hat + sigma' eps_hat
Song, Meng, Ermon (2021), arXiv 2010.02502, section 4.3, eq. 14; Dhariwal & Nichol (2021), arXiv
2105.05233, appendix F (`ddim_reverse_sample`). It is Euler's method, of first order. From the
picture itself, where there is no noise to estimate, the first move is x' = alpha' x_0: the slope
of the flow at sigma = 0 is 0.

DDIM's own step to a lower level evaluates where this one arrives. Asking there is a fixed point,
    x' = alpha' (x - sigma eps_hat(x')) / alpha + sigma' eps_hat(x')
and each refinement one more iteration towards it (Pan et al. 2023, arXiv 2309.04907; Garibi et
al. 2024, arXiv 2403.14602): with enough of them DDIM returns to the picture exactly. It converges
where the estimate does not change too fast with x, so less surely with much guidance.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffview.engine.estimate import Denoise
from diffview.engine.levels import NoiseLevel

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Ascent:
    """A state on the way up: x_t (B, *D) of step `i` of the grid, where i = N is the picture."""

    i: int
    level: NoiseLevel
    x_t: Tensor


def ascend(
    denoise: Denoise, x_0: Tensor, levels: Sequence[NoiseLevel], *, refine: int = 0
) -> Generator[Ascent, None, None]:
    """The states from x_0 (B, *D) up to x_T, N + 1 of them; levels as a sampler takes them.

    refine: iterations of the fixed point at each level, one evaluation each; none at alpha = 0,
    where every state is one.
    """
    x = x_0
    yield Ascent(len(levels) - 1, levels[-1], x)
    for i in reversed(range(len(levels) - 1)):
        below, level = levels[i + 1], levels[i]
        x = _refined(denoise, x, _risen(denoise, x, below, level), below, level, refine)
        yield Ascent(i, level, x)


def evaluations(n_steps: int, refine: int = 0, *, pure_noise: bool = False) -> int:
    """Evaluations of one sample on the way up; pure_noise: the run begins at alpha = 0."""
    return n_steps - 1 + refine * (n_steps - pure_noise)


def _risen(denoise: Denoise, x: Tensor, below: NoiseLevel, level: NoiseLevel) -> Tensor:
    if below.sigma == 0:
        return level.alpha * x
    estimate = denoise(x, below)
    return level.alpha * estimate.x0_hat + level.sigma * estimate.eps_hat(x, below)


def _refined(
    denoise: Denoise, x: Tensor, risen: Tensor, below: NoiseLevel, level: NoiseLevel, refine: int
) -> Tensor:
    for _ in range(refine if level.alpha > 0 else 0):
        eps_hat = denoise(risen, level).eps_hat(risen, level)
        risen = level.alpha * ((x - below.sigma * eps_hat) / below.alpha) + level.sigma * eps_hat
    return risen
