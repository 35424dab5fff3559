"""What the engine's tests share: exact denoisers, and a network small enough to reason about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import torch
from hypothesis import settings
from torch import Tensor

from diffview.engine import conversions, schedules
from diffview.engine.estimate import Denoise, Estimate
from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Schedule

torch.set_num_threads(1)
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def gaussian(mean: float, std: float) -> Denoise:
    """E[x_0 | x_t] for data N(mean, std^2), which is known exactly (numerics: closed forms)."""

    def denoise(x_t: Tensor, level: NoiseLevel) -> Estimate:
        gain = level.alpha * std**2 / (level.alpha**2 * std**2 + level.sigma**2)
        return Estimate(mean + gain * (x_t - level.alpha * mean))

    return denoise


@pytest.fixture(scope="session")
def gaussian_denoise() -> Callable[[float, float], Denoise]:
    return gaussian


@dataclass
class PlainDenoiser:
    """A denoiser from f(x_t, t, label): whole rows never meet, so row k is the same in any batch.

    Only products and sums, which IEEE rounds alike wherever in memory a number lies.
    """

    schedule: Schedule = field(default_factory=lambda: schedules.named("linear"))
    data_shape: tuple[int, ...] = (1, 3, 3)
    null: int | None = -1
    fail_at: int | None = None
    error: Exception = field(default_factory=lambda: RuntimeError("broken"))
    spoil_at: int | None = None
    spoiled: float = float("nan")
    bend: float = 0.3
    calls: int = 0
    batches: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def __call__(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None) -> Tensor:
        call, self.calls = self.calls, self.calls + 1
        self.batches.append(len(x_t))
        self.times.append(level.t)
        if call == self.fail_at:
            raise self.error
        x0_hat = self.bend * x_t - 0.01 * x_t * x_t
        if condition is not None:
            label = condition.to(x_t.dtype).view(-1, *[1] * (x_t.ndim - 1))
            x0_hat = x0_hat + 0.125 * label
        if call == self.spoil_at:
            x0_hat[-1].view(-1)[0] = self.spoiled
        return x0_hat

    def null_condition(self, batch: int) -> Tensor | None:
        return None if self.null is None else torch.full((batch,), self.null)


@pytest.fixture(scope="session")
def plain_denoiser() -> type[PlainDenoiser]:
    return PlainDenoiser


def predicting(prediction: str) -> tuple[Callable[[Tensor, float], Tensor], Denoise]:
    """A smooth network f(x, t) that is taken to predict `prediction`, and the denoiser of it."""

    def network(x: Tensor, t: float) -> Tensor:
        return torch.tanh(0.7 * x + 0.3) * (1 - 0.0005 * float(t)) + 0.1 * x

    def denoise(x_t: Tensor, level: NoiseLevel) -> Estimate:
        return Estimate(conversions.TO_X0[prediction](x_t, network(x_t, level.t), level))

    return network, denoise


@pytest.fixture(scope="session")
def predicting_network() -> Callable[[str], tuple[Callable[[Tensor, float], Tensor], Denoise]]:
    return predicting
