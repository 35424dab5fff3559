"""Lines that follow a field of vectors given over a grid, for drawing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def streams(
    vectors: Float64,
    axes: tuple[Float64, Float64],
    starts: Float64,
    *,
    step: float,
    count: int = 24,
) -> Float64:
    """Lines (B, count + 1, 2) from starts (B, 2), each step as long as `step` (data units).

    vectors (nx, ny, 2) belong to axes (nx,) and (ny,) and are linear between them; the midpoint
    rule follows their direction. A line that leaves the grid, or comes to where nothing points
    anywhere, stays there.
    """
    lines = [np.asarray(starts, np.float64)]
    for _ in range(count):
        here = lines[-1]
        middle = here + step / 2 * _direction(vectors, axes, here)
        lines.append(here + step * _direction(vectors, axes, middle))
    return np.stack(lines, axis=1)


def at(vectors: Float64, axes: tuple[Float64, Float64], places: Float64) -> Float64:
    """The field (B, C) at places (B, 2), linear between the grid's; NaN outside of it."""
    cells, shares = [], []
    inside = np.ones(len(places), bool)
    for axis, centres in enumerate(axes):
        place = (places[:, axis] - centres[0]) / (centres[1] - centres[0])
        inside &= (place >= 0) & (place <= len(centres) - 1)
        cell = np.clip(np.nan_to_num(place), 0, len(centres) - 2).astype(np.intp)
        cells.append(cell)
        shares.append((place - cell)[:, None])
    (i, j), (u, v) = cells, shares
    low = (1 - u) * vectors[i, j] + u * vectors[i + 1, j]
    high = (1 - u) * vectors[i, j + 1] + u * vectors[i + 1, j + 1]
    out = (1 - v) * low + v * high
    out[~inside] = np.nan
    return np.asarray(out)


def _direction(vectors: Float64, axes: tuple[Float64, Float64], places: Float64) -> Float64:
    found = np.nan_to_num(at(vectors, axes, places))
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(length > 1e-12, length, 1) * (length > 1e-12))
