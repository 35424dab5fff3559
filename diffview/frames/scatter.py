"""Points in the plane as a picture: a histogram whose brightness says how many lie together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffview.frames.pixels import Uint8

Colour = tuple[int, int, int]

SIDE = 160
EXTENT = 1.25
"""The picture reaches from -EXTENT to EXTENT, in data units; y points up."""
FAINTEST, FULL = 0.5, 3
"""One point is drawn at this strength; as many as FULL in a pixel at full strength."""


def blank(ground: Colour, side: int = SIDE) -> Uint8:
    """(side, side, 4) uint8 RGBX of one colour."""
    out = np.full((side, side, 4), 255, np.uint8)
    out[..., :3] = ground
    return out


def scatter(points: NDArray[Any], colour: Colour, onto: Uint8, *, extent: float = EXTENT) -> Uint8:
    """A copy of `onto` (S, S, 4) with points (N, 2) on it; each covers 2 x 2 pixels.

    Points outside, and those that are not finite, are left out.
    """
    side, places = len(onto), np.asarray(points, np.float64)
    with np.errstate(invalid="ignore"):
        column = np.floor((places[:, 0] + extent) / (2 * extent) * side)
        row = np.floor((extent - places[:, 1]) / (2 * extent) * side)
        inside = (column >= 0) & (column < side - 1) & (row >= 0) & (row < side - 1)
    index = row[inside].astype(np.int64) * side + column[inside].astype(np.int64)
    counts = np.bincount(index, minlength=side * side).reshape(side, side)
    splat = counts.copy()
    splat[1:] += counts[:-1]
    splat[:, 1:] += counts[:, :-1]
    splat[1:, 1:] += counts[:-1, :-1]
    drawn = np.nonzero(splat)
    more = (1 - FAINTEST) * (splat[drawn] - 1) / (FULL - 1)
    strength = np.minimum(FAINTEST + more, 1.0)[:, None]
    out = onto.copy()
    under = onto[drawn][:, :3].astype(np.float64)
    mixed = np.rint(under + strength * (np.array(colour, np.float64) - under))
    out[drawn[0], drawn[1], :3] = mixed
    return out
