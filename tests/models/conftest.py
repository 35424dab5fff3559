"""What the models' tests share: a tiny model file, whole or with one thing wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import settings
from safetensors.torch import save_file

from diffview import tensorfile
from diffview.engine import schedules
from diffview.models.card import ModelCard
from diffview.models.unet import UNet, UNetConfig

torch.set_num_threads(1)
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

CONFIG = UNetConfig(channels=1, size=8, base=8, blocks=1, attention=(), classes=3)


def tiny_card(**changes):
    facts = {
        "id": "tiny",
        "title": "Tiny",
        "family": "pixel_unet",
        "data_shape": (1, 8, 8),
        "prediction": "v",
        "schedule": schedules.named("cosine"),
        "classes": ("Trouser", "Sandal", "Sneaker"),
    }
    return ModelCard(**{**facts, **changes})


@pytest.fixture(scope="session")
def make_card():
    return tiny_card


@pytest.fixture
def model_file(tmp_path):
    """Write the tiny model, with parts replaced, and give its path."""

    def write(*, card=None, config=None, tensors=None, metadata=None):
        torch.manual_seed(0)
        weights = {k: v.half() for k, v in UNet(CONFIG).state_dict().items()}
        if tensors is not None:
            tensors(weights)
        told = {
            "diffview.card": json.dumps((card or tiny_card()).to_json()),
            "diffview.config": json.dumps(config or CONFIG.to_json()),
        }
        path = tmp_path / "tiny.safetensors"
        save_file({k: v.contiguous() for k, v in weights.items()}, path, told | (metadata or {}))
        return path

    return write


@pytest.fixture
def rewritten_header(model_file):
    """The tiny model with its header's JSON changed and nothing else checked."""

    def write(change):
        path = model_file()
        header = dict(tensorfile.read_header(path).metadata)
        arrays = tensorfile.read_numpy(path)
        tensorfile.write_numpy(path, {k: np.asarray(v) for k, v in arrays.items()}, change(header))
        return path

    return write
