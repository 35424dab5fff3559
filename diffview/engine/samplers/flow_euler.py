"""Euler on the straight flow from noise to data: x' = x + (s' - s) v.

In the coordinates of rectified flow, z = x / (alpha + sigma) over s = sigma / (alpha + sigma),
z = (1 - s) x_0 + s eps and dz/ds = v = eps - x_0. One step of it is the first-order step of every
other coordinates too, so on the same levels it equals Euler and DDIM without noise.

Liu, Gong, Liu (2022), arXiv 2209.03003, eq. 1; Esser et al. (2024), arXiv 2403.03206.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from diffview.engine.estimate import Denoise, Noise, Step, first_index, last_step, straight
from diffview.engine.levels import NoiseLevel
from diffview.engine.samplers import sampler

if TYPE_CHECKING:
    from torch import Tensor


@sampler(
    name="flow_euler",
    title="Flow Euler",
    order=1,
    stochastic=False,
    source="Liu, Gong, Liu 2022, arXiv 2209.03003, eq. 1",
    weights={
        "w0": "w₀ = α′ − w₁ α",
        "w1": "w₁ = σ′ / σ",
    },
)
def flow_euler(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D)."""
    for i in range(first_index(past), len(levels) - 1):
        level = levels[i]
        estimate = denoise(x, level)
        move = straight(level, levels[i + 1])
        yield Step(i, level, x, estimate, move)
        x = move.w0 * estimate.x0_hat + move.w1 * x
    yield last_step(len(levels) - 1, x)
