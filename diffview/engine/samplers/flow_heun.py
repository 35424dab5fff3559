"""Heun on the straight flow from noise to data: the velocity at both ends of a step, averaged.

In z = x / (alpha + sigma) over s = sigma / (alpha + sigma), where dz/ds = v = eps - x_0:
    z~ = z + (s' - s) v,    z' = z + (s' - s) (v + v~) / 2
which is, with the weights w0 and w1 of the first-order step x~ = w0 x0_hat + w1 x,
    x' = x~ + c w0 (x0_hat~ - x0_hat),   c = s / (2 s')
2N - 1 evaluations; the last step, to s' = 0, is the first-order one. It starts from pure noise.

Liu, Gong, Liu (2022), arXiv 2209.03003, eq. 1, by the trapezoidal rule; Karras et al. (2022),
arXiv 2206.00364, algorithm 1, for the last step.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from diffview.engine.estimate import (
    Denoise,
    Move,
    Noise,
    Stage,
    Step,
    first_index,
    last_step,
    straight,
)
from diffview.engine.levels import NoiseLevel
from diffview.engine.samplers import sampler

if TYPE_CHECKING:
    from torch import Tensor


@sampler(
    name="flow_heun",
    title="Flow Heun",
    order=2,
    nfe_per_step=2,
    stochastic=False,
    source="Liu, Gong, Liu 2022, arXiv 2209.03003, eq. 1, by the trapezoidal rule",
    stages=1,
    weights={
        "w0": "w₀ = (1 − c) (α′ − w₁ α),  c = s / (2 s′),  s = σ / (α + σ)",
        "w1": "w₁ = σ′ / σ",
        "w_stage": "w_s = c (α′ − w₁ α),  c = s / (2 s′),  s = σ / (α + σ)",
    },
)
def flow_heun(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D)."""
    for i in range(first_index(past), len(levels) - 1):
        level, target = levels[i], levels[i + 1]
        estimate = denoise(x, level)
        move = straight(level, target)
        ahead = move.w0 * estimate.x0_hat + move.w1 * x
        if target.sigma == 0:
            yield Step(i, level, x, estimate, move)
            x = ahead
            continue
        second = denoise(ahead, target)
        share = _flow_time(level) / (2 * _flow_time(target)) * move.w0
        move = Move(move.w0 - share, move.w1, 0.0, w_stages=(share,))
        yield Step(i, level, x, estimate, move, (Stage("second stage", target, ahead, second),))
        x = ahead + share * (second.x0_hat - estimate.x0_hat)
    yield last_step(len(levels) - 1, x)


def _flow_time(level: NoiseLevel) -> float:
    return level.sigma / (level.alpha + level.sigma)
