"""A small network trained on points in seconds, from knowing nothing to nearly the exact field.

The loss is |v_hat(x_t, t, y) - v|^2 with v = alpha eps - sigma x_0 (Salimans & Ho 2022, arXiv
2202.00512), or the like of another prediction, at times drawn evenly and stratified over the
batch; the label is dropped at random (Ho & Salimans 2022, arXiv 2207.12598, algorithm 1).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffview.engine.conversions import FROM_X0
from diffview.engine.schedules import Schedule
from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.exact.mixture import Mixture
from diffview.models.exact.mixture_denoiser import MixtureDenoiser
from diffview.models.network import NetworkDenoiser
from diffview.models.sampling import WRAPPED
from diffview.training.adamw import AdamW

Array = NDArray[np.float64]

PREDICTIONS = ("v", "eps", "x0", "flow")
BINS = 10
"""Into how many even parts the schedule is cut to tell the loss by level."""
LEVELS_PER_BIN = 8
CONTINUOUS_TIMES = 1000
WAVES = 6
"""The time goes in as sine and cosine of half a wave over the schedule, one, two, four, ..."""


@dataclass(frozen=True, slots=True)
class ToySettings:
    """How the small network is built and trained; the defaults take some ten seconds."""

    steps: int = 2000
    batch: int = 256
    width: int = 128
    depth: int = 3
    lr: float = 3e-3
    prediction: str = "v"
    label_dropout: float = 0.15
    ema: float = 0.995
    report_every: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse, with InputError, what cannot be trained."""
        whole = (self.steps, self.batch, self.width, self.depth, self.report_every)
        if min(whole) < 1 or self.width > 4096 or self.depth > 64 or self.batch > 1 << 20:
            raise InputError(f"{self}: steps, batch, width, depth and report_every start at 1")
        if not (0 < self.lr <= 1 and 0 <= self.label_dropout <= 1 and 0 <= self.ema < 1):
            raise InputError(f"{self}: lr, label_dropout and ema lie between 0 and 1")
        if self.prediction not in PREDICTIONS:
            raise InputError(
                f"unknown prediction '{self.prediction}'; known are {', '.join(PREDICTIONS)}"
            )


@dataclass(frozen=True, slots=True)
class ToyStep:
    """Where training is. loss: the mean over the steps since the last report.

    loss_by_level (BINS,): the same for even parts of the schedule, the least noisy first, NaN
    where no time was drawn. model: the averaged weights of this moment, a model of its own.
    """

    step: int
    steps: int
    loss: float
    loss_by_level: Array
    seconds: float
    model: NetworkDenoiser


class ToyNetwork(nn.Module):
    """x (B, D), t (B,), label (B,) -> (B, D): waves of t and the label beside x, then an MLP."""

    def __init__(
        self, dims: int, classes: int, span: tuple[float, float], width: int, depth: int
    ) -> None:
        super().__init__()
        self.first, self.range = span[0], span[1] - span[0]
        self.label = nn.Embedding(classes + 1, width)
        self.enter = nn.Linear(dims + 2 * WAVES, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.leave = nn.Linear(width, dims)

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """What the settings' prediction names."""
        u = (t.float() - self.first)[:, None] / self.range
        angles = u * math.pi * 2.0 ** torch.arange(WAVES, device=x.device)
        h = self.enter(torch.cat([x, angles.sin(), angles.cos()], dim=1))
        h = h if label is None else h + self.label(label)
        for layer in self.hidden:
            h = h + layer(nn.functional.silu(h))
        out: Tensor = self.leave(nn.functional.silu(h))
        return out


def train_toy(
    data: Mixture, card: ModelCard, settings: ToySettings | None = None
) -> Generator[ToyStep, None, None]:
    """Train on draws from `data`, for the samples, classes and schedule of `card`.

    Yields every `report_every` steps, and at the end. Raises InputError for a schedule that lets
    x_t grow, such as EDM's.
    """
    chosen = settings or ToySettings()
    batches, network = _Batches(data, card, chosen), _network(card, chosen)
    averaged = copy.deepcopy(network).requires_grad_(False)
    optimiser = AdamW(network.parameters())
    seconds, seen = 0.0, np.zeros((2, BINS))
    for step in range(1, chosen.steps + 1):
        began = time.perf_counter()
        batch = batches.draw()
        error = _step(network, optimiser, batch, chosen.lr * _rate(step, chosen))
        _follow(averaged, network, min(chosen.ema, step / (step + 10)))
        seen += [np.bincount(batch.bins, error, BINS), np.bincount(batch.bins, minlength=BINS)]
        seconds += time.perf_counter() - began
        if step % chosen.report_every == 0 or step == chosen.steps:
            model = _model(averaged, card, chosen)
            loss, by_level = _means(seen)
            yield ToyStep(step, chosen.steps, loss, by_level, seconds, model)
            seen = np.zeros((2, BINS))


def _means(seen: Array) -> tuple[float, Array]:
    """Sums and counts by level -> the mean of all, and of each level."""
    with np.errstate(invalid="ignore"):  # 0 / 0 where no time was drawn
        return float(seen[0].sum() / seen[1].sum()), np.asarray(seen[0] / seen[1])


@torch.no_grad()
def least_loss(
    exact: MixtureDenoiser, settings: ToySettings | None = None, *, draws: int = 4000
) -> Array:
    """The loss that no network can get below, by level (BINS,): that of the exact model.

    Of the same prediction, its label dropped as often, from `draws` pairs of data and noise for
    each part of the schedule.
    """
    chosen = settings or ToySettings()
    convert, seed = FROM_X0[chosen.prediction], chosen.seed
    table, errors = _Times(exact.schedule), np.zeros((BINS, LEVELS_PER_BIN))
    rng, random = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    for part in range(BINS):
        for k in range(LEVELS_PER_BIN):
            level = exact.schedule.level(table.time_in(part, (k + 0.5) / LEVELS_PER_BIN))
            clean, marks = exact.mixture.sample(draws // LEVELS_PER_BIN, rng)
            labels = _with_dropout(marks, exact.mixture, chosen.label_dropout, rng)
            x_0 = torch.from_numpy(clean)
            eps = torch.randn(x_0.shape, generator=random, dtype=torch.float64)
            x_t = level.alpha * x_0 + level.sigma * eps
            guess = convert(x_t, exact(x_t, level, labels), level)
            off = guess - convert(x_t, x_0, level)
            errors[part, k] = float(off.square().mean())
    return np.asarray(errors.mean(axis=1))


@dataclass(frozen=True, slots=True)
class _Batch:
    x_t: Tensor
    t: Tensor
    labels: Tensor | None
    target: Tensor
    bins: NDArray[np.int64]


class _Times:
    """The times that are trained, whole ones where the schedule has them, with alpha and sigma."""

    def __init__(self, schedule: Schedule) -> None:
        first, last = schedule.span
        count = schedule.T if schedule.discrete else CONTINUOUS_TIMES
        self.t = np.linspace(first, last, count)
        levels = [schedule.level(float(t)) for t in self.t]
        self.alpha = np.array([level.alpha for level in levels])
        self.sigma = np.array([level.sigma for level in levels])
        if np.hypot(self.alpha, self.sigma).max() > 1.5:
            raise InputError(
                f"schedule '{schedule.name}' lets x_t grow, and the small network takes it as it "
                "is: choose linear, cosine or flow"
            )

    def drawn(self, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of times, one from each of `count` even parts (stratified)."""
        places = (np.arange(count) + rng.random(count)) / count
        return np.minimum((places * len(self.t)).astype(np.int64), len(self.t) - 1)

    def time_in(self, part: int, share: float) -> float:
        """A time `share` of the way through one of BINS even parts."""
        return float(self.t[min(int((part + share) / BINS * len(self.t)), len(self.t) - 1)])


class _Batches:
    """Draws of data, noise, times and labels, the same for the same seed."""

    def __init__(self, data: Mixture, card: ModelCard, settings: ToySettings) -> None:
        if card.data_shape != (data.dims,) or card.classes != data.classes:
            raise InputError("the card is not that of these points")
        self._data, self._settings = data, settings
        self._times = _Times(card.schedule)
        self._rng = np.random.default_rng(settings.seed)

    def draw(self) -> _Batch:
        """The next batch."""
        count, rng = self._settings.batch, self._rng
        x_0, labels = self._data.sample(count, rng)
        k = self._times.drawn(count, rng)
        eps = rng.standard_normal(x_0.shape)
        alpha, sigma = self._times.alpha[k, None], self._times.sigma[k, None]
        return _Batch(
            x_t=_float32(alpha * x_0 + sigma * eps),
            t=_float32(self._times.t[k]),
            labels=_with_dropout(labels, self._data, self._settings.label_dropout, rng),
            target=_float32(_target(self._settings.prediction, x_0, eps, alpha, sigma)),
            bins=k * BINS // len(self._times.t),
        )


def _with_dropout(
    labels: NDArray[np.int64], data: Mixture, dropout: float, rng: np.random.Generator
) -> Tensor | None:
    """Labels (B,), each replaced by the one that means none with that probability."""
    if not data.classes:
        return None
    dropped = rng.random(len(labels)) < dropout
    return torch.from_numpy(np.where(dropped, len(data.classes), labels))


def _target(prediction: str, x_0: Array, eps: Array, alpha: Array, sigma: Array) -> Array:
    """What the network is to say, as `engine/conversions.py` defines it."""
    if prediction == "v":
        return np.asarray((alpha * eps - sigma * x_0) / np.hypot(alpha, sigma))
    return {"eps": eps, "x0": x_0, "flow": eps - x_0}[prediction]


def _float32(values: Array) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))


def _network(card: ModelCard, settings: ToySettings) -> ToyNetwork:
    with torch.random.fork_rng(devices=[]):  # layers draw from the global generator alone
        torch.manual_seed(settings.seed)
        return ToyNetwork(
            card.data_shape[0],
            len(card.classes),
            card.schedule.span,
            settings.width,
            settings.depth,
        )


@torch.enable_grad()
def _step(network: ToyNetwork, optimiser: AdamW, batch: _Batch, rate: float) -> Array:
    """One step down the loss; the squared error of each sample (B,), as it was before."""
    optimiser.zero_grad()
    off = network(batch.x_t, batch.t, batch.labels) - batch.target
    error = off.square().mean(dim=1)
    error.mean().backward()
    optimiser.step(rate)
    return np.asarray(error.detach().numpy(), np.float64)


def _rate(step: int, settings: ToySettings) -> float:
    """The share of the learning rate: up over the first 50 steps, then a cosine down to 2 %."""
    falling = 0.51 + 0.49 * math.cos(math.pi * step / settings.steps)
    return min(1.0, step / 50) * falling


@torch.no_grad()
def _follow(averaged: ToyNetwork, network: ToyNetwork, decay: float) -> None:
    for mean, new in zip(averaged.parameters(), network.parameters(), strict=True):
        mean.lerp_(new, 1 - decay)


def _model(network: ToyNetwork, card: ModelCard, settings: ToySettings) -> NetworkDenoiser:
    """The network of this moment as a model; what is trained on does not change it."""
    now = copy.deepcopy(network).eval()
    learned = replace(
        card,
        id=f"{card.id}-learned",
        title=f"{card.title}, learned",
        family=WRAPPED,
        prediction=settings.prediction,
        limits="Trained for seconds on draws of the same points.",
        source=f"an MLP of {settings.depth} x {settings.width}, trained in this window",
        parameters=sum(parameter.numel() for parameter in now.parameters()),
        weights_sha256="",
    )
    return NetworkDenoiser(learned, now, null=len(card.classes) if card.classes else None)
