"""What guidance is said to sample, beside what it samples.

The guided score (1 - gamma) grad log p(x_t) + gamma grad log p(x_t | y) is, at each level alone,
that of the tilted density

    p_gamma(x) = p(x)^(1 - gamma) p(x | y)^gamma / Z

(Ho & Salimans 2022, arXiv 2207.12598, section 3). But the tilted densities of the levels are not
the noised versions of one another, so a sampler that follows those scores does not end in
p_gamma of the data (Bradley & Nakkiran 2024, arXiv 2408.09000). Here both are made, on one grid:
the density renormalised, and the histogram of particles.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch

from diffview.engine.denoiser import Denoiser
from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.errors import InputError
from diffview.models.exact.cloud import CloudStep, cloud
from diffview.models.exact.fields import KnowsDensity, condition
from diffview.models.exact.grid import Float64, Grid


@dataclass(frozen=True, slots=True)
class Tilted:
    """p_gamma on a grid at a level: log of the probability of each cell (*size), summing to 1.

    log_z: log of the integral of p^(1 - gamma) p(. | y)^gamma over the grid, in nats. edge: the
    probability in the outermost cells; where it is not small the grid cuts the density off.
    """

    grid: Grid
    level: NoiseLevel
    gamma: float
    log_cells: Float64
    log_z: float
    edge: float

    @property
    def density(self) -> Float64:
        """p_gamma per unit of area (*size)."""
        return np.asarray(np.exp(self.log_cells) / self.grid.cell)


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a histogram of n points is from a density.

    tv: total variation, half the sum of |differences|, 0 to 1. kl: the sum of h log(h / p) in
    nats. tv_floor, kl_floor: what n points drawn from the density itself would have, on average;
    a distance of that size is none.
    """

    tv: float
    kl: float
    tv_floor: float
    kl_floor: float
    outside: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The tilted density of the data, the histogram (*size) of a guided cloud, their distance.

    conditional is the distance of the same cloud from p(x | y), the density of gamma = 1.
    """

    tilted: Tilted
    histogram: Float64
    distance: Distance
    conditional: Distance


@torch.no_grad()
def tilted(
    model: Denoiser, grid: Grid, label: int, gamma: float, level: NoiseLevel = CLEAN
) -> Tilted:
    """p_gamma of a model that knows its density, at any level (the data's own unless given)."""
    if not isinstance(model, KnowsDensity):
        raise InputError("a tilted density needs a model that knows log p, such as 'mixture'")
    x = torch.from_numpy(grid.points())
    free = model.log_prob(x, level, None)
    given = model.log_prob(x, level, condition(model, len(x), label))
    log_p = (1 - gamma) * free + gamma * given
    log_cells = grid.shaped(log_p.log_softmax(0).numpy())
    log_z = float(log_p.logsumexp(0)) + math.log(grid.cell)
    return Tilted(grid, level, gamma, log_cells, log_z, _edge(np.exp(log_cells)))


def distance(counts: Float64, outside: int, log_cells: Float64) -> Distance:
    """How far the histogram `counts` (*size) is from cells of log probability `log_cells`.

    Points outside of the grid count as a cell of probability 0 for tv, and not at all for kl.
    """
    n = counts.sum() + outside
    h, p = counts / n, np.exp(log_cells)
    kept = h > 0
    within = h[kept] / h.sum()
    kl = float((within * (np.log(within) - log_cells[kept])).sum())
    tv = float(0.5 * (np.abs(h - p).sum() + outside / n))
    return Distance(tv, kl, *_floors(p, int(n)), float(outside / n))


def compare(
    model: Denoiser,
    grid: Grid,
    label: int,
    gamma: float,
    *,
    count: int = 20_000,
    steps: int = 100,
    sampler: str = "dpmpp_2m",
    seed: int = 0,
) -> Generator[CloudStep | Comparison, None, None]:
    """Follow a guided cloud to its end, step by step; what comes last is the Comparison.

    A hundred steps of second order, so that what is left is the guidance's doing: at gamma = 1
    the distance is down at its floor.

    Raises InputError when the model does not know its density or has no such label.
    """
    density = tilted(model, grid, label, gamma)
    plain = tilted(model, grid, label, 1.0)
    end = np.empty((0, grid.dims), np.float32)
    made = cloud(model, count, label=label, gamma=gamma, steps=steps, sampler=sampler, seed=seed)
    for step in made:
        end = step.x_t
        yield step
    counts, outside = grid.counts(end)
    yield Comparison(
        density,
        counts / count,
        distance(counts, outside, density.log_cells),
        distance(counts, outside, plain.log_cells),
    )


def _edge(cells: Float64) -> float:
    inner = cells[tuple(slice(1, -1) for _ in cells.shape)]
    return float(cells.sum() - inner.sum())


def _floors(p: Float64, n: int) -> tuple[float, float]:
    """The mean tv and kl of a histogram of n points from p: one draw, which varies little."""
    flat = p.ravel() / p.sum()
    h = np.random.default_rng(0).multinomial(n, flat) / n
    kept = h > 0
    kl = (h[kept] * np.log(h[kept] / flat[kept])).sum()
    return float(0.5 * np.abs(h - flat).sum()), float(kl)
