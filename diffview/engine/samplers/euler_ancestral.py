"""Euler ancestral: a step of Euler to less noise than wanted, then fresh noise for the rest.

    up   = eta sigma' sqrt(1 - (r' / r)^2)           r = sigma / alpha
    down = sqrt(sigma'^2 - up^2)
    x'   = alpha' x0_hat + down eps_hat + up z

k-diffusion, `sample_euler_ancestral` (Crowson 2022), there in y = x / alpha; with eta = 1 it is
the sampler of Ho et al. (2020), arXiv 2006.11239. At eta <= 1 its min(r', ...) never binds.
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
    default=1.0,
    low=0.0,
    high=1.0,
    help="How much of each step's noise is fresh: 1 as much as DDPM, 0 none (Euler).",
    source="Crowson 2022, k-diffusion, get_ancestral_step",
)


@sampler(
    name="euler_ancestral",
    title="Euler ancestral",
    order=1,
    stochastic=True,
    options=(ETA,),
    source="Crowson 2022, k-diffusion, sample_euler_ancestral",
    weights={
        "w0": "w₀ = α′ − w₁ α",
        "w1": "w₁ = √(σ′² − s²) / σ",
        "s": "s = η σ′ √(1 − (r′ / r)²),  r = σ / α",
    },
)
def euler_ancestral(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
    eta: float = 1.0,
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D)."""
    for i in range(first_index(past), len(levels) - 1):
        level = levels[i]
        estimate = denoise(x, level)
        move = _move(level, levels[i + 1], eta)
        yield Step(i, level, x, estimate, move)
        x = move.w0 * estimate.x0_hat + move.w1 * x
        if move.noise_std > 0:
            x = x + move.noise_std * noise(i)
    yield last_step(len(levels) - 1, x)


def _move(level: NoiseLevel, target: NoiseLevel, eta: float) -> Move:
    fall = target.sigma * level.alpha / (level.sigma * target.alpha)  # r' / r
    up = eta * target.sigma * math.sqrt(max(1 - fall**2, 0.0))
    w1 = math.sqrt(max(target.sigma**2 - up**2, 0.0)) / level.sigma
    return Move(target.alpha - w1 * level.alpha, w1, up)
