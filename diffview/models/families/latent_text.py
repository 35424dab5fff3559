"""Family `latent_text`: our own text-to-image latent diffusion (`models/latent_text.py`)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from diffview.errors import InputError
from diffview.models.catalog import Entry
from diffview.models.families import build, check_fit, config, family
from diffview.models.latent_text import LatentText, LatentTextConfig
from diffview.models.network import NetworkDenoiser, channels_last
from diffview.models.prompts import LENGTH, Vocabulary
from diffview.models.tokenizer import Tokenizer


@dataclass(frozen=True)
class QuantisingDecoder:
    """Snaps latents to codes and decodes them, as the model's pictures are meant to be seen; and
    the way there."""

    network: LatentText
    tokenizer: Tokenizer
    sha256: str

    def __call__(self, latents: Tensor) -> Tensor:
        """Pictures (B, 3, S, S), mostly within -1 .. 1, of standardised latents (B, d, h, w)."""
        return self.tokenizer.decode(self.tokenizer.quantise(self.network.restored(latents)).z_q)

    def encode(self, pictures: Tensor) -> Tensor:
        """Standardised latents (B, d, h, w) of pictures (B, 3, S, S), not snapped to codes."""
        return self.network.standardised(self.tokenizer.encode(pictures))


@family("latent_text")
def load(entry: Entry, device: torch.device) -> NetworkDenoiser:
    """The denoiser, with the text encoder in it and the tokenizer that decodes its latents."""
    network = build(entry, lambda value: LatentText(LatentTextConfig.from_json(value)))
    assert isinstance(network, LatentText)
    shape = LatentTextConfig.from_json(config(entry))
    unet = shape.network.unet
    check_fit(entry, (unet.channels, unet.size, unet.size), 0)
    if entry.card.vocabulary != shape.stage.words or entry.card.text_tokens != LENGTH:
        raise InputError("the model's card tells of other words than its network knows")
    tokenizer = shape.stage.open(device)
    stage = tokenizer.config
    pictures = (stage.channels, stage.size, stage.size)
    if stage.latent_shape != entry.card.data_shape or entry.card.picture_shape != pictures:
        raise InputError("the model's card tells of other pictures than its tokenizer decodes")
    channels_last(network.to(device))
    decoder = QuantisingDecoder(network, tokenizer, _hash(entry, shape.stage.entry()))
    text = Vocabulary(shape.stage.words, device)
    return NetworkDenoiser(entry.card, network, device, text=text, decoder=decoder)


def _hash(entry: Entry, tokenizer: Entry) -> str:
    """Of all that decodes: the latents' scale is among the model's own weights."""
    both = entry.card.weights_sha256 + tokenizer.card.weights_sha256
    return hashlib.sha256(both.encode()).hexdigest()
