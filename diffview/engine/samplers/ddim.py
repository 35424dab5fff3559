"""DDIM(eta): from full determinism (0) to DDPM's own noise (1).

    x' = alpha' x0_hat + sqrt(sigma'^2 - s^2) eps_hat + s z,
    s  = eta * (sigma' / sigma) * sqrt(sigma^2 - (alpha / alpha')^2 sigma'^2)

Song, Meng, Ermon (2021), arXiv 2010.02502, eq. 12 and 16, where alpha^2 + sigma^2 = 1 and so the
last root is sqrt(1 - alphas_cumprod / alphas_cumprod'); written thus it holds for every level.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from diffview.engine.estimate import Denoise, Move, Noise, Step, first_index, last_step
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import Option
from diffview.engine.samplers import sampler

if TYPE_CHECKING:
    from torch import Tensor

ETA = Option(
    name="eta",
    title="η",
    default=0.0,
    low=0.0,
    high=1.0,
    help="How much fresh noise each step adds: 0 none (deterministic), 1 as much as DDPM.",
    source="Song et al. 2021, arXiv 2010.02502, eq. 16",
)


@sampler(
    name="ddim",
    title="DDIM",
    order=1,
    stochastic=True,
    options=(ETA,),
    source="Song, Meng, Ermon 2021, arXiv 2010.02502, eq. 12",
)
def ddim(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
    eta: float = 0.0,
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D)."""
    for i in range(first_index(past), len(levels) - 1):
        level, target = levels[i], levels[i + 1]
        estimate = denoise(x, level)
        s = noise_std(level, target, eta)
        keep = math.sqrt(max(target.sigma**2 - s**2, 0.0))
        yield Step(i, level, x, estimate, _move(level, target, keep, s, estimate.x0_raw is None))
        x = target.alpha * estimate.x0_hat + keep * estimate.eps_hat(x, level)
        if s > 0:
            x = x + s * noise(i)
    yield last_step(len(levels) - 1, x)


def noise_std(level: NoiseLevel, target: NoiseLevel, eta: float) -> float:
    """s, the standard deviation of the fresh noise of one step, in units of x."""
    fresh = level.sigma**2 - (level.alpha / target.alpha * target.sigma) ** 2
    return eta * target.sigma / level.sigma * math.sqrt(max(fresh, 0.0))


def _move(level: NoiseLevel, target: NoiseLevel, keep: float, s: float, rederived: bool) -> Move:
    w1 = keep / level.sigma
    from_eps = -w1 * level.alpha
    if rederived:
        return Move(target.alpha + from_eps, w1, s)
    return Move(target.alpha, w1, s, w_raw=from_eps)
