"""A model that writes a picture token by token, around a network of `begin` and `follow`.

See `engine.next_token.PredictsNext`. Its samples are token numbers; `decode` makes pictures of
them, also of those that are not finished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from diffview.engine.schedules import Schedule
from diffview.errors import DiffviewError, InputError
from diffview.models.card import ModelCard
from diffview.models.network import TextEncoder
from diffview.models.tokenizer import Tokenizer

BLANK = 0.0
"""What is shown where no token is yet: middle grey of -1 .. 1."""


class Network(Protocol):
    """What is asked of the network; see `PredictsNext`."""

    def begin(self, condition: Tensor) -> tuple[Any, Tensor]:
        """The reading of a condition, and the logits of the first token."""

    def follow(self, reading: Any, token: Tensor) -> Tensor:
        """The logits of the token after this one."""


class Show(Protocol):
    """From tokens to pictures; `sha256` tells this way from any other."""

    @property
    def sha256(self) -> str:
        """A hash of its weights, or the name of what has none."""

    def __call__(self, tokens: Tensor) -> Tensor:
        """tokens (B, 1, h, w) int64, below 0 where none is yet -> pictures (B, *P), there any."""


class TokenWriter:
    """The network with its condition and its pictures; `null` makes the condition of "none"."""

    def __init__(
        self,
        card: ModelCard,
        network: Network,
        device: torch.device | str,
        show: Show,
        null: Callable[[int], Tensor],
        text: TextEncoder | None = None,
    ) -> None:
        self.card, self.device, self.network = card, torch.device(device), network
        self._show, self._null, self._text = show, null, text

    @property
    def schedule(self) -> Schedule:
        """The card's; nothing is asked of it, since nothing is noised."""
        return self.card.schedule

    @property
    def data_shape(self) -> tuple[int, ...]:
        """(1, rows, columns) of tokens."""
        return self.card.data_shape

    @property
    def codes(self) -> int:
        """How many tokens there are to choose from."""
        return self.card.codes

    @torch.no_grad()
    def begin(self, condition: Tensor) -> tuple[Any, Tensor]:
        """See `PredictsNext`."""
        return self.network.begin(condition)

    @torch.no_grad()
    def follow(self, reading: Any, token: Tensor) -> Tensor:
        """See `PredictsNext`."""
        return self.network.follow(reading, token)

    def null_condition(self, batch: int) -> Tensor | None:
        """The null label, or no prompt, `batch` times."""
        return self._null(batch)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str]) -> Tensor:
        """See `engine.denoiser.TakesText`. Raises InputError where no prompts are taken."""
        if self._text is None:
            raise InputError(f"model '{self.card.id}' takes no prompt")
        return self._text(prompts)

    @property
    def decoder_sha256(self) -> str:
        """See `engine.denoiser.Decodes`."""
        return self._show.sha256

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Pictures (B, *P) within -1 .. 1 of token numbers (B, *D), BLANK where none is yet.

        One by one: a picture does not depend on its batch. Raises DiffviewError for numbers that
        no token has.
        """
        tokens = latents.round().long()
        if int(tokens.max()) >= self.codes:
            raise DiffviewError(f"token {int(tokens.max())} is none of 0 to {self.codes - 1}")
        return torch.cat([self._decoded(one[None]) for one in tokens])

    def _decoded(self, tokens: Tensor) -> Tensor:
        pictures = self._show(tokens).clamp(-1, 1)
        high, wide = (pictures.shape[k] // tokens.shape[k] for k in (-2, -1))
        missing = (tokens < 0).repeat_interleave(high, -2).repeat_interleave(wide, -1)
        return pictures.masked_fill(missing, BLANK)


class ByLevels:
    """Grey levels 0 .. levels - 1 are the picture itself, black to white."""

    def __init__(self, levels: int) -> None:
        self._levels, self.sha256 = levels, f"levels-{levels}"

    def __call__(self, tokens: Tensor) -> Tensor:
        """See `Show`."""
        return tokens.float() / (self._levels - 1) * 2 - 1


class ByTokenizer:
    """Codes through a tokenizer's decoder; where none is yet it is given the codes' mean."""

    def __init__(self, tokenizer: Tokenizer, sha256: str) -> None:
        self._tokenizer, self.sha256 = tokenizer, sha256
        self._mean = tokenizer.codebook.mean(dim=0)

    def __call__(self, tokens: Tensor) -> Tensor:
        """See `Show`."""
        missing = tokens < 0
        codes = self._tokenizer.codes_at(tokens[:, 0].clamp(min=0))
        return self._tokenizer.decode(torch.where(missing, self._mean[:, None, None], codes))
