"""`emoji-ar`: an autoregressive transformer over the tokens of the emoji tokenizer, with words.

Cross entropy of every token given those before it and a caption (Ramesh et al. 2021, arXiv
2102.12092, section 2.2); captions are drawn as training/captions.py says.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.datasets.emoji import EMOJI_LICENCE
from diffview.engine import schedules
from diffview.frames.pixels import Uint8
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.first_stage import FirstStage
from diffview.models.prompts import LENGTH, Vocabulary
from diffview.models.token_transformer import TokenTransformer, TokenTransformerConfig
from diffview.models.tokenizer import Tokenizer
from diffview.training.captions import Captions
from diffview.training.evaluate import Evaluating
from diffview.training.everyday import one_round
from diffview.training.latents import variant_tokens
from diffview.training.loop import TrainSettings
from diffview.training.prompts import (
    JUDGED_SCALES_OF_TOKENS,
    PROMPTS,
    TEMPERATURE,
    TOP_K,
    judged,
    shown,
    token_sheet,
    written,
)
from diffview.training.recipes import recipe
from diffview.training.recipes.emoji_text import TOKENIZER, chosen, stage_of

DRAWN = {"temperature": TEMPERATURE, "top_k": TOP_K}
SETTINGS = TrainSettings(samples=100_000, batch=16, weight_decay=0.05)


@dataclass(frozen=True)
class TokenTask:
    """Predicting tokens (P, V, h, w), V variants of each of P pictures with captions.

    order (N,): the pictures of one round, common ones several times.
    """

    tokens: Tensor
    captions: Captions
    config: TokenTransformerConfig
    order: Tensor
    name: str = "emoji-ar"

    def __len__(self) -> int:
        return len(self.order)

    def network(self) -> nn.Module:
        """A fresh transformer."""
        return TokenTransformer(self.config)

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Mean cross entropy, in nats a token, of the batch `indices` (B,)."""
        indices = self.order[indices]
        batch, device = len(indices), indices.device
        which = torch.randint(self.tokens.shape[1], (batch,), generator=generator, device=device)
        tokens = self.tokens[indices, which].flatten(1)
        numbers = self.captions.draw(indices, generator)
        logits = network(tokens[:, :-1], numbers)
        return F.cross_entropy(logits.flatten(0, 1), tokens.flatten())


@recipe(
    name="emoji-ar",
    title="Autoregressive transformer over emoji tokens",
    needs="three npm packages of emoji pictures and their names (the command says which)",
    takes="about 2 hours on one CPU core",
)
@dataclass(frozen=True)
class EmojiAr:
    """Six layers of width 160, 2.7 million numbers."""

    settings: TrainSettings = SETTINGS
    folder: Path | None = None

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The frozen first stage."""
        tokenizer: Tokenizer = families.load(catalog.find(TOKENIZER))
        return tokenizer

    @cached_property
    def stage(self) -> FirstStage:
        """The words of the pictures trained on, and the tokenizer that will show what is made."""
        return stage_of(self.folder, self.tokenizer)

    @property
    def network(self) -> TokenTransformerConfig:
        """The network's shape."""
        shape = self.tokenizer.config
        return TokenTransformerConfig(self.stage, shape.codes, shape.grid)

    def task(self, device: str, split: str = "train") -> TokenTask:
        """Tokens in memory."""
        data = chosen(self.folder, split)
        tokens = variant_tokens(self.tokenizer.to(device), data, device)
        captions = Captions.of(data.emoji, self.stage.words)
        order = one_round(data.emoji).to(device)
        return TokenTask(tokens, captions, self.network, order)

    def card(self) -> ModelCard:
        """The card, without figures. Its samples are tokens: numbers of codes."""
        shape = self.tokenizer.config
        return ModelCard(
            id="emoji-ar",
            title="Emoji (tokens)",
            family="token_text",
            data_shape=(1, shape.grid, shape.grid),
            value_range=(0.0, float(shape.codes - 1)),
            prediction="next",
            schedule=schedules.named("cosine"),
            description="Pictures of 64 x 64 pixels from words, written token by token in reading "
            "order: a transformer over the 256 tokens of the emoji tokenizer, trained on 3-D "
            "emoji and their names. The words were left out for 12 % of what it saw, so it can be "
            "guided.",
            limits="It knows the words of some 1,200 emoji and no others. It cannot take back "
            "what it has written: at a temperature of 1, or under strong guidance, one unlikely "
            "token spoils all that follows. With few pictures to learn from it repeats them more "
            "than it invents.",
            source="diffview train emoji-ar",
            licence="MIT",
            data_licence=EMOJI_LICENCE,
            defaults={"guidance": 1.5, "prompt": "red apple", "options": DRAWN},
            latent=True,
            text_tokens=LENGTH,
            vocabulary=self.stage.words,
            picture_shape=(shape.channels, shape.size, shape.size),
        )

    def config(self) -> Mapping[str, Any]:
        """The network's shape, the vocabulary, and whose tokens these are."""
        return self.network.to_json()

    def shipped(self, network: nn.Module) -> nn.Module:
        """All of it."""
        return network

    def sheet(self, network: nn.Module, device: str) -> Uint8:
        """Prompts at two guidance scales."""
        assert isinstance(network, TokenTransformer)
        return token_sheet(network, self.tokenizer)

    def evaluate(
        self, path: Path, device: str, n: int
    ) -> Generator[Evaluating, None, dict[str, Any]]:
        """In how many pictures a classifier sees the thing that the prompt names.

        All are drawn at the temperature and the top k that the card recommends.
        """
        network: TokenTransformer = families.load(catalog.entry(path), device).network
        vocabulary = Vocabulary(self.stage.words, device)

        def pictures(prompts: Sequence[str], seed: int, scale: float) -> Tensor:
            tokens = written(network, vocabulary(prompts), seed, scale)
            return shown(self.tokenizer, self.tokenizer.codes_at(tokens))

        seeds = n // len(PROMPTS)
        figures = yield from judged(pictures, device, seeds, JUDGED_SCALES_OF_TOKENS)
        return {**figures, **DRAWN}
