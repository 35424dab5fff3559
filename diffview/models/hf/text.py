"""Prompts to the tensors that networks take: CLIP's and T5's text models, a row each.

A network may want several tensors for a prompt (states, their pool, a mask). The engine knows one
condition (B, ...), so they are laid side by side: `Packed` says where each lies.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffview.errors import InputError
from diffview.models.hf import build
from diffview.models.hf.build import Place
from diffview.models.hf.folder import Folder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Packed:
    """Shapes of the tensors of one prompt, without the batch."""

    shapes: tuple[tuple[int, ...], ...]

    def pack(self, *tensors: Tensor) -> Tensor:
        """(B, *shape) each -> (B, n) float32."""
        return torch.cat([tensor.flatten(1).float() for tensor in tensors], dim=1)

    def unpack(self, rows: Tensor) -> tuple[Tensor, ...]:
        """(B, n) -> the tensors."""
        sizes = [math.prod(shape) for shape in self.shapes]
        parts = torch.split(rows, sizes, dim=1)
        return tuple(
            part.reshape(len(rows), *shape) for part, shape in zip(parts, self.shapes, strict=True)
        )


class Encoder:
    """A `models.network.TextEncoder`: `encode` makes (B, n) rows of a list of prompts.

    `empty` makes the row of no prompt at all where that is not the encoding of "". Prompts once
    encoded are kept, as a run after a run often has the same.
    """

    KEPT = 16

    def __init__(
        self, encode: Callable[[list[str]], Tensor], empty: Callable[[], Tensor] | None = None
    ) -> None:
        self._encode, self._empty = encode, empty
        self._known: dict[str, Tensor] = {}
        self._null: Tensor | None = None

    def __call__(self, prompts: Sequence[str]) -> Tensor:
        """(B, n); each prompt alone, so that its row does not depend on the others."""
        return torch.cat([self._row(prompt) for prompt in prompts])

    def null(self, batch: int) -> Tensor | None:
        """(B, n) of no prompt."""
        if self._null is None:
            self._null = self._row("") if self._empty is None else self._empty()
        return self._null.expand(batch, *self._null.shape[1:])

    @torch.no_grad()
    def _row(self, prompt: str) -> Tensor:
        if prompt not in self._known:
            while len(self._known) >= self.KEPT:
                del self._known[next(iter(self._known))]
            self._known[prompt] = self._encode([prompt])
        return self._known[prompt]


class TextModel:
    """One tokenizer and its network."""

    def __init__(self, folder: Folder, suffix: str, classes: Sequence[str], place: Place) -> None:
        part = folder.part(f"text_encoder{suffix}", *classes)
        self.tokenizer = build.tokenizer(folder.part(f"tokenizer{suffix}"))
        self.network: nn.Module = build.build(part, place)
        self.device = place.device
        if len(self.tokenizer) > self.width("vocab_size"):
            raise InputError(
                f"{part.path} knows {self.width('vocab_size')} words, its tokenizer "
                f"{len(self.tokenizer)}: they do not belong together"
            )

    def width(self, name: str) -> int:
        """One of the sizes in the network's configuration."""
        config: Any = self.network.config
        return int(getattr(config, name))

    def tokens(self, prompts: list[str], length: int) -> Any:
        """input_ids and attention_mask (B, length), padded and cut; what is cut is logged."""
        found = self.tokenizer(
            prompts, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        for prompt, ids in zip(prompts, found.input_ids, strict=True):
            whole = self.tokenizer(prompt).input_ids
            if len(whole) > length:
                log.warning(
                    "the prompt has %d tokens, the model reads %d: cut after '%s'",
                    len(whole), length, self.tokenizer.decode(ids[-6:], skip_special_tokens=True),
                )  # fmt: skip
        return found.to(self.device)


def clip_length(tokenizer: Any) -> int:
    """How many tokens CLIP's tokenizer fills up to."""
    return int(min(tokenizer.model_max_length, 77))
