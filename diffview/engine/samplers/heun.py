"""Heun on the probability flow: the slope at both ends of a step, averaged. 2N - 1 evaluations.

In y = x / alpha over r = sigma / alpha, where the flow is dy/dr = d = (y - x0_hat) / r:
    y~ = y + (r' - r) d,    y' = y + (r' - r) (d + d~) / 2
which is, with the weights w0 and w1 of the first-order step x~ = w0 x0_hat + w1 x,
    x' = x~ + c w0 (x0_hat~ - x0_hat),   c = r / (2 r')
The last step, to r' = 0, is the first-order one.

Karras, Aittala, Aila, Laine (2022), arXiv 2206.00364, algorithm 1. At alpha = 0 r is infinite and
the average with it: such a start is refused.
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
from diffview.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


@sampler(
    name="heun",
    title="Heun",
    order=2,
    nfe_per_step=2,
    stochastic=False,
    source="Karras et al. 2022, arXiv 2206.00364, algorithm 1",
    stages=1,
    pure_noise=False,
    weights={
        "w0": "w₀ = (1 − c) (α′ − w₁ α),  c = r / (2 r′),  r = σ / α",
        "w1": "w₁ = σ′ / σ",
        "w_stage": "w_s = c (α′ − w₁ α),  c = r / (2 r′),  r = σ / α",
    },
)
def heun(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D).

    Raises InputError when the level it begins at is pure noise.
    """
    first = first_index(past)
    if levels[first].alpha == 0 and len(levels) > first + 2:
        raise InputError(
            "Heun's step is not defined from pure noise (alpha = 0): choose flow_heun or another "
            "sampler, a spacing that starts lower, or a schedule that keeps some signal"
        )
    for i in range(first, len(levels) - 1):
        level, target = levels[i], levels[i + 1]
        estimate = denoise(x, level)
        move = straight(level, target)
        ahead = move.w0 * estimate.x0_hat + move.w1 * x
        if target.sigma == 0:
            yield Step(i, level, x, estimate, move)
            x = ahead
            continue
        second = denoise(ahead, target)
        share = level.ratio / (2 * target.ratio) * move.w0
        move = Move(move.w0 - share, move.w1, 0.0, w_stages=(share,))
        yield Step(i, level, x, estimate, move, (Stage("second stage", target, ahead, second),))
        x = ahead + share * (second.x0_hat - estimate.x0_hat)
    yield last_step(len(levels) - 1, x)
