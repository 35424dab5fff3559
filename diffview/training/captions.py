"""Captions of emoji for training: a name, or a shuffled handful of its words, or nothing.

Leaving the prompt out at random is what makes guidance possible: Ho & Salimans (2022), arXiv
2207.12598, algorithm 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffview.datasets.emoji import Emoji
from diffview.models.prompts import LENGTH, padded, words

EMPTY = 0.12
"""How often there is no caption at all."""
NAMED = 0.75
"""How often the caption is the name, among those that are not empty."""
DROPPED = 0.1
"""How often a word of a name is left out."""
HANDFUL = 4


def vocabulary(emoji: Sequence[Emoji]) -> tuple[str, ...]:
    """All words of names and keywords, the most frequent first, then by the alphabet."""
    counts = Counter(word for one in emoji for word in set(_all_words(one)))
    return tuple(sorted(counts, key=lambda word: (-counts[word], word)))


def _all_words(one: Emoji) -> tuple[str, ...]:
    return words(" ".join((one.name, *one.keywords)))


@dataclass(frozen=True)
class Captions:
    """What can be said of each picture: the numbers of its name's words, and of all its words."""

    names: tuple[tuple[int, ...], ...]
    everything: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, emoji: Sequence[Emoji], known: Sequence[str]) -> Captions:
        """Captions of `emoji` in the words `known`, numbered from 1."""
        number = {word: k + 1 for k, word in enumerate(known)}

        def numbers(found: Sequence[str]) -> tuple[int, ...]:
            return tuple(dict.fromkeys(number[word] for word in found if word in number))

        return cls(
            tuple(numbers(words(one.name)) for one in emoji),
            tuple(numbers(_all_words(one)) for one in emoji),
        )

    def draw(self, indices: Tensor, generator: torch.Generator) -> Tensor:
        """One caption for each of the pictures `indices` (B,): (B, LENGTH) int64."""
        batch = len(indices)
        chance = torch.rand(batch, 2 + 64, generator=generator, device=generator.device).tolist()
        rows = [self._one(int(k), luck) for k, luck in zip(indices.tolist(), chance, strict=True)]
        return torch.stack([padded(row[:LENGTH]) for row in rows]).to(generator.device)

    def _one(self, k: int, luck: list[float]) -> list[int]:
        kind, share, *each = luck
        if kind < EMPTY:
            return []
        if kind < EMPTY + (1 - EMPTY) * NAMED:
            return [n for n, chance in zip(self.names[k], each, strict=False) if chance > DROPPED]
        shuffled = sorted(zip(each, self.everything[k], strict=False))
        return [n for _, n in shuffled[: 1 + int(share * HANDFUL)]]
