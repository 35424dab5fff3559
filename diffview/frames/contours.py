"""Contour lines of heights over a grid, by marching squares (Lorensen & Cline 1987, in 2-D)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))
_EDGES = ((0, 1), (1, 2), (2, 3), (3, 0))
"""Edge k of a cell joins these corners, counter-clockwise."""
_LINES: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 6: ((0, 2),), 7: ((3, 2),),
    8: ((2, 3),), 9: ((2, 0),), 11: ((2, 1),), 12: ((1, 3),), 13: ((1, 0),), 14: ((0, 3),),
}  # fmt: skip
_SADDLES = {5: (((3, 2), (1, 0)), ((3, 0), (1, 2))), 10: (((0, 3), (2, 1)), ((0, 1), (2, 3)))}
"""Where two opposite corners are high: if the middle is high too, and if it is not."""


def contours(heights: Float64, axes: tuple[Float64, Float64], levels: Sequence[float]) -> Float64:
    """Line segments (M, 2, 2) of (x, y) at which heights (nx, ny) cross the levels.

    axes: the places x (nx,) and y (ny,) that the heights belong to; between them heights are
    linear along the edges of cells. What is not finite has no contour.
    """
    found = [_at(heights, axes, level) for level in levels]
    return np.concatenate([*found, np.empty((0, 2, 2))])


def _at(heights: Float64, axes: tuple[Float64, Float64], level: float) -> Float64:
    corners = [heights[i : i - 1 or None, j : j - 1 or None] for i, j in _CORNERS]
    cases = np.zeros(corners[0].shape, np.int8)
    for k, corner in enumerate(corners):
        cases |= (corner > level).astype(np.int8) << k
    i, j = np.nonzero((cases > 0) & (cases < 15))
    values = np.stack([corner[i, j] for corner in corners])
    good = np.isfinite(values).all(axis=0)
    cell = _Cells(i[good], j[good], values[:, good], axes, level)
    case, parts = cases[i[good], j[good]], []
    for number, lines in _LINES.items():
        parts += [cell.segments(case == number, line) for line in lines]
    middle = cell.values.mean(axis=0) > level
    for number, (high, low) in _SADDLES.items():
        for lines, where in ((high, middle), (low, ~middle)):
            parts += [cell.segments((case == number) & where, line) for line in lines]
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells (n,) that a contour goes through; values (4, n) at their corners."""

    i: NDArray[np.intp]
    j: NDArray[np.intp]
    values: Float64
    axes: tuple[Float64, Float64]
    level: float

    def segments(self, chosen: NDArray[np.bool_], edges: tuple[int, int]) -> Float64:
        """From one edge to another in the chosen cells: (m, 2, 2)."""
        return np.stack([self._crossing(chosen, _EDGES[edge]) for edge in edges], axis=1)

    def _crossing(self, chosen: NDArray[np.bool_], edge: tuple[int, int]) -> Float64:
        """Where the level lies on an edge: (m, 2)."""
        first, second = (self.values[corner, chosen] for corner in edge)
        share = (self.level - first) / np.where(second == first, 1, second - first)
        places = []
        for axis, index in enumerate((self.i[chosen], self.j[chosen])):
            start, stop = (self.axes[axis][index + _CORNERS[corner][axis]] for corner in edge)
            places.append(start + share * (stop - start))
        return np.stack(places, axis=1)
