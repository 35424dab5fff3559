"""Training on points of a known distribution: what the recipes of points share.

The loss is |v_hat(x_t, t, y) - v|^2 with v = alpha eps - sigma x_0 (Salimans & Ho 2022, arXiv
2202.00512), t stratified over the batch, the class dropped at random (Ho & Salimans 2022, arXiv
2207.12598, algorithm 1). The schedule is that of the exact models, so both can be compared.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.engine import schedules
from diffview.frames.pixels import Uint8
from diffview.frames.scatter import blank, scatter
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.exact.toys import Toy, toys
from diffview.models.network import NetworkDenoiser
from diffview.models.point_network import PointConfig, PointNetwork
from diffview.models.sampling import records, spec_for
from diffview.training.evaluate import Evaluating
from diffview.training.loop import TrainSettings
from diffview.training.recipes.fashion import stratified_times

SCHEDULE = schedules.discrete("linear")
SETTINGS = TrainSettings(
    samples=768_000, batch=256, learning_rate=3e-3, warmup_steps=100, ema=0.995
)
DRAWN = {"train": 20_000, "test": 10_000}
GROUND, INK = (17, 19, 24), (255, 178, 77)


@dataclass(frozen=True)
class PointsTask:
    """Denoising points x_0 (N, D) of classes (N,); see the module for the loss."""

    points: Tensor
    labels: Tensor
    config: PointConfig
    name: str
    label_dropout: float = 0.15

    def __len__(self) -> int:
        return len(self.points)

    def network(self) -> nn.Module:
        """A fresh network."""
        return PointNetwork(self.config)

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of v over the batch `indices` (B,)."""
        x_0, label = self.points[indices], self.labels[indices].clone()
        t = stratified_times(len(x_0), SCHEDULE.T, generator)
        eps = torch.randn(x_0.shape, generator=generator, device=x_0.device)
        drawn = torch.rand(len(x_0), generator=generator, device=x_0.device)
        label[drawn < self.label_dropout] = self.config.classes
        acp = torch.tensor(SCHEDULE.alphas_cumprod, dtype=torch.float32, device=x_0.device)[t]
        alpha, sigma = acp.sqrt()[:, None], (1 - acp).sqrt()[:, None]
        v = alpha * eps - sigma * x_0
        return F.mse_loss(network(alpha * x_0 + sigma * eps, t, label), v)


@dataclass(frozen=True)
class PointsRecipe:
    """A small network on draws of one of our distributions; subclasses name both."""

    settings: TrainSettings = SETTINGS
    width: int = 128
    folder: Path | None = None
    """Not used: the data are drawn, not read."""

    toy_id: ClassVar[str]
    name: ClassVar[str]

    @property
    def toy(self) -> Toy:
        """The distribution."""
        return toys()[self.toy_id]

    @property
    def network(self) -> PointConfig:
        """The network's shape."""
        data = self.toy.mixture
        return PointConfig(data.dims, len(data.classes), width=self.width, times=SCHEDULE.T)

    def _drawn(self, split: str, device: str) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng([list(DRAWN).index(split), 2024])
        points, labels = self.toy.mixture.sample(DRAWN[split], rng)
        return torch.from_numpy(points).float().to(device), torch.from_numpy(labels).to(device)

    def task(self, device: str, split: str = "train") -> PointsTask:
        """Points drawn once; those of "test" are others."""
        return PointsTask(*self._drawn(split, device), self.network, self.name)

    def card(self) -> ModelCard:
        """The card, without figures."""
        return ModelCard(
            id=self.name,
            title=f"{self.toy.title}, learned",
            family="point_network",
            data_shape=(self.network.dims,),
            prediction="v",
            schedule=SCHEDULE,
            classes=self.toy.mixture.classes,
            description=f"{self.toy.description} A small network learned them from "
            f"{DRAWN['train']:,} draws; the model '{self.toy_id}' says what is exact.",
            limits="It knows one distribution. Where data are rare it guesses, and its points lie "
            "a little beside the curves.",
            source=f"diffview train {self.name}",
            licence="MIT",
            data_licence="drawn from a distribution of ours, MIT",
            defaults={"sampler": "ddim", "steps": 50, "guidance": 1.0},
        )

    def config(self) -> Mapping[str, Any]:
        """The network's shape."""
        return self.network.to_json()

    def shipped(self, network: nn.Module) -> nn.Module:
        """All of it."""
        return network

    def denoiser(self, network: nn.Module, device: str) -> NetworkDenoiser:
        """The model around a network in training."""
        return NetworkDenoiser(self.card(), network, device, self.network.classes or None)

    def clean(self, n: int, device: str) -> tuple[Tensor, Tensor]:
        """The first n points kept from training, and their classes."""
        points, labels = self._drawn("test", device)
        return points[:n], labels[:n]

    def sheet(self, network: nn.Module, device: str) -> Uint8:
        """1,024 samples as dots, classes in turn."""
        points = _sampled(self.denoiser(network, device), 1024)
        return scatter(points, INK, blank(GROUND, 320))[..., :3]

    def evaluate(
        self, path: Path, device: str, n: int
    ) -> Generator[Evaluating, None, dict[str, Any]]:
        """The mean distance of n samples from the nearest data, and of data from samples."""
        model = families.load(catalog.entry(path), device)
        yield Evaluating(0, n, "points")
        samples = torch.from_numpy(_sampled(model, n)).double()
        data = self._drawn("test", "cpu")[0][:n].double()
        yield Evaluating(n, n, "points")
        apart = torch.cdist(samples, data)
        return {
            "samples": n,
            "distance_to_data": round(float(apart.min(dim=1).values.mean()), 4),
            "distance_to_samples": round(float(apart.min(dim=0).values.mean()), 4),
        }


def _sampled(model: NetworkDenoiser, n: int) -> Any:
    classes = len(model.card.classes)
    label = [k % classes for k in range(n)] if classes else None
    guidance = 1.0 if classes else None
    spec = spec_for(model.card, steps=30, label=label, guidance=guidance, seeds=range(n))
    last = None
    for record in records(model, spec):
        last = record.x_t
    return last
