"""Euler on the probability flow, with EDM's churn: at chosen levels the noise is first raised.

In y = x / alpha and its sigma, r = sigma / alpha (EDM's own coordinates):
    gamma = min(S_churn / N, sqrt(2) - 1) where S_tmin <= r <= S_tmax, else 0
    r_hat = (1 + gamma) r,   y_hat = y + sqrt(r_hat^2 - r^2) S_noise z
    y' = y_hat + (r' - r_hat) (y_hat - x0_hat) / r_hat

Karras, Aittala, Aila, Laine (2022), arXiv 2206.00364, algorithm 2 without its second-order part.

The network is asked at (y_hat, r_hat), so that is the state and the level of the step here; churn
belongs to the move that arrives there and takes that move's noise, which leaves the last one's for
the churn of the start.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffview.engine.estimate import Denoise, Move, Noise, Step, first_index, last_step, straight
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import Option
from diffview.engine.samplers import sampler
from diffview.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

SOURCE = "Karras et al. 2022, arXiv 2206.00364, algorithm 2"

CHURN = Option(
    name="churn",
    title="S churn",
    default=0.0,
    low=0.0,
    high=1000.0,
    help="How much noise is put back, over all steps: each raises σ by churn / N, at most 41 %. "
    "0: none (deterministic).",
    source=SOURCE,
)
S_TMIN = Option(
    name="s_tmin",
    title="S tmin",
    default=0.0,
    low=0.0,
    high=1e6,
    help="Noise is put back only where σ/α is at least this.",
    source=SOURCE,
)
S_TMAX = Option(
    name="s_tmax",
    title="S tmax",
    default=1e6,
    low=0.0,
    high=1e6,
    help="Noise is put back only where σ/α is at most this.",
    source=SOURCE,
)
S_NOISE = Option(
    name="s_noise",
    title="S noise",
    default=1.0,
    low=0.5,
    high=1.5,
    help="Scale of the noise put back; slightly above 1 makes up for detail that denoising loses.",
    source=SOURCE,
)


@sampler(
    name="euler",
    title="Euler",
    order=1,
    stochastic=True,
    options=(CHURN, S_TMIN, S_TMAX, S_NOISE),
    source=SOURCE,
    off_grid=True,
    weights={
        "w0": "w₀ = α′ − w₁ α",
        "w1": "w₁ = σ′ / σ",
        "s": "what churn puts back before the next evaluation: s² = α̂² S_noise² (r̂² − r²),  "
        "r̂ = (1 + churn / N) r,  r = σ / α; w₀ and w₁ are scaled by α̂ / α′",
    },
)
def euler(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
    at_ratio: Callable[[float], NoiseLevel] | None = None,
    start: NoiseLevel | None = None,
    churn: float = 0.0,
    s_tmin: float = 0.0,
    s_tmax: float = 1e6,
    s_noise: float = 1.0,
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D).

    at_ratio gives the level at a sigma / alpha; only churn needs it. start is the level of x where
    its churn has been applied: of a recorded step to go on from.
    """
    n_steps = len(levels) - 1
    gamma = min(churn / n_steps, math.sqrt(2) - 1)
    raised = [
        _raised(level, gamma, s_noise, at_ratio)
        if gamma > 0 and s_tmin <= level.ratio <= s_tmax and 0 < level.ratio < math.inf
        else _Raised(level)
        for level in levels
    ]
    if start is not None:
        raised[first_index(past)] = _Raised(start)
    elif not past and raised[0].noise_std > 0:
        x = raised[0].scale * x + raised[0].noise_std * noise(n_steps - 1)
    for i in range(first_index(past), n_steps):
        level, target = raised[i].level, raised[i + 1]
        estimate = denoise(x, level)
        line = straight(level, levels[i + 1])
        move = Move(target.scale * line.w0, target.scale * line.w1, target.noise_std)
        yield Step(i, level, x, estimate, move)
        x = move.w0 * estimate.x0_hat + move.w1 * x
        if move.noise_std > 0:
            x = x + move.noise_std * noise(i)
    yield last_step(n_steps, x)


@dataclass(frozen=True, slots=True)
class _Raised:
    """A level after its churn: x_hat = scale x + noise_std z."""

    level: NoiseLevel
    scale: float = 1.0
    noise_std: float = 0.0


def _raised(
    level: NoiseLevel,
    gamma: float,
    s_noise: float,
    at_ratio: Callable[[float], NoiseLevel] | None,
) -> _Raised:
    if at_ratio is None:
        raise InputError("churn needs to know the schedule between its steps: give at_ratio")
    higher = at_ratio((1 + gamma) * level.ratio)
    added = math.sqrt((1 + gamma) ** 2 - 1) * level.ratio
    return _Raised(higher, higher.alpha / level.alpha, higher.alpha * added * s_noise)
