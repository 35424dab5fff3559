"""Pictures as a tokenizer's latents, encoded once before training, in several variants each."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from diffview.datasets.emoji import Emoji, EmojiPictures
from diffview.models.prompts import words
from diffview.models.tokenizer import Tokenizer
from diffview.training.data import scaled

BATCH = 32
_SIDED = {"left", "right", "clockwise", "counterclockwise"}


def variant_latents(tokenizer: Tokenizer, data: EmojiPictures, device: str) -> Tensor:
    """(P, V, d, h, w): the latents of every variant of P pictures."""
    return torch.stack([_encoded(tokenizer, x) for x in _variants(data, device)], dim=1)


def variant_tokens(tokenizer: Tokenizer, data: EmojiPictures, device: str) -> Tensor:
    """(P, V, h, w) int64: the tokens of every variant of P pictures."""
    latents = variant_latents(tokenizer, data, device)
    return torch.stack([tokenizer.quantise(z).indices for z in latents.unbind(dim=1)], dim=1)


def _variants(data: EmojiPictures, device: str) -> Iterator[Tensor]:
    """All pictures (P, 3, S, S) in [-1, 1], and all of them mirrored.

    A picture whose words tell left from right is not mirrored: it occurs twice. None is moved:
    moves by less than a latent's cell are other latents, which a small network tells apart slowly.
    """
    pictures = scaled(torch.from_numpy(data.pictures).to(device))
    mirrored = torch.tensor([_may_be_mirrored(one) for one in data.emoji], device=device)
    yield pictures
    yield torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures)


def _may_be_mirrored(one: Emoji) -> bool:
    return not _SIDED & set(words(" ".join((one.name, *one.keywords))))


@torch.no_grad()
def _encoded(tokenizer: Tokenizer, x: Tensor) -> Tensor:
    parts = [tokenizer.encode(x[k : k + BATCH]) for k in range(0, len(x), BATCH)]
    return torch.cat(parts).contiguous()


def channel_scale(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (d,) of latents (P, V, d, h, w), channel by channel."""
    channels = latents.transpose(0, 2).flatten(1)
    return channels.mean(dim=1), channels.std(dim=1)
