"""What a codebook makes of a picture, as tiles."""

from __future__ import annotations

import colorsys

import numpy as np
from numpy.typing import NDArray

from diffview.frames import pixels
from diffview.frames.compose import Tiles
from diffview.models.codebook import Float32, Int64
from diffview.models.palette import Palette

GOLDEN = 0.6180339887498949


def picture(name: str, x: Float32) -> Tiles:
    """x (C, S, S) in -1 .. 1."""
    shown = np.asarray(pixels.as_pictures(x[None]), np.float32)
    return Tiles(name, pixels.grey_or_rgb(shown, -1.0, 1.0), shown)


def difference(name: str, of: Float32, x: Float32) -> Tiles:
    """of - x, the mean of the channels: blue below zero, amber above, full at 0.5."""
    values = np.asarray(pixels.as_pictures((of - x)[None]), np.float32)
    return Tiles(name, pixels.signed(values, 0.5), values)


def latents(name: str, z: Float32) -> Tiles:
    """The first three channels of z (d, h, w) as red, green, blue, each from its lowest to its
    highest value; grey where there are fewer."""
    shown = np.asarray(pixels.as_pictures(z[None]), np.float32)
    low, high = shown.min(axis=(0, 1, 2)), shown.max(axis=(0, 1, 2))
    level = (shown - low) / np.where(high > low, high - low, 1)
    return Tiles(name, pixels.grey_or_rgb(level, 0.0, 1.0), shown)


def distances(name: str, distance: Float32) -> Tiles:
    """distance (h, w): black at zero, amber at the largest."""
    values = np.asarray(distance, np.float32)[None, :, :, None]
    return Tiles(name, pixels.amounts(values, float(values.max())), values)


def index_map(name: str, indices: Int64) -> Tiles:
    """indices (h, w), every code in a colour of its own; near colours mean nothing."""
    values = indices.astype(np.float32)[None, :, :, None]
    out = np.full((1, *indices.shape, 4), 255, np.uint8)
    for code in np.unique(indices):
        out[0, indices == code, :3] = colour_of(int(code))
    return Tiles(name, out, values)


def laid_out(name: str, indices: Int64, looks: Float32) -> Tiles:
    """indices (h, w) as what each of their codes alone looks like, looks (K, C, f, f)."""
    return picture(name, Palette(looks)(indices[None, None].astype(np.float32))[0])


def swatches(looks: Float32) -> NDArray[np.uint8]:
    """looks (K, C, f, f) as small pictures (K, f, f, 4)."""
    return pixels.grey_or_rgb(np.asarray(pixels.as_pictures(looks), np.float32), -1.0, 1.0)


def colour_of(code: int) -> tuple[int, int, int]:
    """A code's colour on the map: hues a golden section of the circle apart."""
    light = 0.45 + 0.08 * (code % 5)
    red, green, blue = colorsys.hls_to_rgb(code * GOLDEN % 1, light, 0.6)
    return round(255 * red), round(255 * green), round(255 * blue)
