"""Family `pixel_unet`: our own U-Net on pixels, with or without classes (`models/unet.py`)."""

from __future__ import annotations

import torch

from diffview.models.catalog import Entry
from diffview.models.families import build, check_fit, config, family
from diffview.models.network import NetworkDenoiser, channels_last
from diffview.models.unet import UNet, UNetConfig


@family("pixel_unet")
def load(entry: Entry, device: torch.device) -> NetworkDenoiser:
    """The denoiser; its null label is the one after the last class."""
    network = build(entry, lambda value: UNet(UNetConfig.from_json(value)))
    shape = UNetConfig.from_json(config(entry))
    check_fit(entry, (shape.channels, shape.size, shape.size), shape.classes)
    network = channels_last(network.to(device))
    null = len(entry.card.classes) if entry.card.classes else None
    return NetworkDenoiser(entry.card, network, device, null)
