"""`fashion-classifier-clean`: names the class of a clean Fashion-MNIST picture.

Cross entropy; pictures are shifted by up to a pixel, so that the classifier does not mind where
a generated picture sits. It judges what `fashion` makes (training/evaluate.py).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.engine import schedules
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.classifier import Classifier, ClassifierConfig
from diffview.training.augment import shifted
from diffview.training.data import (
    FASHION_CLASSES,
    FASHION_LICENCE,
    LabelledPictures,
    fashion_mnist,
    scaled,
)
from diffview.training.evaluate import Evaluating, accuracy
from diffview.training.loop import TrainSettings
from diffview.training.recipes import recipe

SETTINGS = TrainSettings(samples=480_000, batch=48, learning_rate=2e-3)
CONFIG = ClassifierConfig(channels=1, classes=len(FASHION_CLASSES))


@dataclass(frozen=True)
class ClassifierTask:
    """Classifying Fashion-MNIST; see the module for the loss."""

    pictures: Tensor
    labels: Tensor
    config: ClassifierConfig = CONFIG
    shift: int = 1
    name: str = "fashion-classifier-clean"

    @classmethod
    def from_pictures(cls, data: LabelledPictures, device: str, **given: Any) -> ClassifierTask:
        """The task on `data`, in memory on `device`."""
        pictures = torch.from_numpy(data.pictures.copy()).to(device)
        return cls(pictures, torch.from_numpy(data.labels).to(device), **given)

    def __len__(self) -> int:
        return len(self.pictures)

    def network(self) -> nn.Module:
        """A fresh classifier."""
        return Classifier(self.config)

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Mean cross entropy, in nats, of the batch `indices` (B,)."""
        x_0 = shifted(scaled(self.pictures[indices]), self.shift, generator)
        return F.cross_entropy(network(x_0), self.labels[indices])


@recipe(
    name="fashion-classifier-clean",
    title="Classifier of Fashion-MNIST, clean pictures",
    needs="Fashion-MNIST (Debian package dataset-fashion-mnist)",
    takes="about 10 minutes on two CPU cores",
    quick_to_judge=True,
)
@dataclass(frozen=True)
class FashionClassifierClean:
    """Five convolutions and a linear layer, 131,000 numbers."""

    settings: TrainSettings = SETTINGS
    network: ClassifierConfig = CONFIG
    folder: Path | None = None

    def task(self, device: str, split: str = "train") -> ClassifierTask:
        """Fashion-MNIST in memory."""
        data = fashion_mnist(split, self.folder)
        return ClassifierTask.from_pictures(data, device, config=self.network)

    def card(self) -> ModelCard:
        """The card. A classifier of clean pictures has no schedule of its own: it bears the one of
        the model whose pictures it judges, so that it can be asked about its x_t too."""
        return ModelCard(
            id="fashion-classifier-clean",
            title="Fashion classifier (clean)",
            family="classifier",
            data_shape=(self.network.channels, 28, 28),
            prediction="class",
            schedule=schedules.named("cosine"),
            classes=FASHION_CLASSES,
            description="Names the class of a Fashion-MNIST picture: five convolutions, the mean "
            "over the map, one linear layer. It judges what the model 'fashion' makes, and its "
            "features are what the Fréchet distance compares.",
            limits="It has seen clean pictures only: on noisy x_t its answers and gradients mean "
            "little. It confuses shirts, T-shirts, pullovers and coats, as people do. It always "
            "names one of its ten classes, whatever it is shown.",
            source="diffview train fashion-classifier-clean",
            licence="MIT",
            data_licence=FASHION_LICENCE,
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
        """Accuracy on the whole test set."""
        test = fashion_mnist("test", self.folder)
        yield Evaluating(0, len(test), "test pictures")
        network = families.load(catalog.entry(path), device)
        pictures = scaled(torch.from_numpy(test.pictures.copy()).to(device))
        found = accuracy(network, pictures, torch.from_numpy(test.labels))
        yield Evaluating(len(test), len(test), "test pictures")
        return {"test accuracy": round(found, 4), "test pictures": len(test)}
