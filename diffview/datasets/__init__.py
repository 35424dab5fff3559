"""Sets of pictures, one file each, read from files that are already on the machine.

A set that registers a loader with `@picture_set` can be denoised exactly under the id
`exact:NAME` (`models/exact/pictures.py`); nothing else has to be changed for it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class LabelledPictures:
    """pictures (N, C, H, W) uint8 and labels (N,) int64, -1 for a picture without label."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pictures)


Load = Callable[[Path | None], LabelledPictures]
"""From the folder of a set's files, None for the usual one. Raises InputError saying how to get
them when they are missing."""


@dataclass(frozen=True, slots=True)
class PictureSet:
    """What is known of a set before it is read; shape is one picture's (C, H, W)."""

    name: str
    title: str
    count: int
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    licence: str
    load: Load


_REGISTRY: dict[str, PictureSet] = {}


def picture_set(
    name: str,
    *,
    title: str,
    count: int,
    shape: tuple[int, int, int],
    classes: tuple[str, ...] = (),
    licence: str = "",
) -> Callable[[Load], Load]:
    """Register the decorated loader as the set called `name`."""

    def register(load: Load) -> Load:
        _REGISTRY[name] = PictureSet(name, title, count, shape, classes, licence, load)
        return load

    return register


@cache
def picture_sets() -> dict[str, PictureSet]:
    """The known sets by name; none of them is read."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))
