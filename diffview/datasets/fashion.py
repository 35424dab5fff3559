"""Fashion-MNIST: 70,000 grey photographs of clothes, ten classes.

Xiao, Rasul, Vollgraf (2017), arXiv 1708.07747; MIT licence, (c) Zalando SE.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diffview.datasets import LabelledPictures, picture_set
from diffview.errors import InputError

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
    "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
FASHION_LICENCE = (
    "Fashion-MNIST: MIT, (c) 2017 Zalando SE, https://tech.zalando.com "
    "(the notice: licences/fashion-mnist.txt)"
)
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
_FASHION_FILES = {
    "train": ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    "test": ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
}


def fashion_mnist(
    split: str, folder: Path | None = None, *, ask: str = "--data FOLDER"
) -> LabelledPictures:
    """Fashion-MNIST, `split` "train" (60,000) or "test" (10,000), pictures (N, 1, 28, 28).

    `ask` is how a person gives another folder. Raises InputError, saying how to get the files,
    when they are missing or damaged.
    """
    folder = folder or FASHION_FOLDER
    images, labels = (folder / name for name in _FASHION_FILES[split])
    for path in (images, labels):
        if not path.is_file():
            raise InputError(
                f"{path} is missing: install the Debian package 'dataset-fashion-mnist' "
                "(apt-get install dataset-fashion-mnist), or fetch the four Fashion-MNIST "
                ".gz files from github.com/zalandoresearch/fashion-mnist and give their "
                f"folder with {ask}"
            )
    pictures, marks = _read_idx(images, (28, 28))[:, None], _read_idx(labels, ())
    if len(pictures) != len(marks):
        raise InputError(f"{images} has {len(pictures)} pictures but {labels} {len(marks)} labels")
    if marks.size and marks.max() >= len(FASHION_CLASSES):
        raise InputError(
            f"{labels} has a label {marks.max()}, classes are 0 to {len(FASHION_CLASSES) - 1}"
        )
    return LabelledPictures(pictures, marks.astype(np.int64))


@picture_set(
    "fashion",
    title="Fashion-MNIST",
    count=60_000,
    shape=(1, 28, 28),
    classes=FASHION_CLASSES,
    licence=FASHION_LICENCE,
)
def _training_pictures(folder: Path | None) -> LabelledPictures:
    return fashion_mnist("train", folder, ask="--model exact:fashion:FOLDER")


def _read_idx(path: Path, item: tuple[int, ...]) -> NDArray[np.uint8]:
    """An IDX file of items of shape `item`: magic 0, 0, 8 (uint8), number of axes, sizes, data."""
    try:
        raw = gzip.decompress(path.read_bytes())
        zeros, kind, axes = struct.unpack_from(">HBB", raw)
        shape = struct.unpack_from(f">{axes}I", raw, 4)
        data = np.frombuffer(raw, np.uint8, offset=4 + 4 * axes)
    except (OSError, EOFError, struct.error, zlib.error, ValueError) as error:
        raise InputError(f"{path} is not a whole IDX .gz file ({error}); fetch it again") from None
    if (zeros, kind) != (0, 8) or shape[1:] != item or data.size != math.prod(shape):
        what = "x".join(["N", *map(str, item)])
        raise InputError(f"{path} is not an IDX file of {what} bytes; fetch it again")
    return data.reshape(shape)
