"""Looking at a network while it is trained: samples of fixed seeds, loss and estimate by level.

Everything looked at is the same each time: the held-out pictures, their noise, the levels, the
seeds. So what changes is the network. Nothing here draws from the training's own random numbers.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffview.engine.conversions import FROM_X0
from diffview.engine.levels import NoiseLevel
from diffview.engine.noise import initial_noise
from diffview.engine.schedules import Schedule
from diffview.engine.spec import Condition, RunSpec
from diffview.models import sampling
from diffview.models.card import ModelCard
from diffview.models.network import NetworkDenoiser
from diffview.training.events import Float32, Snapshot, Watched
from diffview.training.recipes import Recipe

LEVELS = 20
PICTURE_STEPS, POINT_STEPS = 16, 30
PICTURES, POINTS = 16, 1024
"""Samples of a look; as many held-out ones are judged."""
MOST_WATCHED, MOST_POINTS = 8, 256
WATCHED_NUMBERS = 2**18
"""Numbers of the estimates that one look may keep."""


@runtime_checkable
class Watchable(Protocol):
    """A recipe whose model denoises, so that its levels can be looked at."""

    def card(self) -> ModelCard:
        """What the model will be."""

    def denoiser(self, network: nn.Module, device: str) -> NetworkDenoiser:
        """The model around a network in training."""

    def clean(self, n: int, device: str) -> tuple[Tensor, Tensor | None]:
        """At most n pictures x_0 (n, *D) kept from training, and their condition (n,)."""


def moments(steps: int, looks: int) -> tuple[int, ...]:
    """The steps to look at: often at first, when much changes; the first and the last are in."""
    return tuple(sorted({round(steps * (k / looks) ** 2) for k in range(looks + 1)}))


def bin_levels(schedule: Schedule, count: int) -> tuple[NoiseLevel, ...]:
    """The middles of `count` equal bins over t, noisiest first: the mean of the losses there is
    that over all t, as training draws it."""
    low, high = schedule.span
    if not schedule.discrete:
        times = low + (high - low) * (np.arange(count) + 0.5) / count
    else:
        count = min(count, schedule.T)
        times = np.floor((np.arange(count) + 0.5) / count * schedule.T)
    return tuple(schedule.level(float(t)) for t in times[::-1])


class Watcher:
    """The fixed things to look at of one recipe."""

    def __init__(self, recipe: Recipe, device: str) -> None:
        self._recipe, self._device = recipe, device
        self._fixed = _fixed(recipe, device) if isinstance(recipe, Watchable) else None

    @property
    def watched(self) -> Watched | None:
        """What a window needs to show the estimates; None where there are no levels."""
        return None if self._fixed is None else self._fixed.watched

    def look(self, network: nn.Module, step: int) -> Generator[None, None, Snapshot]:
        """A snapshot of the network; yields after every evaluation of it."""
        training = network.training
        network.eval()
        try:
            if self._fixed is None or not isinstance(self._recipe, Watchable):
                return Snapshot(step, sheet=self._recipe.sheet(network, self._device))
            model = self._recipe.denoiser(network, self._device)
            losses, x0_hat = yield from _estimates(model, self._fixed)
            samples = yield from _samples(model)
            return Snapshot(step, samples=samples, losses=losses, x0_hat=x0_hat)
        finally:
            network.train(training)


@dataclass(frozen=True, slots=True, eq=False)
class _Fixed:
    watched: Watched
    x_0: Tensor
    eps: Tensor
    condition: Tensor | None


def _fixed(recipe: Watchable, device: str) -> _Fixed:
    x_0, condition = recipe.clean(POINTS, device)
    flat = x_0.ndim == 2
    judged = len(x_0) if flat else min(PICTURES, len(x_0))
    x_0 = x_0[:judged].float()
    condition = None if condition is None else condition[:judged]
    eps = initial_noise(range(judged), tuple(x_0.shape[1:])).to(x_0.device)
    card = recipe.card()
    levels = bin_levels(card.schedule, LEVELS)
    each = len(levels) * x_0[0].numel()
    shown = max(1, min(MOST_WATCHED, judged, WATCHED_NUMBERS // each))
    shown = min(MOST_POINTS, judged) if flat else shown
    watched = Watched(
        x_0[:shown].cpu().numpy(), eps[:shown].cpu().numpy(), levels, card.prediction
    )
    return _Fixed(watched, x_0, eps, condition)


def _estimates(
    model: NetworkDenoiser, fixed: _Fixed
) -> Generator[None, None, tuple[Float32, NDArray[np.float16]]]:
    """The loss of what the network predicts, (K,), and x0_hat (W, K, *D) of the watched ones."""
    losses, estimates = [], []
    for level in fixed.watched.levels:
        with torch.no_grad():
            x_t = level.alpha * fixed.x_0 + level.sigma * fixed.eps
            x0_hat = model(x_t, level, fixed.condition)
            target = FROM_X0[model.card.prediction]
            off = target(x_t, x0_hat, level) - target(x_t, fixed.x_0, level)
            losses.append(float(off.square().mean()))
            estimates.append(x0_hat[: len(fixed.watched.x_0)].cpu().numpy().astype(np.float16))
        yield
    return np.array(losses, np.float32), np.stack(estimates, axis=1)


def _samples(model: NetworkDenoiser) -> Generator[None, None, NDArray[np.float16]]:
    """(B, *D) from fixed seeds by DDIM; classes are dealt out in turn, and nothing is guided."""
    card = model.card
    flat = len(card.data_shape) == 1
    count, n_steps = (POINTS, POINT_STEPS) if flat else (PICTURES, PICTURE_STEPS)
    condition: Condition = None
    if card.classes:
        condition = tuple(k % len(card.classes) for k in range(count))
    spec = RunSpec(card.id, n_steps=n_steps, condition=condition, seeds=tuple(range(count)))
    last = None
    for record in sampling.records(model, spec):
        last = record.x_t
        yield
    assert last is not None
    return np.asarray(last).astype(np.float16)
