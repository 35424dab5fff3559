"""Small Fashion-MNIST files, and recipes that train on them in seconds."""

import gzip
import struct
from dataclasses import replace

import numpy as np
import pytest

from diffview.models.unet import UNetConfig
from diffview.training.loop import TrainSettings
from diffview.training.recipes.fashion import Fashion
from diffview.training.recipes.fashion_classifier_clean import FashionClassifierClean


@pytest.fixture(scope="session")
def tiny_fashion(tmp_path_factory):
    """A folder with Fashion-MNIST files of 96 and 64 pictures: class k is a bar in row 2 k + 4."""
    folder = tmp_path_factory.mktemp("fashion")
    rng = np.random.default_rng(0)
    for name, count in (("train", 96), ("t10k", 64)):
        labels = np.arange(count, dtype=np.uint8) % 10
        pictures = rng.integers(0, 40, (count, 28, 28), dtype=np.uint8)
        pictures[np.arange(count), 2 * labels + 4] = 255
        _write_idx(folder / f"{name}-images-idx3-ubyte.gz", pictures)
        _write_idx(folder / f"{name}-labels-idx1-ubyte.gz", labels)
    return folder


def _write_idx(path, array):
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))


@pytest.fixture(scope="session")
def tiny_recipe(tiny_fashion):
    """`fashion` with a network of some 30,000 numbers and 30 steps."""
    network = UNetConfig(
        channels=1, size=28, base=16, multipliers=(1,), blocks=1, attention=(), patch=4, classes=10
    )
    settings = TrainSettings(samples=480, batch=16, warmup_steps=5)
    return Fashion(settings, network, tiny_fashion)


@pytest.fixture(scope="session")
def tiny_classifier(tiny_fashion):
    """`fashion-classifier-clean` for 30 steps."""
    recipe = FashionClassifierClean()
    settings = TrainSettings(samples=480, batch=16, warmup_steps=5)
    return replace(
        recipe, settings=settings, network=replace(recipe.network, width=16), folder=tiny_fashion
    )
