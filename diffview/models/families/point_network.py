"""Family `point_network`: our own small network for points (`models/point_network.py`)."""

from __future__ import annotations

import torch

from diffview.models.catalog import Entry
from diffview.models.families import build, check_fit, config, family
from diffview.models.network import NetworkDenoiser
from diffview.models.point_network import PointConfig, PointNetwork


@family("point_network")
def load(entry: Entry, device: torch.device) -> NetworkDenoiser:
    """The denoiser; its null label is the one after the last class."""
    network = build(entry, lambda value: PointNetwork(PointConfig.from_json(value)))
    shape = PointConfig.from_json(config(entry))
    check_fit(entry, (shape.dims,), shape.classes)
    null = shape.classes if shape.classes else None
    return NetworkDenoiser(entry.card, network.to(device), device, null)
