"""A small text encoder over a fixed vocabulary, trained together with what it serves.

A prompt is a row of numbers (L,): 0 for no word, k for the k-th word of the vocabulary. A first
vector that stands for no word lets a network attend to something where the prompt is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from diffview.models.transformer import Layer
from diffview.models.unet import Context
from diffview.models.words import words as words

LENGTH = 8
"""Words of a prompt that are read; more are left out."""


class Vocabulary:
    """The words a model knows, in the order of their numbers."""

    def __init__(self, known: Sequence[str], device: torch.device | str = "cpu") -> None:
        self._numbers: Mapping[str, int] = {word: k + 1 for k, word in enumerate(known)}
        self._device = torch.device(device)

    def __len__(self) -> int:
        return len(self._numbers)

    def numbers(self, text: str) -> list[int]:
        """The numbers of the known words of `text`, at most LENGTH; unknown ones are left out."""
        found = [self._numbers[word] for word in words(text) if word in self._numbers]
        return found[:LENGTH]

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """(B, LENGTH) int64, rows filled up with 0."""
        return torch.stack([padded(self.numbers(prompt)) for prompt in prompts]).to(self._device)

    def null(self, batch: int) -> Tensor:
        """(B, LENGTH) of prompts without a word."""
        return torch.zeros(batch, LENGTH, dtype=torch.int64, device=self._device)


def padded(numbers: Sequence[int]) -> Tensor:
    """(LENGTH,) int64: the numbers, then 0."""
    return torch.tensor([*numbers, *([0] * (LENGTH - len(numbers)))], dtype=torch.int64)


class PromptEncoder(nn.Module):
    """Words (B, LENGTH) int64 -> Context: one transformer layer over their embeddings."""

    def __init__(self, vocabulary: int, width: int, layers: int = 1) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary + 1, width)
        self.place = nn.Parameter(torch.randn(LENGTH + 1, width) * 0.02)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        nn.init.normal_(self.embed.weight, std=0.5)

    def forward(self, numbers: Tensor) -> Context:
        """(B, LENGTH) -> vectors (B, LENGTH + 1, width), the first one for the whole prompt."""
        first = torch.zeros_like(numbers[:, :1])
        numbers = torch.cat([first, numbers], dim=1)
        mask = numbers > 0
        mask[:, 0] = True
        h = self.embed(numbers) * mask[..., None] + self.place
        for layer in self.layers:
            h = layer(h, mask[:, None, None, :])
        h = self.norm(h)
        return Context(h, mask, h[:, 0])
