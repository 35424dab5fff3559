"""Where a classifier pulls: grad log p(y | .) as a picture, from what a guided run recorded.

direction = sigma^2 / spread * grad log p, with alpha for spread where the classifier is asked at
x_t, and sigma^2 + alpha^2 where it is asked at x0_hat (engine.guidance).
"""

from __future__ import annotations

import numpy as np

from diffview.engine.trajectory import Float32, StepRecord
from diffview.frames import pixels
from diffview.frames.compose import Tiles

GRADIENT = "gradient"


def gradient(record: StepRecord, *, clean: bool) -> Float32:
    """grad log p (B, *D), per unit of what the classifier was asked at; 0 at the clean end."""
    alpha, sigma = record.level.alpha, record.level.sigma
    if record.direction is None or sigma == 0:
        return np.zeros_like(record.x_t)
    spread = sigma**2 + alpha**2 if clean else alpha
    return np.asarray(record.direction * (spread / sigma**2), np.float32)


def tiles(record: StepRecord, sample: int, *, clean: bool) -> Tiles:
    """One sample's gradient: blue where darker, amber where lighter makes the class likelier; at
    full strength where it is largest."""
    values = gradient(record, clean=clean)[sample : sample + 1]
    shown = np.asarray(pixels.as_pictures(values), np.float32)
    return Tiles(GRADIENT, pixels.signed(shown, float(np.abs(shown).max()) or 1.0), shown)
