"""The first stage of a two-stage model: the tokenizer it works in, and the words it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffview.errors import InputError

if TYPE_CHECKING:
    import torch

    from diffview.models.catalog import Entry
    from diffview.models.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class FirstStage:
    """tokenizer: a model's id. codebook: the SHA-256 of its codes; any decoder of them will do."""

    words: tuple[str, ...]
    tokenizer: str
    codebook: str

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what a damaged file could say."""
        if not all(isinstance(text, str) for text in (*self.words, self.tokenizer, self.codebook)):
            raise ValueError("words, tokenizer and codebook are not all text")

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back."""
        return {
            "words": list(self.words),
            "tokenizer": self.tokenizer,
            "codebook": self.codebook,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FirstStage:
        """What `to_json` wrote, further entries left aside. Raises KeyError, ValueError."""
        return cls(tuple(value["words"]), value["tokenizer"], value["codebook"])

    def entry(self) -> Entry:
        """Where the tokenizer is. Raises InputError when it is not there."""
        from diffview.models import catalog

        return catalog.find(self.tokenizer)

    def open(self, device: str | torch.device = "cpu") -> Tokenizer:
        """The tokenizer. Raises InputError when it is not there or has other codes."""
        from diffview.models import families

        entry = self.entry()
        tokenizer: Tokenizer = families.load(entry, device)
        if tokenizer.codebook_sha256 != self.codebook:
            raise InputError(
                f"the model was trained on another codebook than that of '{self.tokenizer}' "
                f"({entry.path}): open it beside the tokenizer it was trained with, or train it "
                "again"
            )
        return tokenizer
