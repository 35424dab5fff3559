"""Simple edits of a recorded state, for a branch to go on from (`branching.branch`'s x_t).

New noise keeps what the network expects and draws the rest again: x_t' = alpha x0_hat + sigma z,
the forward process from the estimate (Ho, Jain, Abbeel 2020, arXiv 2006.11239, eq. 4); where only
a part of the picture gets it, the rest of x_t stays, as in inpainting (Lugmayr et al. 2022, arXiv
2201.09865, eq. 8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from diffview.engine.trajectory import Float32, StepRecord
from diffview.errors import InputError
from diffview.models import forward

_ALL = slice(None)
PARTS: Mapping[str, str] = {
    "all": "all of it",
    "left": "the left half",
    "right": "the right half",
    "upper": "the upper half",
    "lower": "the lower half",
    "middle": "the middle",
}
"""Where new noise can be, with its name for people."""


def renoised(record: StepRecord, seeds: Sequence[int], part: str = "all") -> Float32:
    """x_t (B, *D) of the record with new noise in a part of each sample; one seed for each.

    Samples that are no pictures (C, H, W) have no parts. Raises InputError.
    """
    if len(seeds) != len(record.x_t):
        raise InputError(f"{len(seeds)} seeds were given for {len(record.x_t)} samples")
    level, shape = record.level, record.x_t.shape[1:]
    z = np.stack([forward.noise(seed, shape) for seed in seeds])
    fresh = forward.noised(record.x0_hat, z, level)
    where = _mask(part, shape)
    return np.where(where, fresh, record.x_t).astype(np.float32)


def _mask(part: str, shape: Sequence[int]) -> np.ndarray:
    if part not in PARTS:
        raise InputError(f"unknown part '{part}'; known are {', '.join(PARTS)}")
    if part == "all":
        return np.ones(shape, bool)
    if len(shape) != 3:
        raise InputError("these samples are no pictures, so they have no halves: choose all")
    _, height, width = shape
    rows, columns = {
        "left": (_ALL, slice(width // 2)),
        "right": (_ALL, slice(width // 2, None)),
        "upper": (slice(height // 2), _ALL),
        "lower": (slice(height // 2, None), _ALL),
        "middle": (_inner(height), _inner(width)),
    }[part]
    mask = np.zeros(shape, bool)
    mask[:, rows, columns] = True
    return mask


def _inner(size: int) -> slice:
    """The middle half."""
    return slice(size // 4, size - size // 4)
