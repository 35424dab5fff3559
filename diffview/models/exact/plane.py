"""A model of points over a raster of the plane, without a label and under one: γ costs nothing.

The score and log p of classifier-free guidance are affine in γ (Ho & Salimans 2022, arXiv
2207.12598, eq. 6), so both ends are computed once for a level:

    log p_gamma = (1 - gamma) log p + gamma log p(. | y) + constant,   the score likewise

On a raster a mixture whose covariances are diagonal is a sum of products of a function of x and
one of y, which is a matrix product: 128 x 128 places take two milliseconds instead of two hundred.
Where all products are too small for a number the places are computed one by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from diffview.engine.conversions import score_from_x0
from diffview.engine.denoiser import Denoiser
from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Schedule
from diffview.errors import InputError
from diffview.models.exact.distance import Distance, distance
from diffview.models.exact.fields import KnowsDensity, condition, estimate, velocity
from diffview.models.exact.grid import Float64, Grid
from diffview.models.exact.mixture import Mixture
from diffview.models.exact.mixture_denoiser import MixtureDenoiser

TINY = 1e-280
"""Sums of products below this have lost digits."""
FEW = 8
"""So few components cost no more one by one."""
PAIRS = 1 << 18
"""How many (component, place) pairs are in memory at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """One end of guidance: score (*size, 2), and log p (*size) in nats or None if not known."""

    score: Float64
    log_p: Float64 | None


@dataclass(frozen=True, slots=True)
class GuidedField:
    """Both ends over a grid in two dimensions; `given` is None without a label.

    narrowest: the least standard deviation of a component at this level, in data units; infinite
    where that is not known.
    """

    grid: Grid
    level: NoiseLevel
    schedule: Schedule
    free: Part
    given: Part | None
    narrowest: float = math.inf

    def at(self, gamma: float) -> Part:
        """The guided field; its log p is that of p_gamma but for a constant."""
        if self.given is None or gamma == 0:
            return self.free
        if gamma == 1:
            return self.given
        score = (1 - gamma) * self.free.score + gamma * self.given.score
        if self.free.log_p is None or self.given.log_p is None:
            return Part(score, None)
        return Part(score, (1 - gamma) * self.free.log_p + gamma * self.given.log_p)

    def x0_hat(self, gamma: float) -> Float64:
        """(x_t + sigma^2 score) / alpha (*size, 2): Tweedie's formula."""
        moved = self.places + self.level.sigma**2 * self.at(gamma).score
        return np.asarray(moved / self.level.alpha)

    def flow(self, gamma: float) -> Float64 | None:
        """The way that sampling goes, minus dx/dt of the probability flow (*size, 2).

        None at the clean end, where nothing flows any more.
        """
        if self.level.sigma <= 0:
            return None
        there = velocity(self.places, self.x0_hat(gamma), self.level, self.schedule)
        return np.asarray(-there)

    @property
    def places(self) -> Float64:
        """x_t (*size, 2)."""
        return self.grid.shaped(self.grid.points())


@torch.no_grad()
def guided_field(
    model: Denoiser,
    grid: Grid,
    level: NoiseLevel,
    label: int | None = None,
    schedule: Schedule | None = None,
) -> GuidedField:
    """The field of a model of points at any level, under a label if one is given.

    schedule: the one that the level is of, and by whose time things flow; the model's own if None.

    Raises InputError where there is none: without noise, for a network or points without width.
    """
    if grid.dims != 2 or tuple(model.data_shape) != (2,):
        raise InputError(f"a plane needs samples of shape (2,), not {tuple(model.data_shape)}")
    free = _part(model, grid, level, None)
    given = None if label is None else _part(model, grid, level, label)
    narrowest = (
        _narrowest(model.mixture, level) if isinstance(model, MixtureDenoiser) else math.inf
    )
    return GuidedField(grid, level, schedule or model.schedule, free, given, narrowest)


def _narrowest(data: Mixture, level: NoiseLevel) -> float:
    least = float(np.linalg.eigvalsh(data.covariances).min())
    return math.sqrt(max(0.0, level.alpha**2 * least + level.sigma**2))


def _part(model: Denoiser, grid: Grid, level: NoiseLevel, label: int | None) -> Part:
    if not isinstance(model, MixtureDenoiser):
        return _of_any(model, grid, level, label)
    data = model.mixture if label is None else model.mixture.of_label(label)
    noisy = level.alpha**2 * data.covariances + level.sigma**2 * np.eye(2)
    if np.linalg.eigvalsh(noisy).min() <= 0:
        raise InputError(
            "points have no density without noise: choose a level with σ > 0, or give the "
            "points a width"
        )
    means = level.alpha * data.means
    if noisy[:, 0, 1].any() or len(means) <= FEW:
        score, log_p = _one_by_one(data.weights, means, noisy, grid.points())
        return Part(grid.shaped(score), grid.shaped(log_p))
    return _by_products(data.weights, means, noisy, grid)


def _of_any(model: Denoiser, grid: Grid, level: NoiseLevel, label: int | None) -> Part:
    """What a network says, or another exact model."""
    if level.sigma <= 0:
        raise InputError("without noise a network has no score: choose a level with σ > 0")
    x = torch.from_numpy(grid.points())
    score = grid.shaped(score_from_x0(x, estimate(model, x, level, label), level).numpy())
    if not isinstance(model, KnowsDensity):
        return Part(score, None)
    log_p = model.log_prob(x, level, condition(model, len(x), label)).numpy(force=True)
    return Part(score, grid.shaped(log_p))


def _by_products(weights: Float64, means: Float64, noisy: Float64, grid: Grid) -> Part:
    """See the module; noisy (K, 2, 2) is diagonal."""
    variances = noisy.diagonal(axis1=1, axis2=2)
    away = [
        (means[:, axis] - places[:, None]) / variances[:, axis]
        for axis, places in enumerate(grid.axes())
    ]  # the score of each component along each axis, (n, K)
    logs = [-0.5 * off**2 * variances[:, axis] for axis, off in enumerate(away)]
    tops = [log.max(axis=1, keepdims=True) for log in logs]
    across, along = (np.exp(log - top) for log, top in zip(logs, tops, strict=True))
    across = across * (weights / (2 * np.pi * np.sqrt(variances.prod(axis=1))))
    sums = across @ along.T
    safe = np.maximum(sums, TINY)
    score = np.stack([(across * away[0]) @ along.T, across @ (along * away[1]).T], axis=-1)
    score /= safe[..., None]
    log_p = np.log(safe) + tops[0] + tops[1].T
    lost = sums <= TINY
    if lost.any():
        places = grid.shaped(grid.points())[lost]
        score[lost], log_p[lost] = _one_by_one(weights, means, noisy, places)
    return Part(score, log_p)


def _one_by_one(
    weights: Float64, means: Float64, noisy: Float64, places: Float64
) -> tuple[Float64, Float64]:
    """Score (B, 2) and log p (B,) at any places (B, 2), for any covariances."""
    precision = np.linalg.inv(noisy)
    constant = np.log(weights) - 0.5 * np.linalg.slogdet(2 * np.pi * noisy)[1]
    score, log_p = np.empty_like(places), np.empty(len(places))
    step = max(1, PAIRS // len(weights))
    for start in range(0, len(places), step):
        some = slice(start, start + step)
        off = means[:, None] - places[some]
        pull = off @ precision
        logs = constant[:, None] - 0.5 * (off * pull).sum(axis=2)
        top = logs.max(axis=0)
        shares = np.exp(logs - top)
        total = shares.sum(axis=0)
        score[some] = np.einsum("kb,kbi->bi", shares / total, pull)
        log_p[some] = np.log(total) + top
    return score, log_p


# ---- particles against the density --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gap:
    """Particles beside p_gamma of their level, both on `grid`: probability of each cell (*size).

    edge: what of p_gamma lies in the outermost cells.
    """

    grid: Grid
    density: Float64
    histogram: Float64
    distance: Distance
    edge: float


def gap(field: GuidedField, gamma: float, points: Float64, fold: int = 3) -> Gap:
    """Count points (n, 2) and weigh them against p_gamma of the field.

    At each level alone the guided score is that of p_gamma, but the p_gamma of the levels are not
    the noised versions of one another, so guided sampling does not end in p_gamma of the data
    (Bradley & Nakkiran 2024, arXiv 2408.09000): this says by how much.

    `fold` x `fold` cells of the field's grid become one, so that a narrow density is summed and
    not guessed from one place. Raises InputError for a model that knows no density.
    """
    log_p = field.at(gamma).log_p
    if log_p is None:
        raise InputError("this model knows no density: take an exact one, such as 'moons'")
    fine = np.exp(log_p - log_p.max())
    nx, ny = (size // fold for size in field.grid.size)
    density = fine.reshape(nx, fold, ny, fold).sum(axis=(1, 3))
    density /= density.sum()
    grid = Grid(field.grid.low, field.grid.high, (nx, ny))
    counts, outside = grid.counts(points)
    with np.errstate(divide="ignore"):
        apart = distance(counts, outside, np.log(np.maximum(density, 1e-300)))
    inner = density[1:-1, 1:-1].sum()
    return Gap(grid, density, counts / len(points), apart, float(1 - inner))


def gap_grid(data: Mixture, level: NoiseLevel, points: Float64, size: int = 144) -> Grid:
    """A square grid that holds the noised data and nearly all of the points (n, 2)."""
    widths = np.sqrt(data.covariances.diagonal(axis1=1, axis2=2).max(axis=1))
    reach = float((np.abs(data.means).max(axis=1) + 4 * widths).max())
    half = level.alpha * reach + 3.5 * level.sigma
    if len(points):
        half = max(half, 1.02 * float(np.quantile(np.abs(points).max(axis=1), 0.999)))
    return Grid((-half, -half), (half, half), (size, size))
