"""How good are generated pictures? Accuracy of a classifier on them, and a Fréchet distance.

Accuracy: how often a classifier trained on real pictures sees the class that was asked for.
Fréchet distance of two sets of classifier features, each taken for a Gaussian (Dowson & Landau
1982; with Inception's features Heusel et al. 2017, arXiv 1706.08500, eq. 6):

    d^2 = |mu_1 - mu_2|^2 + tr(S_1 + S_2 - 2 (S_1 S_2)^(1/2))

With few samples it is biased upward, so it is read beside that of as many real pictures.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffview.engine.options import Value
from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec
from diffview.errors import InputError
from diffview.models import conditions
from diffview.models.network import NetworkDenoiser

Float64 = NDArray[np.float64]

SCALES = (0.0, 1.0, 2.0, 4.0)
NOISE = 0.2


@dataclass(frozen=True, slots=True)
class Evaluating:
    """How far an evaluation is: `done` of `total` pictures."""

    done: int
    total: int
    what: str


@dataclass(frozen=True, slots=True)
class Draw:
    """How pictures are drawn to be judged: DDIM, `n` of them, classes in turn, seeds from 0."""

    n: int = 1000
    scale: float = 1.0
    n_steps: int = 50
    batch: int = 50
    options: Mapping[str, Value] | None = None


def evaluate(
    model: NetworkDenoiser,
    classifier: nn.Module,
    real: Tensor,
    *,
    scales: Sequence[float] = SCALES,
    n: int = 1000,
    n_steps: int = 50,
    options: Mapping[str, Value] | None = None,
) -> Generator[Evaluating, None, dict[str, Any]]:
    """Figures of `model` under each guidance scale, beside those of `real` (N, *D) in [-1, 1].

    The first n real pictures are judged like generated ones, the others are what all are compared
    to. Raises InputError when real pictures are too few for that.
    """
    if not 2 <= n < len(real):
        raise InputError(
            f"{n} samples cannot be compared to {len(real)} real pictures; give fewer"
        )
    reference = features(classifier, real[n:])
    noise = torch.randn(real[:n].shape, generator=torch.Generator().manual_seed(0))
    noisy = (real[:n] + NOISE * noise.to(real.device)).clamp(-1, 1)
    distances = {
        "real": frechet(features(classifier, real[:n]), reference),
        f"real + noise {NOISE:g}": frechet(features(classifier, noisy), reference),
    }
    accuracies: dict[str, float] = {}
    for k, scale in enumerate(scales):
        pictures: list[Tensor] = []
        for drawn in draw(model, Draw(n, scale, n_steps, options=options)):
            pictures.append(drawn)
            done = k * n + sum(map(len, pictures))
            yield Evaluating(done, n * len(scales), f"guidance {scale:g}")
        samples = torch.cat(pictures)
        accuracies[f"{scale:g}"] = round(accuracy(classifier, samples, _classes(model, n)), 4)
        distances[f"{scale:g}"] = frechet(features(classifier, samples), reference)
    return {
        "samples": n,
        "sampler": f"ddim, {n_steps} steps",
        "accuracy": accuracies,
        "frechet": {name: round(distance, 3) for name, distance in distances.items()},
    }


def draw(model: NetworkDenoiser, wish: Draw) -> Generator[Tensor, None, None]:
    """Batches of pictures (B, *D) in [-1, 1]; the k-th has class k % classes and seed k."""
    labels = _classes(model, wish.n).tolist()
    for first in range(0, wish.n, wish.batch):
        seeds = tuple(range(first, min(first + wish.batch, wish.n)))
        spec = RunSpec(
            model.card.id,
            n_steps=wish.n_steps,
            guidance=_guidance(wish.scale),
            # Without a condition the network is given the label that means none: gamma = 0.
            condition=tuple(labels[k] for k in seeds) if wish.scale else None,
            seeds=seeds,
            options=tuple((wish.options or {}).items()),
        )
        yield finished(model, spec).clamp(-1, 1)


def _guidance(scale: float) -> Guidance:
    """At 0 and 1 one branch is enough: half the time for the same pictures."""
    return Guidance() if scale in (0.0, 1.0) else Guidance("cfg", scale)


def _classes(model: NetworkDenoiser, n: int) -> Tensor:
    return torch.arange(n) % max(1, len(model.card.classes))


def finished(model: NetworkDenoiser, spec: RunSpec) -> Tensor:
    """The clean end of a run (B, *D), on the model's device."""
    condition = conditions.condition_tensor(model.card, spec.condition, spec.batch, model.device)
    with closing(run(model, spec, condition)) as records:
        for record in records:
            last = record
    return torch.from_numpy(last.x_t).to(model.device)


@torch.no_grad()
def accuracy(classifier: nn.Module, pictures: Tensor, labels: Tensor) -> float:
    """The share of pictures (N, C, H, W) in [-1, 1] in which the classifier sees `labels` (N,)."""
    right = 0
    for part, wanted in zip(_parts(pictures), _parts(labels), strict=True):
        right += int((classifier(part).argmax(1) == wanted.to(part.device)).sum())
    return right / len(pictures)


@torch.no_grad()
def features(classifier: nn.Module, pictures: Tensor) -> Float64:
    """(N, C, H, W) in [-1, 1] -> (N, F) float64, what the classifier's last layer sees."""
    extract: Any = classifier.features
    parts = [extract(part).double().cpu().numpy() for part in _parts(pictures)]
    return np.concatenate(parts)


def _parts(tensor: Tensor, batch: int = 500) -> list[Tensor]:
    return [tensor[k : k + batch] for k in range(0, len(tensor), batch)]


def frechet(one: Float64, other: Float64) -> float:
    """The squared Fréchet distance of two sets of features (N, F), (M, F), in their units squared.

    tr (S_1 S_2)^(1/2) is the sum of the roots of the eigenvalues of R S_2 R with R = S_1^(1/2),
    a symmetric matrix, so no general matrix root is needed.
    """
    mean_1, mean_2 = one.mean(axis=0), other.mean(axis=0)
    cov_1, cov_2 = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    values, vectors = np.linalg.eigh(np.atleast_2d(cov_1))
    root = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    cross = np.linalg.eigvalsh(root @ np.atleast_2d(cov_2) @ root).clip(min=0)
    spread = np.trace(np.atleast_2d(cov_1)) + np.trace(np.atleast_2d(cov_2))
    distance = ((mean_1 - mean_2) ** 2).sum() + spread - 2 * np.sqrt(cross).sum()
    return max(0.0, float(distance))
