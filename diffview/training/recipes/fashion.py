"""`fashion`: a class-conditional pixel U-Net on Fashion-MNIST, v-prediction, cosine schedule.

The loss is |v_hat(x_t, t, y) - v|^2 with v = alpha eps - sigma x_0 (Salimans & Ho 2022, arXiv
2202.00512), t stratified over the batch (Kingma et al. 2021, arXiv 2107.00630, app. I.1), and the
class dropped at random so that one network serves both guidance branches (Ho & Salimans 2022,
arXiv 2207.12598, algorithm 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.engine import schedules
from diffview.models.unet import UNet, UNetConfig
from diffview.training.data import FASHION_CLASSES, LabelledPictures, fashion_mnist
from diffview.training.loop import TrainSettings

SETTINGS = TrainSettings(samples=384_000)
CONFIG = UNetConfig(channels=1, size=28, base=64, blocks=1, classes=len(FASHION_CLASSES))
SCHEDULE = schedules.named("cosine")


@dataclass(frozen=True)
class FashionTask:
    """Denoising Fashion-MNIST; see the module for the loss."""

    pictures: Tensor
    labels: Tensor
    label_dropout: float = 0.15
    name: str = "fashion"

    @classmethod
    def from_folder(cls, folder: Path | None = None, device: str = "cpu") -> FashionTask:
        """The task on the 60,000 training pictures, in memory on `device`."""
        return cls.from_pictures(fashion_mnist("train", folder), device)

    @classmethod
    def from_pictures(cls, data: LabelledPictures, device: str = "cpu") -> FashionTask:
        """The task on `data`, scaled to [-1, 1]."""
        pictures = torch.from_numpy(data.pictures.copy()).to(device)
        return cls(pictures, torch.from_numpy(data.labels).to(device))

    def __len__(self) -> int:
        return len(self.pictures)

    def network(self) -> nn.Module:
        """A fresh U-Net."""
        return UNet(CONFIG)

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of v over the batch `indices` (B,)."""
        x_0 = self.pictures[indices].float() / 127.5 - 1
        label, device = self.labels[indices].clone(), x_0.device
        t = stratified_times(len(x_0), SCHEDULE.T, generator)
        eps = torch.randn(x_0.shape, generator=generator, device=device)
        dropped = torch.rand(len(x_0), generator=generator, device=device) < self.label_dropout
        label[dropped] = CONFIG.classes
        acp = torch.tensor(SCHEDULE.alphas_cumprod, dtype=torch.float32, device=device)[t]
        alpha, sigma = acp.sqrt().view(-1, 1, 1, 1), (1 - acp).sqrt().view(-1, 1, 1, 1)
        x_t, v = alpha * x_0 + sigma * eps, alpha * eps - sigma * x_0
        return F.mse_loss(network(x_t, t, label), v)


def stratified_times(batch: int, T: int, generator: torch.Generator) -> Tensor:
    """(B,) whole times of 0 .. T-1, one in each of B equal strata, so that losses vary less."""
    offsets = torch.rand(batch, generator=generator, device=generator.device)
    strata = torch.arange(batch, device=generator.device)
    return ((strata + offsets) / batch * T).long().clamp(max=T - 1)
