"""The one place where a value becomes a colour: float arrays in, uint8 RGBX out.

Rounding is to the nearest byte. What is not a number shows as magenta: black would hide it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Uint8 = NDArray[np.uint8]

NOT_A_NUMBER = (255, 0, 255)
NOTHING_YET = (72, 76, 84)
NEGATIVE = np.array([92, 162, 255], np.float32)
POSITIVE = np.array([255, 176, 72], np.float32)


def as_pictures(values: NDArray[Any]) -> NDArray[Any]:
    """(B, *D) -> (B, H, W, C) with C = 1 or 3.

    One axis becomes a row of pixels; two a grey picture; of other channel counts than 1 and 3 the
    first (up to three) are shown.
    """
    if values.ndim == 2:
        return values[:, None, :, None]
    if values.ndim == 3:
        return values[:, :, :, None]
    if values.ndim != 4:
        return values.reshape(len(values), values.shape[1], -1, 1)
    channels = 3 if values.shape[1] >= 3 else 1
    return values[:, :channels].transpose(0, 2, 3, 1)


def by_channel(values: NDArray[Any]) -> NDArray[Any]:
    """(B, C, h, w) -> (B, n h, n w, 1): the channels in rows of n, 0 where there are too few."""
    batch, channels, height, width = values.shape
    side = math.isqrt(channels - 1) + 1
    filled = np.zeros((batch, side * side, height, width), values.dtype)
    filled[:, :channels] = values
    rows = filled.reshape(batch, side, side, height, width).transpose(0, 1, 3, 2, 4)
    return rows.reshape(batch, side * height, side * width, 1)


def grey_or_rgb(values: NDArray[Any], low: float, high: float) -> Uint8:
    """(B, H, W, 1 or 3) -> (B, H, W, 4): low is black, high is full."""
    scale = 255.0 / (high - low) if high > low else 0.0
    levels = np.clip((values - low) * np.float32(scale), 0, 255)
    return _rgbx(levels, values)


def signed(values: NDArray[Any], extent: float) -> Uint8:
    """(B, H, W, 1 or 3) -> (B, H, W, 4): blue below zero, black at zero, amber above.

    Three channels are shown by their mean.
    """
    strength = values.mean(axis=-1, keepdims=True) / np.float32(extent or 1.0)
    strength = np.clip(strength, -1, 1)
    colours = np.where(strength < 0, -strength * NEGATIVE, strength * POSITIVE)
    return _rgbx(colours, values)


def amounts(values: NDArray[Any], extent: float) -> Uint8:
    """(B, H, W, 1) -> (B, H, W, 4): black at zero, amber at `extent`; grey where there is none."""
    known = np.nan_to_num(values, posinf=extent)
    strength = np.clip(known / np.float32(extent or 1.0), 0, 1)
    out = _rgbx(strength * POSITIVE, np.zeros_like(values))
    out[np.isnan(values).any(axis=-1), :3] = NOTHING_YET
    return out


def _rgbx(levels: NDArray[Any], values: NDArray[Any]) -> Uint8:
    out = np.full((*levels.shape[:3], 4), 255, np.uint8)
    broken = ~np.isfinite(values).all(axis=-1)
    if broken.any():
        out[..., :3] = np.rint(np.nan_to_num(levels))
        out[broken, :3] = NOT_A_NUMBER
    else:
        out[..., :3] = np.rint(levels)
    return out
