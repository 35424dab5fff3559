"""`emoji-vqgan`: the decoder of `emoji-vq`, trained on against a patch discriminator.

Esser et al. (2021), arXiv 2012.09841, section 3.1: a hinge loss on patches, its weight such that
its gradient at the last layer is as large as the reconstruction's (eq. 7). In place of a network
trained on photographs, the discriminator's own features are compared (Larsen et al. 2016, arXiv
1512.09300, section 3.1). Encoder and codebook stay those of emoji-vq: the same tokens, seen
through a decoder that must look real and not only be right on average.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from diffview.datasets.emoji import emoji_pictures
from diffview.frames.pixels import Uint8
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.tokenizer import Tokenizer, TokenizerConfig
from diffview.models.unet import norm
from diffview.training.data import scaled
from diffview.training.evaluate import Evaluating
from diffview.training.loop import TrainSettings
from diffview.training.recipes import recipe
from diffview.training.recipes.emoji_vq import EmojiVq, varied
from diffview.training.reconstruction import judged, pairs_sheet

SETTINGS = TrainSettings(
    samples=40_000, batch=16, learning_rate=3e-4, betas=(0.5, 0.99), weight_decay=0.0
)
START = "emoji-vq"
ADVERSARIAL = 0.5
"""Of the weight at which both gradients are alike."""
FEATURES = 0.1
BEGIN = 150
"""Steps in which only the discriminator learns from the other: a blind one misleads."""


class Discriminator(nn.Module):
    """Patches of 22 x 22 pixels, real (above 0) or not."""

    def __init__(self, channels: int, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)),
                _layer(width, 2 * width),
                _layer(2 * width, 4 * width),
            ]
        )
        self.leave = nn.Conv2d(4 * width, 1, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(B, C, S, S) -> logits (B, 1, S/8, S/8), and every layer's features."""
        features = []
        for layer in self.layers:
            x = layer(x)
            features.append(x)
        return self.leave(x), features


def _layer(width_in: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width_in, width_out, 4, 2, 1), norm(width_out), nn.LeakyReLU(0.2)
    )


class Contest(nn.Module):
    """A tokenizer whose decoder learns, the discriminator it learns from, and steps done."""

    tokenizer: Tokenizer
    steps: Tensor

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer.requires_grad_(False)
        tokenizer.decoder.requires_grad_(True)
        self.discriminator = Discriminator(tokenizer.config.channels)
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))


@dataclass(frozen=True)
class ContestTask:
    """Reconstructing emoji so that a discriminator takes them for real."""

    pictures: Tensor
    start: Tokenizer
    name: str = "emoji-vqgan"

    def __len__(self) -> int:
        return len(self.pictures)

    def network(self) -> nn.Module:
        """The given tokenizer's copy, and a fresh discriminator."""
        tokenizer = Tokenizer(self.start.config)
        tokenizer.load_state_dict(self.start.state_dict())
        return Contest(tokenizer)

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Both players' losses: neither's gradient reaches the other's weights."""
        assert isinstance(network, Contest)
        x = varied(scaled(self.pictures[indices]), generator)
        with torch.no_grad():
            z_q = network.tokenizer.quantise(network.tokenizer.encode(x)).z_q
        x_hat = network.tokenizer.decode(z_q)
        rebuilt = F.l1_loss(x_hat, x) + F.mse_loss(x_hat, x)
        if not torch.is_grad_enabled():
            return rebuilt
        network.steps += 1
        logits, features = network.discriminator(x)
        seen_through, _ = network.discriminator(x_hat.detach())
        judged_loss = F.relu(1 - logits).mean() + F.relu(1 + seen_through).mean()
        if int(network.steps) <= BEGIN:
            return rebuilt + judged_loss
        return judged_loss + _decoder_loss(network, x_hat, rebuilt, features)


def _decoder_loss(
    network: Contest, x_hat: Tensor, rebuilt: Tensor, features: list[Tensor]
) -> Tensor:
    fixed = {name: value.detach() for name, value in network.discriminator.named_parameters()}
    logits, own = functional_call(network.discriminator, fixed, x_hat)
    pairs = zip(own, features, strict=True)
    alike = sum((F.l1_loss(one, other.detach()) for one, other in pairs), x_hat.new_zeros(()))
    rebuilt = rebuilt + FEATURES * alike
    fooled = -logits.mean()
    last = network.tokenizer.last_weight
    weight = _size(rebuilt, last) / (_size(fooled, last) + 1e-4)
    loss: Tensor = rebuilt + ADVERSARIAL * weight.clamp(max=1e4) * fooled
    return loss


def _size(loss: Tensor, weights: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(loss, weights, retain_graph=True)
    size: Tensor = gradient.norm().detach()
    return size


@recipe(
    name="emoji-vqgan",
    title="Emoji tokenizer, VQ-GAN",
    needs="three npm packages of emoji pictures and their names (the command says which), and "
    "the models emoji-vq and emoji-classifier",
    takes="about 40 minutes on two CPU cores",
    quick_to_judge=True,
)
@dataclass(frozen=True)
class EmojiVqGan:
    """The tokenizer of emoji-vq with another decoder."""

    settings: TrainSettings = SETTINGS
    folder: Path | None = None

    @cached_property
    def start(self) -> Tokenizer:
        """The tokenizer whose decoder is trained on."""
        tokenizer: Tokenizer = families.load(catalog.find(START))
        return tokenizer

    @property
    def network(self) -> TokenizerConfig:
        """The network's shape."""
        return self.start.config

    def task(self, device: str, split: str = "train") -> ContestTask:
        """Emoji of both styles in memory."""
        pictures = emoji_pictures(self.folder).split(split).pictures
        return ContestTask(torch.from_numpy(pictures).to(device), self.start)

    def shipped(self, network: nn.Module) -> nn.Module:
        """The tokenizer without the discriminator."""
        assert isinstance(network, Contest)
        return network.tokenizer

    def card(self) -> ModelCard:
        """The card, without figures."""
        return replace(
            EmojiVq(folder=self.folder).card(),
            id="emoji-vqgan",
            title="Emoji tokenizer (VQ-GAN)",
            description="Turns a picture of 64 x 64 pixels into 16 x 16 tokens, each one of 1,024 "
            "codes, and back. Encoder and codebook are those of emoji-vq; the decoder was trained "
            "on against a discriminator of patches, so that what it makes looks sharp.",
            limits="Sharp is not true: where the tokens do not tell, it invents what looks real, "
            "so its pictures are further from the original, pixel by pixel, than those of "
            "emoji-vq. It knows bright shapes on white.",
            source="diffview train emoji-vqgan",
        )

    def config(self) -> Mapping[str, Any]:
        """The network's shape."""
        return self.network.to_json()

    def sheet(self, network: nn.Module, device: str) -> Uint8:
        """Pictures kept from training, each above its reconstruction."""
        assert isinstance(network, Contest)
        return pairs_sheet(network.tokenizer, emoji_pictures(self.folder).split("test"), device)

    def evaluate(
        self, path: Path, device: str, n: int
    ) -> Generator[Evaluating, None, dict[str, Any]]:
        """The figures of emoji-vq, for this decoder."""
        tokenizer = families.load(catalog.entry(path), device)
        return (yield from judged(tokenizer, emoji_pictures(self.folder), device))
