"""`emoji-classifier`: names the emoji in a picture; it judges what the emoji models make.

Cross entropy over the names, each known from a 3-D and a flat picture that are moved, mirrored
and noised a little, so that it does not mind the marks that a tokenizer leaves.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.datasets.emoji import EMOJI_LICENCE, SIZE, Emoji, EmojiPictures, emoji_pictures
from diffview.engine import schedules
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.classifier import Classifier, ClassifierConfig
from diffview.training.augment import flipped, shifted
from diffview.training.data import scaled
from diffview.training.evaluate import Evaluating
from diffview.training.loop import TrainSettings
from diffview.training.recipes import recipe

SETTINGS = TrainSettings(samples=200_000, batch=32, learning_rate=2e-3)
TOP = 5
SHIFT = 4
NOISE = 0.15
"""The greatest deviation of the noise on a picture, values in [-1, 1]."""


@dataclass(frozen=True)
class NamesTask:
    """Naming emoji; see the module for the loss."""

    pictures: Tensor
    labels: Tensor
    config: ClassifierConfig
    name: str = "emoji-classifier"

    def __len__(self) -> int:
        return len(self.pictures)

    def network(self) -> nn.Module:
        """A fresh classifier."""
        return Classifier(self.config)

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Mean cross entropy, in nats, of the batch `indices` (B,)."""
        x = shifted(scaled(self.pictures[indices]), SHIFT, generator, empty=1.0)
        x = flipped(x, generator)
        noise = torch.randn(x.shape, generator=generator, device=x.device)
        share = torch.rand(len(x), 1, 1, 1, generator=generator, device=x.device)
        return F.cross_entropy(network(x + NOISE * share * noise), self.labels[indices])


def named(folder: Path | None) -> EmojiPictures:
    """The pictures of both styles whose name is judged: no gendered copies, no signs."""
    data = emoji_pictures(folder)
    return data.where(torch.tensor([one.plain for one in data.emoji]).numpy())


@recipe(
    name="emoji-classifier",
    title="Classifier of emoji",
    needs="three npm packages of emoji pictures and their names (the command says which)",
    takes="about 40 minutes on two CPU cores",
    quick_to_judge=True,
)
@dataclass(frozen=True)
class EmojiClassifier:
    """Five convolutions and a linear layer over some 1,200 names."""

    settings: TrainSettings = SETTINGS
    folder: Path | None = None

    @cached_property
    def emoji(self) -> tuple[Emoji, ...]:
        """The emoji it names, each once."""
        return tuple(dict.fromkeys(named(self.folder).emoji))

    @property
    def network(self) -> ClassifierConfig:
        """The network's shape."""
        return ClassifierConfig(channels=3, classes=len(self.emoji))

    def task(self, device: str, split: str = "train") -> NamesTask:
        """All pictures in memory: a name has but one or two, so none can be kept from training.

        For "test" it is asked about the same pictures, moved, mirrored and noised otherwise.
        """
        data = named(self.folder)
        number = {one: k for k, one in enumerate(self.emoji)}
        labels = torch.tensor([number[one] for one in data.emoji], device=device)
        return NamesTask(torch.from_numpy(data.pictures).to(device), labels, self.network)

    def card(self) -> ModelCard:
        """The card, without figures."""
        return ModelCard(
            id="emoji-classifier",
            title="Emoji classifier",
            family="classifier",
            data_shape=(3, SIZE, SIZE),
            prediction="class",
            schedule=schedules.named("cosine"),
            classes=tuple(one.name for one in self.emoji),
            description="Names the emoji in a picture of 64 x 64 pixels. It judges what the emoji "
            "models make: whether the thing that was asked for is among its first five names.",
            limits="It has one or two pictures of each name, all of which it was trained on, and "
            "always names one of them, whatever it is shown. What looks alike (clocks, hearts, "
            "faces) it confuses.",
            source="diffview train emoji-classifier",
            licence="MIT",
            data_licence=EMOJI_LICENCE,
        )

    def config(self) -> Mapping[str, Any]:
        """The network's shape."""
        return self.network.to_json()

    def shipped(self, network: nn.Module) -> nn.Module:
        """All of it."""
        return network

    def sheet(self, network: nn.Module, device: str) -> None:
        """A classifier makes no pictures."""
        return None

    def evaluate(
        self, path: Path, device: str, n: int
    ) -> Generator[Evaluating, None, dict[str, Any]]:
        """How often the right name is its first, and among its first five, at noise 0.15."""
        task, network = self.task(device), families.load(catalog.entry(path), device)
        first, among = 0, 0
        for start in range(0, len(task), 100):
            yield Evaluating(start, len(task), "noisy pictures")
            found = _ranks(network, task, start)
            first, among = first + int((found == 0).sum()), among + int((found < TOP).sum())
        return {
            "pictures": len(task),
            f"noise {NOISE:g}, first name right": round(first / len(task), 4),
            f"noise {NOISE:g}, among first {TOP}": round(among / len(task), 4),
        }


@torch.no_grad()
def _ranks(network: nn.Module, task: NamesTask, start: int) -> Tensor:
    """How many names stand before the right one, for the pictures start .. start + 99."""
    x, wanted = scaled(task.pictures[start : start + 100]), task.labels[start : start + 100]
    generator = torch.Generator(x.device).manual_seed(start)
    noise = torch.randn(x.shape, generator=generator, device=x.device)
    logits = network(x + NOISE * noise)
    ranks: Tensor = (logits > logits.gather(1, wanted[:, None])).sum(dim=1)
    return ranks
