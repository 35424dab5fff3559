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
from diffview.models.hf.folder import Folder, Part

log = logging.getLogger(__name__)

OLD_END = 2
"""What configurations of CLIP said until 2023 whatever the end of a prompt was; not read."""
FULL = 0.9
"""Fewer words of those that an encoder knows are another tokenizer's; T5's leave some 30 free."""


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
        self.tokenizer = words(part, folder.part(f"tokenizer{suffix}"))
        self.network: nn.Module = build.build(part, place)
        self.device = place.device

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


def words(encoder: Part, part: Part) -> Any:
    """The tokenizer `part`, held against what its encoder's configuration says of its words.

    Raises InputError where it has words that the encoder does not know.
    """
    tokenizer, known = build.tokenizer(part), encoder.config.get("vocab_size")
    last = max(tokenizer.get_vocab().values(), default=-1)
    if known is not None and last >= known:
        raise InputError(
            f"{encoder.path}/config.json: vocab_size = {known}, but the words of {part.path} go "
            f"up to number {last}: they do not belong together, fetch both again"
        )
    if known is not None and last + 1 < FULL * known:
        log.warning("%s has %d words, %s knows %d: it may not be its own",
                    part.path, last + 1, encoder.path, known)  # fmt: skip
    end = encoder.config.get("eos_token_id")
    if encoder.cls.startswith("CLIP") and end not in (None, OLD_END, tokenizer.eos_token_id):
        log.warning(
            "%s/config.json: eos_token_id = %s, but the end of a prompt is %s in %s",
            encoder.path, end, tokenizer.eos_token_id, part.path,
        )  # fmt: skip
    return tokenizer


def clip_length(tokenizer: Any) -> int:
    """How many tokens CLIP's tokenizer fills up to."""
    return int(min(tokenizer.model_max_length, 77))
