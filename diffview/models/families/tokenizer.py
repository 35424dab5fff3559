"""Family `tokenizer`: pictures to tokens of a codebook and back (`models/tokenizer.py`)."""

from __future__ import annotations

import torch

from diffview.models.catalog import Entry
from diffview.models.families import build, check_fit, config, family
from diffview.models.network import channels_last
from diffview.models.tokenizer import Tokenizer, TokenizerConfig


@family("tokenizer")
def load(entry: Entry, device: torch.device) -> Tokenizer:
    """The tokenizer, on `device`."""
    network = build(entry, lambda value: Tokenizer(TokenizerConfig(**value)))
    shape = TokenizerConfig(**config(entry))
    check_fit(entry, (shape.channels, shape.size, shape.size), 0)
    assert isinstance(network, Tokenizer)
    channels_last(network.to(device))
    return network
