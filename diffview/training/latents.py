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
MOVES = ((0, 0), (2, 0), (0, 2), (-2, -2), (2, -2))
"""Variants of a picture: moved down and right by so many pixels; each also mirrored."""
_SIDED = {"left", "right", "clockwise", "counterclockwise"}


def variant_latents(tokenizer: Tokenizer, data: EmojiPictures, device: str) -> Tensor:
    """(P, V, d, h, w): the latents of every variant of P pictures."""
    return torch.stack([_encoded(tokenizer, x) for x in _variants(data, device)], dim=1)


def variant_tokens(tokenizer: Tokenizer, data: EmojiPictures, device: str) -> Tensor:
    """(P, V, h, w) int64: the tokens of every variant of P pictures."""
    latents = variant_latents(tokenizer, data, device)
    return torch.stack([tokenizer.quantise(z).indices for z in latents.unbind(dim=1)], dim=1)


def _variants(data: EmojiPictures, device: str) -> Iterator[Tensor]:
    """V = 2 len(MOVES) times all pictures (P, 3, S, S) in [-1, 1].

    A picture whose words tell left from right is not mirrored: its variants occur twice.
    """
    pictures = scaled(torch.from_numpy(data.pictures).to(device))
    mirrored = torch.tensor([_may_be_mirrored(one) for one in data.emoji], device=device)
    flipped = torch.where(mirrored[:, None, None, None], pictures.flip(3), pictures)
    for source in (pictures, flipped):
        for move in MOVES:
            yield _moved(source, *move)


def _may_be_mirrored(one: Emoji) -> bool:
    return not _SIDED & set(words(" ".join((one.name, *one.keywords))))


def _moved(x: Tensor, down: int, right: int) -> Tensor:
    """White comes in; what leaves the picture is lost."""
    out = torch.full_like(x, 1.0)
    height, width = x.shape[2:]
    to = (slice(max(0, down), height + min(0, down)), slice(max(0, right), width + min(0, right)))
    of = (
        slice(max(0, -down), height - max(0, down)),
        slice(max(0, -right), width - max(0, right)),
    )
    out[:, :, to[0], to[1]] = x[:, :, of[0], of[1]]
    return out


@torch.no_grad()
def _encoded(tokenizer: Tokenizer, x: Tensor) -> Tensor:
    parts = [tokenizer.encode(x[k : k + BATCH]) for k in range(0, len(x), BATCH)]
    return torch.cat(parts).contiguous()


def channel_scale(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation (d,) of latents (P, V, d, h, w), channel by channel."""
    channels = latents.transpose(0, 2).flatten(1)
    return channels.mean(dim=1), channels.std(dim=1)
