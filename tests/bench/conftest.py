"""Tiny models in files: real weights, real cards, milliseconds to run."""

import json

import pytest
import torch

from diffview.engine import schedules
from diffview.models.card import ModelCard
from diffview.models.unet import UNet, UNetConfig
from diffview.tensorfile import write_numpy


def write_model(path, classes):
    torch.manual_seed(0)
    config = UNetConfig(
        channels=1, size=8, base=8, multipliers=(1,), blocks=1, attention=(), classes=len(classes)
    )
    network = UNet(config)
    for parameter in network.parameters():  # fresh blocks are zero: a network that does nothing
        torch.nn.init.normal_(parameter, std=0.1)
    card = ModelCard(
        id="tiny",
        title="Tiny",
        family="pixel_unet",
        data_shape=(1, 8, 8),
        schedule=schedules.named("cosine"),
        prediction="v",
        classes=classes,
        licence="MIT",
    )
    facts = {
        "diffview.card": json.dumps(card.to_json()),
        "diffview.config": json.dumps(config.to_json()),
    }
    write_numpy(path, {k: v.numpy() for k, v in network.state_dict().items()}, facts)
    return str(path)


@pytest.fixture
def tiny(tmp_path):
    """The path of a model with three classes."""
    return write_model(tmp_path / "tiny.safetensors", ("Shirt", "Sneaker", "Bag"))


@pytest.fixture
def unguided(tmp_path):
    """The path of a model that takes no condition."""
    return write_model(tmp_path / "unguided.safetensors", ())


@pytest.fixture(autouse=True)
def threads_as_before():
    """The engine's benchmark takes torch's threads; other tests want them back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
