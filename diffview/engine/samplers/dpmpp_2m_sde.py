"""DPM-Solver++ (2M) SDE: the multistep solver with fresh noise at every step.

In lam = log(alpha / sigma), with h = lam' - lam, h_last the step before, k = (1 + eta) h:
    x' = (sigma' / sigma) exp(-eta h) x + alpha' (1 - exp(-k)) x0_hat
         + c (h / h_last) (x0_hat - x0_hat_last) + sigma' sqrt(1 - exp(-2 eta h)) z
    c  = alpha' (1 - exp(-k)) / 2 (midpoint)   or   alpha' (1 - (1 - exp(-k)) / k) (heun)
First order at the first step and at the last, where h is infinite.

k-diffusion, `sample_dpmpp_2m_sde` (Crowson 2022), after Lu et al. (2022), arXiv 2211.01095,
section 5; eta = 0 with midpoint is DPM-Solver++ (2M), eta = 1 the paper's SDE.
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
    help="How much fresh noise each step adds: 1 as much as the SDE, 0 none (DPM-Solver++ 2M).",
    source="Crowson 2022, k-diffusion, sample_dpmpp_2m_sde",
)
SOLVER = Option(
    name="solver",
    title="Solver",
    default="midpoint",
    choices=("midpoint", "heun"),
    help="How the change between two estimates is weighted: both are of second order.",
    source="Crowson 2022, k-diffusion, sample_dpmpp_2m_sde",
)


@sampler(
    name="dpmpp_2m_sde",
    title="DPM-Solver++ 2M SDE",
    order=2,
    stochastic=True,
    options=(ETA, SOLVER),
    source="Lu et al. 2022, arXiv 2211.01095, section 5; Crowson 2022, k-diffusion",
    history=1,
    weights={
        "w0": "w₀ = α′ (1 − e^(−k)) + c h / h₋₁,  k = (1 + η) h,  h = λ′ − λ",
        "w1": "w₁ = (σ′ / σ) e^(−η h)",
        "s": "s = σ′ √(1 − e^(−2 η h))",
        "w_past": "w₋₁ = −c h / h₋₁,  c = α′ (1 − e^(−k)) / 2 (midpoint) or "
        "α′ (1 − (1 − e^(−k)) / k) (heun)",
    },
)
def dpmpp_2m_sde(
    denoise: Denoise,
    x: Tensor,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    *,
    past: Sequence[Step] = (),
    eta: float = 1.0,
    solver: str = "midpoint",
) -> Generator[Step, None, None]:
    """Sample along `levels` (N + 1, the last clean) from x (B, *D)."""
    older = past[-1].estimate.x0_hat if past else None
    for i in range(first_index(past), len(levels) - 1):
        estimate = denoise(x, levels[i])
        before = levels[i - 1] if older is not None else None
        move = _move(before, levels[i], levels[i + 1], eta, solver)
        yield Step(i, levels[i], x, estimate, move)
        x = move.w0 * estimate.x0_hat + move.w1 * x
        if older is not None and move.w_past:
            x = x + move.w_past[0] * older
        if move.noise_std > 0:
            x = x + move.noise_std * noise(i)
        older = estimate.x0_hat
    yield last_step(len(levels) - 1, x)


def _move(
    before: NoiseLevel | None, level: NoiseLevel, target: NoiseLevel, eta: float, solver: str
) -> Move:
    h = target.lam - level.lam
    eta_h = eta * h if eta > 0 else 0.0  # h may be infinite
    gone = -math.expm1(-h - eta_h)
    w0 = target.alpha * gone
    w1 = target.sigma / level.sigma * math.exp(-eta_h)
    noise_std = target.sigma * math.sqrt(-math.expm1(-2 * eta_h))
    if before is None or target.sigma == 0:
        return Move(w0, w1, noise_std)
    share = gone / 2 if solver == "midpoint" else 1 - gone / (h + eta_h)
    lean = target.alpha * share * h / (level.lam - before.lam)
    return Move(w0 + lean, w1, noise_std, w_past=(-lean,))
