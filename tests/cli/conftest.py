"""A tiny class-conditional model in a file: real weights, real card, milliseconds to run."""

import json

import pytest
import torch

from diffview.engine import schedules
from diffview.models.card import ModelCard
from diffview.models.unet import UNet, UNetConfig
from diffview.tensorfile import write_numpy

CLASSES = ("Shirt", "Sneaker", "Bag")


def write_model(path, *, seed=0, classes=CLASSES, **facts):
    """A model file of random weights."""
    torch.manual_seed(seed)
    config = UNetConfig(
        channels=1, size=8, base=8, multipliers=(1,), blocks=1, attention=(), classes=len(classes)
    )
    network = UNet(config)
    # Fresh residual blocks and the last layer are zero: a network that answers nothing at all.
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    card = ModelCard(
        id="tiny",
        title="Tiny",
        data_shape=(1, 8, 8),
        schedule=schedules.named("cosine"),
        classes=classes,
        licence="MIT",
        **{"family": "pixel_unet", "prediction": "v"} | facts,
    )
    metadata = {
        "diffview.card": json.dumps(card.to_json()),
        "diffview.config": json.dumps(config.to_json()),
    }
    write_numpy(path, {k: v.numpy() for k, v in network.state_dict().items()}, metadata)
    return path


@pytest.fixture(autouse=True)
def one_thread():
    """Threads only wait for each other on networks this small, worst where others work too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def model_file():
    """Writes a model file: (path, seed=, classes=, and facts for its card) -> path."""
    return write_model


@pytest.fixture
def tiny(tmp_path):
    """The path of a model with three classes, as a word for --model."""
    return str(write_model(tmp_path / "tiny.safetensors"))
