"""Points and heights over a part of the plane as pixels: particles, ramps, relief, differences.

Heights are (nx, ny), indexed [x, y] over cells as in `models/exact/grid.py`; pictures are (ny, nx,
4) uint8 with y pointing up, so the first row is the highest y.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffview.frames.pixels import NOT_A_NUMBER, Uint8

Float64 = NDArray[np.float64]
Uint32 = NDArray[np.uint32]
Rgb = tuple[int, int, int]

DOTS = 20_000
"""Up to so many particles are drawn as dots, more as a histogram of single pixels."""
FULL_WEIGHT = 28
"""The weight of the middle of a dot; a picture's strengths are sums of weights, held at 255."""
SUN = np.array([-0.5, 0.6, 0.62])
"""Where the light of a relief comes from: left, above, and from the reader's side."""


@dataclass(frozen=True, slots=True)
class Window:
    """The part of the plane that is seen: (x, y) of its lower left and upper right corners."""

    low: tuple[float, float]
    high: tuple[float, float]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in data units."""
        return self.high[0] - self.low[0], self.high[1] - self.low[1]


def splat(points: ArrayLike, window: Window, size: tuple[int, int], radius: float) -> Uint8:
    """Particles (n, 2) drawn into (height, width) = `size` pixels: strengths, 255 the most.

    radius: of a dot, in pixels; 0 counts them in single pixels, each at full weight. Particles
    outside, and those that are not finite, are left out.
    """
    height, width = size
    places = np.asarray(points, np.float32)
    scale = width / window.size[0], height / window.size[1]
    x = (places[:, 0] - np.float32(window.low[0])) * np.float32(scale[0])
    y = (np.float32(window.high[1]) - places[:, 1]) * np.float32(scale[1])
    margin = int(np.ceil(radius))
    inside = (x >= margin) & (x < width - margin) & (y >= margin) & (y < height - margin)
    column, row = x[inside].astype(np.int32), y[inside].astype(np.int32)
    index = row * np.int32(width) + column
    if not radius:
        counts = np.bincount(index, minlength=width * height)
        return _held(counts * FULL_WEIGHT).reshape(height, width)
    sums = np.zeros(width * height, np.uint16)
    occupied, counts = np.unique(index, return_counts=True)
    held = np.minimum(counts, 255 // 8).astype(np.uint16)
    for down, right, weight in _stamp(radius):
        sums[occupied + (down * width + right)] += held * np.uint16(weight)
    return _held(sums).reshape(height, width)


@cache
def _stamp(radius: float) -> tuple[tuple[int, int, int], ...]:
    """(rows down, columns right, weight) of the pixels of a soft disc."""
    reach = range(-int(np.ceil(radius)), int(np.ceil(radius)) + 1)
    cells = [
        (
            down,
            right,
            round(FULL_WEIGHT * min(1.0, max(0.0, radius + 0.5 - np.hypot(down, right)))),
        )
        for down in reach
        for right in reach
    ]
    return tuple(cell for cell in cells if cell[2])


def _held(sums: NDArray[Any]) -> Uint8:
    held: Uint8 = np.minimum(sums, 255).astype(np.uint8)
    return held


def tinted(strengths: Uint8, colour: Rgb, least: float = 0.5) -> Uint32:
    """Strengths (H, W) as pixels 0xAARRGGBB, premultiplied: clear at 0, the colour at the most.

    least: the opacity of a single particle, of 1.
    """
    pixels: Uint32 = np.take(_table(colour, least), strengths)
    return pixels


@cache
def _table(colour: Rgb, least: float) -> Uint32:
    strength = np.arange(256) / 255
    single = FULL_WEIGHT / 255
    soft = strength / single * least
    more = least + (1 - least) * np.clip((strength - single) / (1 - single), 0, 1)
    alpha = np.where(strength <= single, soft, more)
    channels = (255, *colour)
    table = np.zeros(256, np.uint32)
    for channel, shift in zip(channels, (24, 16, 8, 0), strict=True):
        table |= np.rint(channel * alpha).astype(np.uint32) << np.uint32(shift)
    return table


def ramp(heights: Float64, low: Rgb, high: Rgb, most: float, power: float = 0.5) -> Uint8:
    """Heights (nx, ny) from `low` at 0 to `high` at `most`; a power below 1 lifts what is faint.

    What is not a number shows as magenta.
    """
    share = np.clip(heights / (most or 1.0), 0, 1) ** power
    return _blend(share, low, high)


def relief(heights: Float64, low: Rgb, high: Rgb, span: float, steep: float = 1.0) -> Uint8:
    """Heights (nx, ny) above their lowest as a landscape under a slanting light, (ny, nx, 4).

    low is the colour of the bottom, high that of `span` above it and more. steep exaggerates.
    """
    above = np.clip(heights - np.nanmin(heights), 0, span)
    share = above / (span or 1.0)
    out = _blend(share**0.6, low, high)
    slopes = np.gradient(share * len(share) * 0.35 * steep)
    # A cliff is not much darker than a slope: colours must stay readable on it.
    dx, dy = (slope / np.sqrt(1 + slope**2) for slope in slopes)
    normal = np.stack([-dx, -dy, np.ones_like(dx)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = normal @ (SUN / np.linalg.norm(SUN))
    shade = 1 + 0.42 * (light - SUN[2] / np.linalg.norm(SUN))
    shaded = out[..., :3] * shade.T[::-1, :, None]
    out[..., :3] = np.rint(np.clip(np.nan_to_num(shaded), 0, 255))
    return out


def diverging(values: Float64, ground: Rgb, below: Rgb, above: Rgb, most: float) -> Uint8:
    """Signed values (nx, ny): `below` at -most, the ground at 0, `above` at +most."""
    share = np.clip(values / (most or 1.0), -1, 1)
    strength = np.abs(share) ** 0.7
    out = _blend(strength, ground, above)
    negative = (share < 0).T[::-1]
    out[negative] = _blend(strength, ground, below)[negative]
    return out


def _blend(share: Float64, low: Rgb, high: Rgb) -> Uint8:
    picture = share.T[::-1]
    out = np.full((*picture.shape, 4), 255, np.uint8)
    under, over = np.array(low, np.float64), np.array(high, np.float64)
    colours = under + np.nan_to_num(picture)[..., None] * (over - under)
    out[..., :3] = np.rint(colours)
    out[np.isnan(picture), :3] = NOT_A_NUMBER
    return out
