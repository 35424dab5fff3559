"""Fields over the plane at one level: estimate, score, flow velocity, log density and energy.

    score     grad log p(x_t) = (alpha x0_hat - x_t) / sigma^2              (Tweedie)
    velocity  dx/dt = alpha' x0_hat + sigma' eps_hat, the probability flow in the schedule's time
              (Song et al. 2021, arXiv 2011.13456, eq. 13; Lipman et al. 2023, arXiv 2210.02747)
    energy    E(x_t) = -log p(x_t), in nats
They come from x0_hat, so a trained network has them as well as an exact model; only log p and
energy need a model that knows its density.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from diffview.engine.conversions import eps_from_x0, score_from_x0
from diffview.engine.denoiser import Denoiser
from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Schedule
from diffview.errors import InputError
from diffview.models.exact.grid import Float64, Grid

TIME_STEP = 1e-3
"""The part of the schedule's span over which a velocity's alpha' and sigma' are differences."""


@runtime_checkable
class KnowsDensity(Protocol):
    """A denoiser that knows log p(x_t), as exact models do."""

    def log_prob(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None = None) -> Tensor:
        """log p(x_t) (B,), or log p(x_t | y), in nats."""


@dataclass(frozen=True, slots=True)
class Field:
    """A model over a grid at one level; vectors are (*size, D), scalars (*size), all float64.

    log_p is None where the model does not know its density.
    """

    grid: Grid
    level: NoiseLevel
    x0_hat: Float64
    score: Float64
    velocity: Float64
    log_p: Float64 | None

    @property
    def energy(self) -> Float64 | None:
        """-log p, in nats."""
        return None if self.log_p is None else -self.log_p

    @property
    def density(self) -> Float64 | None:
        """p, per unit of volume."""
        return None if self.log_p is None else np.exp(self.log_p)


@dataclass(frozen=True, slots=True)
class Arrows:
    """From x_t (B, D) to E[x_0 | x_t] (B, D), and the score (B, D) that leads there."""

    starts: Float64
    ends: Float64
    score: Float64


@dataclass(frozen=True, slots=True)
class ErrorMap:
    """|x0_hat - exact x0_hat| over a grid (*size), in data units, and where x_t really lies.

    mean is the root mean square under p(x_t), so far away places, which no sample visits, hardly
    count.
    """

    error: Float64
    density: Float64
    mean: float


@torch.no_grad()
def field(model: Denoiser, grid: Grid, level: NoiseLevel, label: int | None = None) -> Field:
    """The fields of a model of points at a noisy level, under a label if one is given."""
    _check(model, grid, level)
    x = torch.from_numpy(grid.points())
    x0_hat = estimate(model, x, level, label)
    log_p = None
    if isinstance(model, KnowsDensity):
        log_p = grid.shaped(model.log_prob(x, level, condition(model, len(x), label)).numpy())
    flow = velocity(x, x0_hat, level, model.schedule)
    score = score_from_x0(x, x0_hat, level)
    vectors = [grid.shaped(array.numpy()) for array in (x0_hat, score, flow)]
    return Field(grid, level, vectors[0], vectors[1], vectors[2], log_p)


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


def tweedie_arrows(
    model: Denoiser, places: ArrayLike, level: NoiseLevel, label: int | None = None
) -> Arrows:
    """The arrow from each x_t (B, D) to its estimate: (x_t + sigma^2 score) / alpha."""
    starts = np.asarray(places, np.float64)
    x = torch.from_numpy(starts)
    ends = estimate(model, x, level, label)
    return Arrows(starts, ends.numpy(), score_from_x0(x, ends, level).numpy())


def streamlines(
    model: Denoiser,
    starts: ArrayLike,
    level: NoiseLevel,
    *,
    label: int | None = None,
    step: float = 0.02,
    count: int = 60,
) -> Float64:
    """Lines (count + 1, B, D) uphill in log p at one level, `step` data units at a time.

    They follow the direction of the score and not its length (midpoint rule), so that they are
    drawn evenly; where it is 0 a line stays.
    """
    x = torch.from_numpy(np.asarray(starts, np.float64))
    lines = [x]
    for _ in range(count):
        middle = x + step / 2 * _direction(model, x, level, label)
        x = x + step * _direction(model, middle, level, label)
        lines.append(x)
    return np.asarray(torch.stack(lines).numpy())


def error_map(
    learned: Denoiser,
    exact: Denoiser,
    grid: Grid,
    level: NoiseLevel,
    label: int | None = None,
) -> ErrorMap:
    """Where a trained network is wrong about x_0, against the exact model of the same data."""
    if not isinstance(exact, KnowsDensity):
        raise InputError("an error map needs an exact model to compare with")
    _check(exact, grid, level)
    x = torch.from_numpy(grid.points())
    off = estimate(learned, x, level, label) - estimate(exact, x, level, label)
    error = off.norm(dim=1).numpy()
    log_p = exact.log_prob(x, level, condition(exact, len(x), label))
    weights = log_p.softmax(0).numpy()
    mean = float(np.sqrt((weights * error**2).sum()))
    return ErrorMap(grid.shaped(error), grid.shaped(log_p.exp().numpy()), mean)


def _direction(model: Denoiser, x: Tensor, level: NoiseLevel, label: int | None) -> Tensor:
    score = score_from_x0(x, estimate(model, x, level, label), level)
    return torch.as_tensor(score / score.norm(dim=1, keepdim=True).clamp_min(1e-12))


def _check(model: Denoiser, grid: Grid, level: NoiseLevel) -> None:
    shape: Sequence[int] = model.data_shape
    if tuple(shape) != (grid.dims,):
        raise InputError(f"a grid of {grid.dims} dimensions does not fit samples of {shape}")
    if level.sigma <= 0:
        raise InputError("the score is asked for without noise: choose a level with σ > 0")
