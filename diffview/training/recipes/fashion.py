"""`fashion`: a class-conditional pixel U-Net on Fashion-MNIST, v-prediction, cosine schedule.

The loss is |v_hat(x_t, t, y) - v|^2 with v = alpha eps - sigma x_0 (Salimans & Ho 2022, arXiv
2202.00512), t stratified over the batch (Kingma et al. 2021, arXiv 2107.00630, app. I.1), and the
class dropped at random so that one network serves both guidance branches (Ho & Salimans 2022,
arXiv 2207.12598, algorithm 1).
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
from diffview.frames.pixels import Uint8
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.network import NetworkDenoiser
from diffview.models.unet import UNet, UNetConfig
from diffview.training.data import (
    FASHION_CLASSES,
    FASHION_LICENCE,
    LabelledPictures,
    by_turns,
    fashion_mnist,
    scaled,
)
from diffview.training.evaluate import Evaluating, evaluate
from diffview.training.loop import TrainSettings
from diffview.training.recipes import recipe
from diffview.training.sheet import class_sheet

SETTINGS = TrainSettings(samples=384_000)
CONFIG = UNetConfig(channels=1, size=28, base=64, blocks=1, classes=len(FASHION_CLASSES))
SCHEDULE = schedules.discrete("cosine")


@dataclass(frozen=True)
class FashionTask:
    """Denoising Fashion-MNIST; see the module for the loss."""

    pictures: Tensor
    labels: Tensor
    label_dropout: float = 0.15
    name: str = "fashion"
    config: UNetConfig = CONFIG

    @classmethod
    def from_folder(cls, folder: Path | None = None, device: str = "cpu") -> FashionTask:
        """The task on the 60,000 training pictures, in memory on `device`."""
        return cls.from_pictures(fashion_mnist("train", folder), device)

    @classmethod
    def from_pictures(
        cls, data: LabelledPictures, device: str = "cpu", config: UNetConfig = CONFIG
    ) -> FashionTask:
        """The task on `data`, in memory on `device`."""
        pictures = torch.from_numpy(data.pictures.copy()).to(device)
        return cls(pictures, torch.from_numpy(data.labels).to(device), config=config)

    def __len__(self) -> int:
        return len(self.pictures)

    def network(self) -> nn.Module:
        """A fresh U-Net."""
        return UNet(self.config)

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of v over the batch `indices` (B,)."""
        x_0 = scaled(self.pictures[indices])
        label, device = self.labels[indices].clone(), x_0.device
        t = stratified_times(len(x_0), SCHEDULE.T, generator)
        eps = torch.randn(x_0.shape, generator=generator, device=device)
        dropped = torch.rand(len(x_0), generator=generator, device=device) < self.label_dropout
        label[dropped] = self.config.classes
        acp = torch.tensor(SCHEDULE.alphas_cumprod, dtype=torch.float32, device=device)[t]
        alpha, sigma = acp.sqrt().view(-1, 1, 1, 1), (1 - acp).sqrt().view(-1, 1, 1, 1)
        x_t, v = alpha * x_0 + sigma * eps, alpha * eps - sigma * x_0
        return F.mse_loss(network(x_t, t, label), v)


def stratified_times(batch: int, T: int, generator: torch.Generator) -> Tensor:
    """(B,) whole times of 0 .. T-1, one in each of B equal strata, so that losses vary less."""
    offsets = torch.rand(batch, generator=generator, device=generator.device)
    strata = torch.arange(batch, device=generator.device)
    return ((strata + offsets) / batch * T).long().clamp(max=T - 1)


@recipe(
    name="fashion",
    title="Fashion-MNIST, class-conditional pixel U-Net",
    needs="Fashion-MNIST (Debian package dataset-fashion-mnist)",
    takes="about 80 minutes on two CPU cores, a few minutes on a GPU",
)
@dataclass(frozen=True)
class Fashion:
    """A U-Net of 3.0 million numbers on patches of 2 x 2 pixels."""

    settings: TrainSettings = SETTINGS
    network: UNetConfig = CONFIG
    folder: Path | None = None

    def task(self, device: str, split: str = "train") -> FashionTask:
        """Fashion-MNIST in memory."""
        return FashionTask.from_pictures(fashion_mnist(split, self.folder), device, self.network)

    def card(self) -> ModelCard:
        """The card, without figures."""
        return ModelCard(
            id="fashion",
            title="Fashion",
            family="pixel_unet",
            data_shape=(self.network.channels, self.network.size, self.network.size),
            prediction="v",
            schedule=SCHEDULE,
            classes=FASHION_CLASSES,
            description="Grey pictures of clothes and shoes, 28 x 28 pixels, of ten classes, made "
            "from noise: a small U-Net trained on the 60,000 photographs of Fashion-MNIST. The "
            "class was left out for 15 % of what it saw, so it can be guided.",
            limits="It knows ten classes and nothing else, in one size and without colour. "
            "Prints, logos and seams are smudges, cloth bears a faint texture of two by two "
            "pixels, sandals often come in pieces, and shirts, coats and pullovers shade into one "
            "another. Strong guidance makes pictures plainer, brighter and more alike; without "
            "guidance some belong to no class.",
            source="diffview train fashion",
            licence="MIT",
            data_licence=FASHION_LICENCE,
            defaults={
                "sampler": "ddim",
                "steps": 50,
                "spacing": "trailing",
                "guidance": 3.0,
                "label": 7,
            },
        )

    def config(self) -> Mapping[str, Any]:
        """The network's shape."""
        return self.network.to_json()

    def shipped(self, network: nn.Module) -> nn.Module:
        """All of it."""
        return network

    def denoiser(self, network: nn.Module, device: str) -> NetworkDenoiser:
        """The model around a network in training; its null label is the one after the last."""
        return NetworkDenoiser(self.card(), network, device, self.network.classes)

    def clean(self, n: int, device: str) -> tuple[Tensor, Tensor]:
        """The first test picture of every class, then the second of every class, and so on."""
        data = fashion_mnist("test", self.folder)
        chosen = torch.from_numpy(by_turns(data.labels)[:n])
        pictures, labels = torch.from_numpy(data.pictures.copy()), torch.from_numpy(data.labels)
        return scaled(pictures[chosen]).to(device), labels[chosen].to(device)

    def sheet(self, network: nn.Module, device: str) -> Uint8:
        """Every class at two guidance scales."""
        return class_sheet(self.denoiser(network, device))

    def evaluate(
        self, path: Path, device: str, n: int
    ) -> Generator[Evaluating, None, dict[str, Any]]:
        """The shipped classifier's accuracy and Fréchet distance at several guidance scales."""
        model = families.load(catalog.entry(path), device)
        judge = catalog.find("fashion-classifier-clean")
        real = scaled(
            torch.from_numpy(fashion_mnist("test", self.folder).pictures.copy()).to(device)
        )
        figures = yield from evaluate(model, families.load(judge, device), real, n=n)
        return {"classifier": judge.card.id, **figures}
