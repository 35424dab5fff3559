"""UniPC: a multistep predictor whose next evaluation also corrects it, at no further cost.

In lam = log(alpha / sigma), from lam_0 to lam_0 + h, with the estimates m_j at lam_0 + r_j h
(m_0 at the start; older ones have r_j < 0), B = exp(-h) - 1 and b_k = k! phi_(k+1)(-h) (-h) / B:
    predictor  x~ = (sigma' / sigma) x - alpha' B (m_0 + sum_j rho_j (m_j - m_0) / r_j)
    corrector  the same with the new estimate m at r = 1 among them
where rho solves sum_j r_j^(k-1) rho_j = b_k, k = 1, 2, ...: rho_1 = 1/2 in a predictor of order 2
and a corrector of order 1. `order` p is that of the predictor; fewer at the start, and at the end,
where the last step is of order 1 and ends on m_0.

Zhao, Bai, Rao, Zhou, Lu (2023), arXiv 2302.04867, algorithms 1 and 2, B_2(h).

The network is asked at the predicted x~, so that is the state of the step; the corrected one, from
which it moves on, is its stage. Both are x~ plus a sum of estimates, so no older state is needed.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

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
from diffview.engine.options import Option
from diffview.engine.samplers import sampler

if TYPE_CHECKING:
    from torch import Tensor

ORDER = Option(
    name="order",
    title="Order",
    default=2,
    low=1,
    high=3,
    help="The order p of the predictor; the corrector makes one more of it.",
    source="Zhao et al. 2023, arXiv 2302.04867, section 3",
)


@sampler(
    name="unipc",
    title="UniPC",
    order=3,
    stochastic=False,
    options=(ORDER,),
    source="Zhao et al. 2023, arXiv 2302.04867, algorithms 1 and 2",
    stages=1,
    stage_estimates=False,
    history=3,
    weights={
        "w0": "the predictor's ahead and the corrector's back at this evaluation, added up",
        "w1": "w₁ = σ′ / σ, of the predicted state that the network was asked at",
        "w_past": "from the conditions of order, Σ rⱼ^(k−1) ρⱼ = b_k",
    },
)
def unipc(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
    order: int = 2,
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D)."""
    n_steps, p = len(levels) - 1, order
    estimates = [step.estimate.x0_hat for step in past]
    for i in range(first_index(past), n_steps):
        estimate = denoise(x, levels[i])
        estimates = [*estimates, estimate.x0_hat][-p - 1 :]
        back = _corrector(levels, i - 1, _order(p, i - 1, n_steps)) if i > 0 else []
        ahead = _predictor(levels, i, _order(p, i, n_steps))
        w1 = levels[i + 1].sigma / levels[i].sigma
        corrected = _plus(x, back, estimates)
        stages = (Stage("corrector", levels[i], corrected, None),) if i > 0 else ()
        yield Step(i, levels[i], x, estimate, _move(w1, ahead, back), stages)
        x = _plus(w1 * corrected, ahead, estimates)
    yield last_step(n_steps, x)


def _order(p: int, i: int, n_steps: int) -> int:
    return min(p, i + 1, n_steps - i)


def _plus(x: Tensor, weights: Sequence[float], estimates: Sequence[Tensor]) -> Tensor:
    """x and the weighted estimates: weights with the newest first, estimates with it last."""
    for weight, x0_hat in zip(weights, reversed(estimates), strict=False):
        x = x + weight * x0_hat
    return x


def _move(w1: float, ahead: Sequence[float], back: Sequence[float]) -> Move:
    pairs = zip_longest(ahead, back, fillvalue=0.0)
    w0, *w_past = (forward + w1 * correction for forward, correction in pairs)
    return Move(w0, w1, 0.0, w_past=tuple(w_past))


def _predictor(levels: Sequence[NoiseLevel], i: int, p: int) -> list[float]:
    """What m_i, m_(i-1), ... add to the state on the way from level i to i + 1."""
    w0 = straight(levels[i], levels[i + 1]).w0
    slopes = _slopes(levels, i, p)
    return [w0 * (1 - sum(slopes)), *(w0 * slope for slope in slopes)]


def _corrector(levels: Sequence[NoiseLevel], i: int, p: int) -> list[float]:
    """What m_(i+1), m_i, ... add to the state predicted at level i + 1 from level i."""
    w0 = straight(levels[i], levels[i + 1]).w0
    *older, new = _with_new(levels, i, p)
    changes = [after - before for after, before in zip(older, _slopes(levels, i, p), strict=True)]
    return [w0 * new, -w0 * (new + sum(changes)), *(w0 * change for change in changes)]


def _slopes(levels: Sequence[NoiseLevel], i: int, p: int) -> list[float]:
    """rho_j / r_j of the predictor's p - 1 older estimates."""
    h, nodes = _nodes(levels, i, p)
    if p == 2:
        return [0.5 / nodes[0]]
    return _solved(nodes, h)


def _with_new(levels: Sequence[NoiseLevel], i: int, p: int) -> list[float]:
    """rho_j / r_j of the corrector: the p - 1 older estimates, and the new one."""
    h, nodes = _nodes(levels, i, p)
    return _solved([*nodes, 1.0], h) if p > 1 else [0.5]


def _nodes(levels: Sequence[NoiseLevel], i: int, p: int) -> tuple[float, list[float]]:
    lam = levels[i].lam
    h = levels[i + 1].lam - lam
    return h, [(levels[i - j].lam - lam) / h for j in range(1, p)]


def _solved(nodes: Sequence[float], h: float) -> list[float]:
    """rho_j / r_j from the conditions of order; a node of pure noise lies at -infinity, at 0."""
    finite = [r for r in nodes if math.isfinite(r)]
    powers = range(len(finite))
    b = [_b(k + 1, -h) for k in powers]
    rho = np.linalg.solve([[r**k for r in finite] for k in powers], b).tolist() if finite else []
    by_node = {r: one / r for r, one in zip(finite, rho, strict=True)}
    return [by_node.get(r, 0.0) for r in nodes]


def _b(k: int, z: float) -> float:
    """k! phi_(k+1)(z) z / (exp(z) - 1)."""
    return math.factorial(k) * _phi(k + 1, z) * z / math.expm1(z)


_TERMS = [1 / math.factorial(n) for n in range(22)]


def _phi(k: int, z: float) -> float:
    """phi_k = (phi_(k-1) - 1 / (k-1)!) / z from phi_0 = exp(z); by series where that cancels."""
    if abs(z) < 1:
        total = 0.0
        for term in reversed(_TERMS[k:]):
            total = total * z + term
        return total
    if k == 0:
        return math.exp(z)
    return (_phi(k - 1, z) - 1 / math.factorial(k - 1)) / z
