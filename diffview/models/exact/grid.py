"""A regular grid in 1, 2 or 3 dimensions, and how points are counted on it. NumPy alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffview.errors import InputError

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """`size` cells along each of D axes from `low` to `high`; values belong to cells' centres.

    An array over the grid is indexed [x, y, ...]; transposed, it is a picture with y downwards.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    size: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse, with InputError, what is no grid."""
        same = len(self.low) == len(self.high) == len(self.size)
        if not same or not 1 <= len(self.size) <= 3 or min(self.size) < 1:
            raise InputError(f"{self.size} cells from {self.low} to {self.high} are no grid")
        if not all(-math.inf < a < b < math.inf for a, b in zip(self.low, self.high, strict=True)):
            raise InputError(f"a grid from {self.low} to {self.high} is empty: give low < high")

    @property
    def dims(self) -> int:
        """D."""
        return len(self.size)

    @property
    def count(self) -> int:
        """How many cells there are."""
        return math.prod(self.size)

    @property
    def cell(self) -> float:
        """The volume of one cell."""
        sides = zip(self.low, self.high, self.size, strict=True)
        return math.prod((high - low) / size for low, high, size in sides)

    def axes(self) -> tuple[Float64, ...]:
        """The centres along each axis, (size,) each."""
        edges = zip(self.low, self.high, self.size, strict=True)
        return tuple(low + (np.arange(n) + 0.5) * (high - low) / n for low, high, n in edges)

    def points(self) -> Float64:
        """All centres, (count, D), the last axis running fastest."""
        return self.rows(0, self.count)

    def rows(self, start: int, stop: int) -> Float64:
        """Centres number start .. stop - 1, without making the others."""
        places = np.unravel_index(np.arange(start, stop), self.size)
        return np.stack([a[p] for a, p in zip(self.axes(), places, strict=True)], axis=1)

    def shaped(self, values: Float64) -> Float64:
        """(count, ...) as (*size, ...)."""
        return values.reshape(*self.size, *values.shape[1:])

    def counts(self, points: ArrayLike) -> tuple[Float64, int]:
        """How many of points (n, D) lie in each cell, (*size), and how many outside of all."""
        array = np.asarray(points, np.float64)
        edges = [
            np.linspace(low, high, n + 1)
            for low, high, n in zip(self.low, self.high, self.size, strict=True)
        ]
        counts, _ = np.histogramdd(array, edges)
        return counts, int(len(array) - counts.sum())


def square(half: float = 1.5, size: int = 100, dims: int = 2) -> Grid:
    """The grid from -half to half along each of `dims` axes, `size` cells each."""
    return Grid((-half,) * dims, (half,) * dims, (size,) * dims)
