"""`fashion-classifier-noisy`: names the class of x_t, Fashion-MNIST noised to any t.

The network of `fashion-classifier-clean`, told t: cross entropy over x_t = alpha x_0 + sigma eps,
t stratified over the batch. Its gradient in x_t is what classifier guidance needs (Dhariwal &
Nichol 2021, arXiv 2105.05233, section 4.1); a classifier of clean pictures has no such gradient.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.datasets.fashion import FASHION_LICENCE, fashion_mnist
from diffview.models import catalog, families
from diffview.models.card import ModelCard
from diffview.models.classifier import ClassifierConfig
from diffview.training.augment import shifted
from diffview.training.data import scaled
from diffview.training.evaluate import Evaluating
from diffview.training.loop import TrainSettings
from diffview.training.recipes import fashion_classifier_clean as clean
from diffview.training.recipes import recipe
from diffview.training.recipes.fashion import SCHEDULE, stratified_times

SETTINGS = TrainSettings(samples=480_000, batch=64, learning_rate=2e-3)
CONFIG = replace(clean.CONFIG, timed=True)
JUDGED_TIMES = (0, 200, 400, 600, 800)


@dataclass(frozen=True)
class NoisyClassifierTask(clean.ClassifierTask):
    """Classifying Fashion-MNIST at every t; see the module for the loss."""

    config: ClassifierConfig = CONFIG
    name: str = "fashion-classifier-noisy"

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """Mean cross entropy, in nats, of the batch `indices` (B,), each at a time of its own."""
        x_0 = shifted(scaled(self.pictures[indices]), self.shift, generator)
        t = stratified_times(len(x_0), SCHEDULE.T, generator)
        return F.cross_entropy(network(noised(x_0, t, generator), t), self.labels[indices])


def noised(x_0: Tensor, t: Tensor, generator: torch.Generator) -> Tensor:
    """x_t (B, C, S, S) at the whole times t (B,)."""
    eps = torch.randn(x_0.shape, generator=generator, device=x_0.device)
    acp = torch.tensor(SCHEDULE.alphas_cumprod, dtype=torch.float32, device=x_0.device)[t]
    return acp.sqrt().view(-1, 1, 1, 1) * x_0 + (1 - acp).sqrt().view(-1, 1, 1, 1) * eps


@recipe(
    name="fashion-classifier-noisy",
    title="Classifier of Fashion-MNIST, at every noise level",
    needs="Fashion-MNIST (Debian package dataset-fashion-mnist)",
    takes="about 15 minutes on two CPU cores",
    quick_to_judge=True,
)
@dataclass(frozen=True)
class FashionClassifierNoisy(clean.FashionClassifierClean):
    """The clean classifier's network and a time input, 150,000 numbers."""

    settings: TrainSettings = SETTINGS
    network: ClassifierConfig = CONFIG

    def task(self, device: str, split: str = "train") -> NoisyClassifierTask:
        """Fashion-MNIST in memory."""
        data = fashion_mnist(split, self.folder)
        pictures = torch.from_numpy(data.pictures.copy()).to(device)
        labels = torch.from_numpy(data.labels).to(device)
        return NoisyClassifierTask(pictures, labels, self.network)

    def card(self) -> ModelCard:
        """The card; the schedule is the one whose x_t it was trained on."""
        return replace(
            super().card(),
            id="fashion-classifier-noisy",
            title="Fashion classifier (noisy)",
            schedule=SCHEDULE,
            description="Names the class of a Fashion-MNIST picture under any amount of noise; it "
            "is told t. Made for classifier guidance of the model 'fashion', whose schedule it "
            "has seen.",
            limits="The more noise, the less it can know: near pure noise its answer is close to "
            "a guess, and its gradient small. On clean pictures it is a little worse than the "
            "classifier that saw nothing else. It knows ten classes, and one schedule.",
            source="diffview train fashion-classifier-noisy",
            data_licence=FASHION_LICENCE,
        )

    def evaluate(
        self, path: Path, device: str, n: int
    ) -> Generator[Evaluating, None, dict[str, Any]]:
        """Accuracy on the whole test set at several times, from one draw of noise."""
        test = fashion_mnist("test", self.folder)
        network = families.load(catalog.entry(path), device)
        x_0 = scaled(torch.from_numpy(test.pictures.copy()).to(device))
        found: dict[str, float] = {}
        for k, time in enumerate(JUDGED_TIMES):
            yield Evaluating(k, len(JUDGED_TIMES), "noise levels")
            found[f"t = {time}"] = round(_accuracy(network, x_0, test.labels, time), 4)
        yield Evaluating(len(JUDGED_TIMES), len(JUDGED_TIMES), "noise levels")
        return {"test accuracy": found, "test pictures": len(test)}


@torch.no_grad()
def _accuracy(network: nn.Module, x_0: Tensor, labels: Any, time: int) -> float:
    generator, right = torch.Generator(x_0.device).manual_seed(time), 0
    wanted = torch.from_numpy(labels).to(x_0.device)
    for first in range(0, len(x_0), 500):
        part = x_0[first : first + 500]
        t = torch.full((len(part),), time, device=x_0.device)
        answer = network(noised(part, t, generator), t).argmax(1)
        right += int((answer == wanted[first : first + 500]).sum())
    return right / len(x_0)
