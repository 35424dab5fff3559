"""The forward process as tiles: a picture, its noised state, and what a model makes of it."""

from __future__ import annotations

import numpy as np

from diffview.engine.trajectory import Float32, StepRecord
from diffview.frames import compose, pixels
from diffview.frames.compose import Tiles
from diffview.frames.lens import Lens

PICTURE = "x0"
ERROR = "error"
"""x_0 and x0_hat - x_0: quantities that are only there where the clean picture is known."""


def state(name: str, values: Float32) -> Tiles:
    """One picture (*P), PICTURE or what a state looks like, its range from black to white."""
    shown = np.asarray(pixels.as_pictures(values[None]), np.float32)
    return Tiles(name, pixels.grey_or_rgb(shown, -1.0, 1.0), shown)


def estimate(record: StepRecord, x_0: Float32, shown: str, lens: Lens | None = None) -> Tiles:
    """What is shown of a record of one sample: a quantity of frames.quantities, or ERROR.

    The error of latents is theirs, as large as the lens's pictures.
    """
    if shown != ERROR:
        return compose.tiles(record, shown, "clamp", lens)
    values = np.asarray(pixels.as_pictures(record.x0_hat - x_0), np.float32)
    if lens is not None:
        values = compose.enlarged(values, lens.shape)
    return Tiles(ERROR, pixels.signed(values, 1.0), values)
