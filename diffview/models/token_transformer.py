"""An autoregressive transformer over a picture's tokens, after the words of a prompt.

p(tokens | words) = prod_i p(token_i | tokens before it, words), tokens in reading order: Ramesh et
al. (2021), arXiv 2102.12092, and Yu et al. (2022), arXiv 2206.10789 (Parti), in small.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffview.models.first_stage import FirstStage
from diffview.models.prompts import LENGTH
from diffview.models.transformer import HEAD, Layer, Memory
from diffview.models.unet import MAX_BLOCKS, MAX_NUMBER, whole_number


@dataclass(frozen=True, slots=True)
class TokenTransformerConfig:
    """The shape of a `TokenTransformer`, its words and its tokenizer; stored with its weights.

    grid: tokens along a side.
    """

    stage: FirstStage
    codes: int
    grid: int = 16
    width: int = 160
    layers: int = 6

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what no network can be built from."""
        for name in ("codes", "grid"):
            whole_number(getattr(self, name), name, 1, MAX_NUMBER)
        whole_number(self.layers, "layers", 1, MAX_BLOCKS)
        whole_number(self.width, "width", HEAD, MAX_NUMBER)
        if self.width % HEAD:
            raise ValueError(f"width = {self.width} is not a multiple of {HEAD}")

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back."""
        value = asdict(self)
        del value["stage"]
        return {**value, **self.stage.to_json()}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> TokenTransformerConfig:
        """The configuration that `to_json` wrote."""
        stage = FirstStage.from_json(value)
        own = {key: item for key, item in value.items() if key not in stage.to_json()}
        return cls(stage, **own)


class TokenTransformer(nn.Module):
    """Logits of the next token after the words and the tokens so far."""

    def __init__(self, config: TokenTransformerConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.words = nn.Embedding(len(config.stage.words) + 1, width)
        self.word_places = nn.Parameter(torch.randn(LENGTH + 1, width) * 0.02)
        self.tokens = nn.Embedding(config.codes, width)
        self.rows = nn.Parameter(torch.randn(config.grid, width) * 0.02)
        self.columns = nn.Parameter(torch.randn(config.grid, width) * 0.02)
        self.layers = nn.ModuleList(Layer(width) for _ in range(config.layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, config.codes)
        for embedding in (self.words, self.tokens):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens: Tensor, numbers: Tensor) -> Tensor:
        """tokens (B, T) int64, T < grid^2, words (B, LENGTH) -> logits (B, T + 1, codes).

        The k-th row of logits is of token k, given those before it.
        """
        h, mask = self._prompt(numbers)
        if tokens.shape[1]:
            h = torch.cat([h, self._embedded(tokens, 0)], dim=1)
        length = h.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=h.device).tril()
        seen = torch.cat([mask, mask.new_ones(len(mask), tokens.shape[1])], dim=1)
        allowed = causal & seen[:, None, None, :]
        for layer in self.layers:
            h = layer(h, allowed)
        return self._logits(h[:, LENGTH:])

    def begin(self, numbers: Tensor) -> tuple[Reading, Tensor]:
        """A reading of the prompts (B, LENGTH), and the logits (B, codes) of the first token."""
        h, mask = self._prompt(numbers)
        length = h.shape[1]
        causal = torch.ones(length, length, dtype=torch.bool, device=h.device).tril()
        reading = Reading(mask, [Memory() for _ in self.layers])
        return reading, self._continued(h, causal & mask[:, None, None, :], reading)

    def follow(self, reading: Reading, token: Tensor) -> Tensor:
        """Read one more token (B,); the logits (B, codes) of the one after it."""
        h = self._embedded(token[:, None], reading.count)
        reading.count += 1
        seen = torch.cat([reading.mask, reading.mask.new_ones(len(token), reading.count)], dim=1)
        return self._continued(h, seen[:, None, None, :], reading)

    def _continued(self, h: Tensor, allowed: Tensor, reading: Reading) -> Tensor:
        for layer, memory in zip(self.layers, reading.memories, strict=True):
            h = layer(h, allowed, memory)
        return self._logits(h[:, -1])

    def _prompt(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """The words and then a mark that tokens follow: (B, LENGTH + 1, width), and which are."""
        start = torch.zeros_like(numbers[:, :1])
        h = self.words(torch.cat([numbers, start], dim=1)) + self.word_places
        return h, torch.cat([numbers > 0, start == 0], dim=1)

    def _embedded(self, tokens: Tensor, first: int) -> Tensor:
        places = torch.arange(first, first + tokens.shape[1], device=tokens.device)
        row, column = places // self.config.grid, places % self.config.grid
        out: Tensor = self.tokens(tokens) + self.rows[row] + self.columns[column]
        return out

    def _logits(self, h: Tensor) -> Tensor:
        out: Tensor = self.head(self.norm(h))
        return out


class Reading:
    """What a transformer remembers of the prompts (mask (B, LENGTH + 1)) and `count` tokens."""

    def __init__(self, mask: Tensor, memories: list[Memory]) -> None:
        self.mask, self.memories, self.count = mask, memories, 0
