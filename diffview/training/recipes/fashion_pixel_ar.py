"""`fashion-pixel-ar`: Fashion-MNIST written pixel by pixel, in 32 grey levels.

Cross entropy of every pixel given those before it and the class (van den Oord, Kalchbrenner,
Kavukcuoglu 2016, arXiv 1601.06759, eq. 1), the class dropped at random as for `fashion`.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.datasets.fashion import FASHION_CLASSES, FASHION_LICENCE, fashion_mnist
from diffview.engine import schedules
from diffview.engine.tokens import drawn, probabilities
from diffview.frames.pixels import Uint8
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.pixel_cnn import PixelCnn, PixelCnnConfig
from diffview.training.evaluate import Evaluating
from diffview.training.loop import TrainSettings
from diffview.training.prompts import tiled
from diffview.training.recipes import recipe

SETTINGS = TrainSettings(samples=240_000, batch=32, ema=0.998)
CONFIG = PixelCnnConfig(size=28, classes=len(FASHION_CLASSES))


@dataclass(frozen=True)
class PixelTask:
    """Predicting the pixels (N, 28, 28) of Fashion-MNIST, each one of `levels` grey levels."""

    pixels: Tensor
    labels: Tensor
    config: PixelCnnConfig = CONFIG
    label_dropout: float = 0.15
    name: str = "fashion-pixel-ar"

    def __len__(self) -> int:
        return len(self.pixels)

    def network(self) -> nn.Module:
        """A fresh network."""
        return PixelCnn(self.config)

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Mean cross entropy, in nats a pixel, of the batch `indices` (B,)."""
        pixels, label = self.pixels[indices], self.labels[indices].clone()
        dropped = torch.rand(len(label), generator=generator, device=label.device)
        label[dropped < self.label_dropout] = self.config.classes
        return F.cross_entropy(network(pixels, label), pixels)


def levelled(pictures: Tensor, levels: int) -> Tensor:
    """Bytes as int64 grey levels 0 .. levels - 1, each standing for equally many bytes."""
    return pictures.long() * levels // 256


@recipe(
    name="fashion-pixel-ar",
    title="Fashion-MNIST, pixel by pixel",
    needs="Fashion-MNIST (Debian package dataset-fashion-mnist)",
    takes="about 60 minutes on one CPU core",
    quick_to_judge=True,
)
@dataclass(frozen=True)
class FashionPixelAr:
    """Masked convolutions, 240,000 numbers."""

    settings: TrainSettings = SETTINGS
    network: PixelCnnConfig = CONFIG
    folder: Path | None = None

    def task(self, device: str, split: str = "train") -> PixelTask:
        """Fashion-MNIST in memory."""
        data = fashion_mnist(split, self.folder)
        pictures = torch.from_numpy(data.pictures[:, 0].copy()).to(device)
        labels = torch.from_numpy(data.labels).to(device)
        return PixelTask(levelled(pictures, self.network.levels), labels, self.network)

    def card(self) -> ModelCard:
        """The card, without figures. Its samples are tokens: grey levels."""
        size, levels = self.network.size, self.network.levels
        return ModelCard(
            id="fashion-pixel-ar",
            title="Fashion (pixel by pixel)",
            family="pixel_cnn",
            data_shape=(1, size, size),
            value_range=(0.0, float(levels - 1)),
            prediction="next",
            schedule=schedules.named("cosine"),
            classes=FASHION_CLASSES,
            description="Grey pictures of clothes and shoes, 28 x 28 pixels in 32 grey levels, "
            "written pixel by pixel in reading order: each one is drawn from what the network "
            "expects after those before it. The class was left out for 15 % of what it saw, so it "
            "can be guided.",
            limits="784 evaluations for one picture. It sees a pixel's surroundings better than "
            "the whole: sleeves may not match, outlines wander. It cannot take back a pixel.",
            source="diffview train fashion-pixel-ar",
            licence="MIT",
            data_licence=FASHION_LICENCE,
            defaults={"guidance": 1.0, "label": 7},
        )

    def config(self) -> Mapping[str, Any]:
        """The network's shape."""
        return self.network.to_json()

    def shipped(self, network: nn.Module) -> nn.Module:
        """All of it."""
        return network

    def sheet(self, network: nn.Module, device: str) -> Uint8:
        """Two pictures of every class."""
        assert isinstance(network, PixelCnn)
        labels = torch.arange(self.network.classes, device=device)
        rows = [painted(network, labels, seed) for seed in range(2)]
        top = self.network.levels - 1
        return tiled([(row[:, None] / top * 2 - 1).expand(-1, 3, -1, -1).cpu() for row in rows])

    def evaluate(
        self, path: Path, device: str, n: int
    ) -> Generator[Evaluating, None, dict[str, Any]]:
        """Bits per pixel of the test pictures, in the model's grey levels, with their class."""
        task, total = self.task(device, "test"), 0.0
        network: nn.Module = families.load(catalog.entry(path), device).network
        for start in range(0, len(task), 100):
            yield Evaluating(start, len(task), "test pictures")
            total += _nats(network, task, start)
        size = task.pixels[0].numel()
        return {
            "test pictures": len(task),
            "grey levels": self.network.levels,
            "bits per pixel": round(total / len(task) / size / math.log(2), 4),
        }


@torch.no_grad()
def _nats(network: nn.Module, task: PixelTask, start: int) -> float:
    """The summed cross entropy of the pictures start .. start + 99."""
    pixels, labels = task.pixels[start : start + 100], task.labels[start : start + 100]
    return float(F.cross_entropy(network(pixels, labels), pixels, reduction="sum"))


@torch.no_grad()
def painted(network: PixelCnn, labels: Tensor, seed: int) -> Tensor:
    """Grey levels (B, S, S), drawn one after the other."""
    size, batch = network.config.size, len(labels)
    pixels = torch.zeros(batch, size, size, dtype=torch.int64, device=labels.device)
    generator = torch.Generator().manual_seed(seed)
    for row in range(size):
        for column in range(size):
            # What lies below is not seen, so it need not be computed.
            logits = network(pixels[:, : row + 1], labels)[:, :, row, column]
            u = torch.rand(batch, generator=generator).to(pixels.device)
            pixels[:, row, column] = drawn(probabilities(logits), u)
    return pixels
