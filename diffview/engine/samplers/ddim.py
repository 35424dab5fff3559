"""DDIM(eta): from full determinism (0) to DDPM's own noise (1).

    x' = alpha' x0_hat + sqrt(sigma'^2 - s^2) eps_hat + s z,
    s  = eta * (sigma' / sigma) * sqrt(sigma^2 - (alpha / alpha')^2 sigma'^2)

Song, Meng, Ermon (2021), arXiv 2010.02502, eq. 12 and 16, where alpha^2 + sigma^2 = 1 and so the
last root is sqrt(1 - alphas_cumprod / alphas_cumprod'); written thus it holds for every level.

compat=diffusers moves to t - T // N instead of the next time of the grid; with
set_alpha_to_one off (Stable Diffusion's own) the last step ends at t = 0, with its noise.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from diffview.engine.compat import ddim_targets
from diffview.engine.estimate import Denoise, Move, Noise, Step, first_index, last_step
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import COMPAT, Option
from diffview.engine.samplers import sampler

if TYPE_CHECKING:
    from torch import Tensor

    from diffview.engine.schedules import Schedule

ETA = Option(
    name="eta",
    title="η",
    default=0.0,
    low=0.0,
    high=1.0,
    help="How much fresh noise each step adds: 0 none (deterministic), 1 as much as DDPM.",
    source="Song et al. 2021, arXiv 2010.02502, eq. 16",
)
SET_ALPHA_TO_ONE = Option(
    name="set_alpha_to_one",
    title="End at α = 1",
    default=True,
    help="With compat=diffusers. Off: the last step ends at the schedule's t = 0, with its noise, "
    "as Stable Diffusion's configuration asks.",
    source="diffusers 0.42, DDIMScheduler",
)


@sampler(
    name="ddim",
    title="DDIM",
    order=1,
    stochastic=True,
    options=(ETA, COMPAT, SET_ALPHA_TO_ONE),
    source="Song, Meng, Ermon 2021, arXiv 2010.02502, eq. 12",
    by_time=True,
    uses_eps=True,
    weights={
        "w0": "w₀ = α′ − w₁ α",
        "w1": "w₁ = √(σ′² − s²) / σ",
        "s": "s = η (σ′ / σ) √(σ² − (α / α′)² σ′²)",
        "w_raw": "w_r = −w₁ α, and then w₀ = α′",
    },
)
def ddim(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
    schedule: Schedule | None = None,
    eta: float = 0.0,
    compat: str = "none",
    set_alpha_to_one: bool = True,
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D).

    schedule is that of the levels; only compat=diffusers needs it.
    """
    targets = tuple(levels[1:])
    if compat == "diffusers" and schedule is not None:
        targets = ddim_targets(schedule, levels, to_one=set_alpha_to_one)
    for i in range(first_index(past), len(levels) - 1):
        level, target = levels[i], targets[i]
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
