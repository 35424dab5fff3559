"""Family `pixel_cnn`: masked convolutions that write grey levels (`models/pixel_cnn.py`)."""

from __future__ import annotations

import torch

from diffview.errors import InputError
from diffview.models.catalog import Entry
from diffview.models.families import build, check_fit, config, family
from diffview.models.pixel_cnn import PixelCnn, PixelCnnConfig
from diffview.models.writer import ByLevels, TokenWriter


@family("pixel_cnn")
def load(entry: Entry, device: torch.device) -> TokenWriter:
    """The writer; its null label is the one after the last class."""
    network = build(entry, lambda value: PixelCnn(PixelCnnConfig(**value)))
    assert isinstance(network, PixelCnn)
    shape = PixelCnnConfig(**config(entry))
    check_fit(entry, (1, shape.size, shape.size), shape.classes)
    if entry.card.codes != shape.levels:
        raise InputError(
            f"the model's card tells of {entry.card.codes} grey levels, its network has "
            f"{shape.levels}"
        )

    def null(batch: int) -> torch.Tensor:
        return torch.full((batch,), shape.classes, dtype=torch.int64, device=device)

    return TokenWriter(entry.card, network.to(device), device, ByLevels(shape.levels), null)
