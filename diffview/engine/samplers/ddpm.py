"""DDPM: the ancestral sampler of the diffusion paper, on any sub-grid of the schedule.

    x' = w0 x0_hat + w1 x_t + sqrt(variance) z,        beta = sigma^2 - (alpha / alpha')^2 sigma'^2
    w0 = alpha' beta / sigma^2,   w1 = (alpha / alpha') sigma'^2 / sigma^2
    variance = beta sigma'^2 / sigma^2 (small, the posterior's own) or beta (large), or, learned,
               between them in logarithms: exp(f log large + (1 - f) log small), f of the network

Ho, Jain, Abbeel (2020), arXiv 2006.11239, eq. 7 and section 3.2. No noise is added on the way to
the clean picture, with either variance. Where alpha^2 + sigma^2 = 1 beta is the paper's
1 - alphas_cumprod / alphas_cumprod'; written thus it is Bayes' rule at every level (Kingma et al.
2021, arXiv 2107.00630, eq. 27).

compat=diffusers adds noise on that way too, unless it starts at t = 0, as its DDPMScheduler does:
sqrt(beta) of it with large, 1e-10 with small.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from diffview.engine.estimate import (
    Denoise,
    Estimate,
    Move,
    Noise,
    Step,
    first_index,
    last_step,
)
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import COMPAT, Option
from diffview.engine.samplers import sampler
from diffview.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

VARIANCE = Option(
    name="variance",
    title="Variance",
    default="small",
    choices=("small", "large", "learned"),
    help="small: the posterior's variance, best when the data are one point; large: β, best when "
    "they are standard normal; learned: between them, as the network says. They differ most with "
    "few steps.",
    source="Ho et al. 2020, arXiv 2006.11239, section 3.2; Nichol & Dhariwal 2021, arXiv "
    "2102.09672, eq. 15",
)
LEAST_STD = 1e-10
"""diffusers takes the logarithm of a variance of at least 1e-20."""


@sampler(
    name="ddpm",
    title="DDPM",
    order=1,
    stochastic=True,
    options=(VARIANCE, COMPAT),
    source="Ho, Jain, Abbeel 2020, arXiv 2006.11239, eq. 7",
    weights={
        "w0": "w₀ = α′ β / σ²,  β = σ² − (α / α′)² σ′²",
        "w1": "w₁ = (α / α′) σ′² / σ²",
        "s": "s² = β σ′² / σ² (small) or β (large); learned: between them, for each value",
    },
)
def ddpm(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
    variance: str = "small",
    compat: str = "none",
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D)."""
    for i in range(first_index(past), len(levels) - 1):
        level, target = levels[i], levels[i + 1]
        estimate = denoise(x, level)
        floor = LEAST_STD if compat == "diffusers" and level.t > 0 else 0.0
        move = posterior(level, target, variance, floor)
        yield Step(i, level, x, estimate, move)
        x = move.w0 * estimate.x0_hat + move.w1 * x
        if move.noise_std != 0:
            learned = variance == "learned"
            std = learned_std(level, target, estimate, floor) if learned else move.noise_std
            x = x + std * noise(i)
    yield last_step(len(levels) - 1, x)


def posterior(level: NoiseLevel, target: NoiseLevel, variance: str, floor: float = 0.0) -> Move:
    """The weights of q(x' | x_t, x_0) and the standard deviation of the noise to add.

    None is added on the way to the clean picture, unless the small one has a `floor`.
    """
    shrink = level.alpha / target.alpha
    beta = level.sigma**2 - (shrink * target.sigma) ** 2
    ratio = (target.sigma / level.sigma) ** 2
    w0 = target.alpha * beta / level.sigma**2
    w1 = shrink * ratio
    if target.sigma == 0 and floor == 0:
        return Move(w0, w1, 0.0)
    if variance == "learned":  # each value has its own
        return Move(w0, w1, math.nan)
    small = max(math.sqrt(beta * ratio), floor)
    return Move(w0, w1, small if variance == "small" else math.sqrt(beta))


def learned_std(
    level: NoiseLevel, target: NoiseLevel, estimate: Estimate, floor: float = 0.0
) -> Tensor:
    """(B, *D) standard deviations between small and large, as the network said.

    Raises InputError when it says nothing of them.
    """
    if estimate.variance_mix is None:
        raise InputError(
            "this model's network has learned no variance: choose variance=small or large"
        )
    small, large = (posterior(level, target, kind, floor).noise_std for kind in ("small", "large"))
    std: Tensor = small * (large / small) ** estimate.variance_mix
    return std
