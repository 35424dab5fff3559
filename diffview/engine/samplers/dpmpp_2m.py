"""DPM-Solver++ (2M): second order from the last two estimates, one evaluation a step.

In lam = log(alpha / sigma), with h = lam' - lam and h_last the step before:
    D  = x0_hat + h / (2 h_last) (x0_hat - x0_hat_last)
    x' = (sigma' / sigma) x - alpha' (exp(-h) - 1) D
First order at the first step and at the last, where h is infinite.

Lu, Zhou, Bao, Chen, Li, Zhu (2022), arXiv 2211.01095, algorithm 2. The factor of D is w0 of the
first-order step. After a start from pure noise h_last is infinite and the second step first order.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from diffview.engine.estimate import Denoise, Move, Noise, Step, first_index, last_step, straight
from diffview.engine.levels import NoiseLevel
from diffview.engine.samplers import sampler

if TYPE_CHECKING:
    from torch import Tensor


@sampler(
    name="dpmpp_2m",
    title="DPM-Solver++ 2M",
    order=2,
    stochastic=False,
    source="Lu et al. 2022, arXiv 2211.01095, algorithm 2",
    history=1,
    weights={
        "w0": "w₀ = (1 + c) (α′ − w₁ α),  c = h / (2 h₋₁),  h = λ′ − λ",
        "w1": "w₁ = σ′ / σ",
        "w_past": "w₋₁ = −c (α′ − w₁ α),  c = h / (2 h₋₁),  h = λ′ − λ",
    },
)
def dpmpp_2m(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D)."""
    older = past[-1].estimate.x0_hat if past else None
    for i in range(first_index(past), len(levels) - 1):
        estimate = denoise(x, levels[i])
        move = straight(levels[i], levels[i + 1])
        lean = 0.0
        if older is not None and levels[i + 1].sigma > 0:
            h, h_last = levels[i + 1].lam - levels[i].lam, levels[i].lam - levels[i - 1].lam
            lean = h / (2 * h_last) * move.w0
            move = Move(move.w0 + lean, move.w1, 0.0, w_past=(-lean,))
        yield Step(i, levels[i], x, estimate, move)
        x = move.w0 * estimate.x0_hat + move.w1 * x
        if older is not None and lean:
            x = x - lean * older
        older = estimate.x0_hat
    yield last_step(len(levels) - 1, x)
