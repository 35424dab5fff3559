"""LMS: linear multistep, Adams and Bashforth's method on the uneven grid of r = sigma / alpha.

In y = x / alpha, where the flow is dy/dr = d = (y - x0_hat) / r = eps_hat:
    y' = y + sum_j c_j d_j,    c_j = integral from r to r' of the Lagrange polynomial of node r_j
over the last `order` nodes, fewer at the start. The integrals are of polynomials, so exact. Since
the c_j add up to r' - r this is the first-order step and a correction,
    x' = w0 x0_hat + w1 x + alpha' sum_(j > 0) c_j (d_j - d_0)
A node of pure noise lies at infinity, where its c_j is 0.

k-diffusion, `sample_lms` (Crowson 2022); Liu et al. (2022), arXiv 2202.09778, for the idea.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from diffview.engine.conversions import eps_from_x0
from diffview.engine.estimate import Denoise, Noise, Step, first_index, last_step, straight
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import Option
from diffview.engine.samplers import sampler

if TYPE_CHECKING:
    from torch import Tensor

ORDER = Option(
    name="order",
    title="Order",
    default=4,
    low=1,
    high=4,
    help="How many slopes are used: this step's and those of the steps before it.",
    source="Crowson 2022, k-diffusion, sample_lms",
)


@sampler(
    name="lms",
    title="LMS",
    order=4,
    stochastic=False,
    options=(ORDER,),
    source="Crowson 2022, k-diffusion, sample_lms",
    history=3,
    weights={
        "w0": "w₀ = α′ − w₁ α",
        "w1": "w₁ = σ′ / σ",
    },
    no_sum="LMS adds slopes of earlier steps, ε̂ = (x − α x̂₀) / σ, which hold earlier states "
    "as well as estimates: no sum of these terms alone. "
    "With order 1, and at the first step, it is one.",
)
def lms(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
    order: int = 4,
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D)."""
    slopes = [eps_from_x0(step.x_t, step.estimate.x0_hat, step.level) for step in past]
    for i in range(first_index(past), len(levels) - 1):
        level, target = levels[i], levels[i + 1]
        estimate = denoise(x, level)
        move = straight(level, target)
        yield Step(i, level, x, estimate, move if order == 1 or i == 0 else None)
        slopes = [*slopes, eps_from_x0(x, estimate.x0_hat, level)][-order:]
        x = move.w0 * estimate.x0_hat + move.w1 * x
        nodes = [levels[i - j].ratio for j in range(len(slopes))]
        for j, c in enumerate(older_coefficients(nodes, target.ratio), start=1):
            x = x + (target.alpha * c) * (slopes[-1 - j] - slopes[-1])
    yield last_step(len(levels) - 1, x)


def older_coefficients(nodes: Sequence[float], end: float) -> list[float]:
    """c_j of the older slopes, j = 1, 2, ..., over a step from nodes[0] to `end`.

    A slope at infinity has none: it can only be the oldest.
    """
    step = end - nodes[0]
    scaled = [(node - nodes[0]) / step for node in nodes if node < math.inf]  # from 0 to 1
    return [step * _integral(scaled, j) for j in range(1, len(scaled))]


def _integral(nodes: Sequence[float], j: int) -> float:
    """The integral from 0 to 1 of the Lagrange polynomial that is 1 at nodes[j], 0 at the rest."""
    polynomial, scale = [1.0], 1.0  # coefficients, of the constant first
    for k, node in enumerate(nodes):
        if k != j:
            times_u, times_node = [0.0, *polynomial], [*polynomial, 0.0]
            polynomial = [a - node * b for a, b in zip(times_u, times_node, strict=True)]
            scale *= nodes[j] - node
    return sum(a / (power + 1) for power, a in enumerate(polynomial)) / scale
