"""What training takes from the data sets, and how bytes become numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffview.datasets import LabelledPictures
from diffview.datasets.fashion import (
    FASHION_CLASSES,
    FASHION_FOLDER,
    FASHION_LICENCE,
    fashion_mnist,
)

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "FASHION_CLASSES",
    "FASHION_FOLDER",
    "FASHION_LICENCE",
    "LabelledPictures",
    "by_turns",
    "fashion_mnist",
    "scaled",
]


def scaled(pictures: Tensor) -> Tensor:
    """Bytes as float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1


def by_turns(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices (N,) of all labels (N,): the first of every class, the second of every class, ..."""
    turn = np.zeros(len(labels), np.int64)
    for label in np.unique(labels):
        turn[labels == label] = np.arange(int((labels == label).sum()))
    return np.lexsort((labels, turn))
