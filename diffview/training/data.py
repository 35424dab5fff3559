"""What training takes from the data sets, and how bytes become numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    "fashion_mnist",
    "scaled",
]


def scaled(pictures: Tensor) -> Tensor:
    """Bytes as float32 in [-1, 1]."""
    return pictures.float() / 127.5 - 1
