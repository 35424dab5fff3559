"""How far a histogram of points is from a density, and how much of that is chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffview.models.exact.grid import Float64


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


def _floors(p: Float64, n: int) -> tuple[float, float]:
    """The mean tv and kl of a histogram of n points from p: one draw, which varies little."""
    flat = p.ravel() / p.sum()
    h = np.random.default_rng(0).multinomial(n, flat) / n
    kept = h > 0
    kl = (h[kept] * np.log(h[kept] / flat[kept])).sum()
    return float(0.5 * np.abs(h - flat).sum()), float(kl)
