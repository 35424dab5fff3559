"""What a model of points says at any places: its estimate, and the flow of the probability.

    velocity  dx/dt = alpha' x0_hat + sigma' eps_hat, the probability flow in the schedule's time
              (Song et al. 2021, arXiv 2011.13456, eq. 13; Lipman et al. 2023, arXiv 2210.02747)
It comes from x0_hat, so a trained network has it as well as an exact model.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from diffview.engine.conversions import eps_from_x0
from diffview.engine.denoiser import Denoiser
from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Schedule
from diffview.errors import InputError

TIME_STEP = 1e-3
"""The part of the schedule's span over which a velocity's alpha' and sigma' are differences."""


@runtime_checkable
class KnowsDensity(Protocol):
    """A denoiser that knows log p(x_t), as exact models do."""

    def log_prob(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None = None) -> Tensor:
        """log p(x_t) (B,), or log p(x_t | y), in nats."""


@torch.no_grad()
def estimate(model: Denoiser, x: Tensor, level: NoiseLevel, label: int | None = None) -> Tensor:
    """x0_hat (B, D) float64 of x (B, D) float64, as precisely as the model computes it."""
    exact = isinstance(model, KnowsDensity)
    given = x.to(model.device, torch.float64 if exact else torch.float32)
    return model(given, level, condition(model, len(x), label)).to("cpu", torch.float64)


def condition(model: Denoiser, batch: int, label: int | None) -> Tensor | None:
    """Labels (B,) as the model takes them; None means none."""
    if label is None:
        return model.null_condition(batch)
    return torch.full((batch,), label, dtype=torch.int64, device=model.device)


def velocity(x_t: Any, x0_hat: Any, level: NoiseLevel, schedule: Schedule) -> Any:
    """dx/dt of the probability flow at x_t (B, D), per unit of the schedule's time."""
    first, last = schedule.span
    half = TIME_STEP * (last - first) / 2
    before, after = max(first, level.t - half), min(last, level.t + half)
    if not before < after:
        raise InputError(f"t = {level.t:g} is no time of schedule '{schedule.name}'")
    low, high = schedule.level(before), schedule.level(after)
    alpha_rate = (high.alpha - low.alpha) / (after - before)
    sigma_rate = (high.sigma - low.sigma) / (after - before)
    return alpha_rate * x0_hat + sigma_rate * eps_from_x0(x_t, x0_hat, level)
