"""Family `pixel_unet`: our own U-Net on pixels, with or without classes (`models/unet.py`)."""

from __future__ import annotations

import torch

from diffview.models.catalog import Entry
from diffview.models.families import build, family
from diffview.models.network import NetworkDenoiser, channels_last
from diffview.models.unet import UNet, UNetConfig


@family("pixel_unet")
def load(entry: Entry, device: torch.device) -> NetworkDenoiser:
    """The denoiser; its null label is the one after the last class."""
    network = build(entry, lambda value: UNet(UNetConfig.from_json(value)))
    network = channels_last(network.to(device))
    null = len(entry.card.classes) if entry.card.classes else None
    return NetworkDenoiser(entry.card, network, device, null)
