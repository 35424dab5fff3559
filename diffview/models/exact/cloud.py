"""Many particles through a model of points, as one batch with one random generator.

A run (`engine/run.py`) gives every sample a seed of its own and keeps every step; ten thousand
particles need neither.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from diffview.engine import guidance, samplers, spacings
from diffview.engine.denoiser import Denoiser
from diffview.engine.estimate import Denoise
from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError

MAX_PARTICLES = 1_000_000


@dataclass(frozen=True, slots=True)
class CloudStep:
    """Where n particles are at step i of N: x_t and x0_hat (n, D) float32, the last one clean."""

    i: int
    n_steps: int
    level: NoiseLevel
    x_t: NDArray[np.float32]
    x0_hat: NDArray[np.float32]


@torch.no_grad()
def cloud(
    model: Denoiser,
    count: int,
    *,
    label: int | None = None,
    gamma: float | None = None,
    steps: int = 50,
    sampler: str = "ddim",
    spacing: str = "trailing",
    seed: int = 0,
) -> Generator[CloudStep, None, None]:
    """`count` particles from noise to data; yields N + 1 steps.

    gamma guides between no label and `label` (classifier-free); without it the label is simply
    the condition. Samplers run with their own defaults. Raises InputError for what cannot be run.
    """
    if not 1 <= count <= MAX_PARTICLES:
        raise InputError(f"{count} particles cannot be followed: give 1 to {MAX_PARTICLES}")
    info, schedule = samplers.find(sampler), model.schedule
    levels = spacings.levels(schedule, steps, spacing)
    random = torch.Generator().manual_seed(seed)

    def noise(i: int) -> torch.Tensor:
        return torch.randn(count, *model.data_shape, generator=random).to(model.device)

    x = noise(0) * schedule.initial_std(levels[0])
    denoise = _bound(model, count, label, gamma)
    made = info.generate(denoise, x, levels, noise, **info.lent(schedule), **_defaults(info))
    for step in made:
        yield CloudStep(
            step.i,
            steps,
            step.level,
            step.x_t.float().numpy(force=True),
            step.estimate.x0_hat.float().numpy(force=True),
        )


def _bound(model: Denoiser, count: int, label: int | None, gamma: float | None) -> Denoise:
    if label is None:
        if gamma is not None:
            raise InputError("guidance needs a label to steer to: choose one")
        return guidance.unguided(model, model.null_condition(count))
    condition = torch.full((count,), label, dtype=torch.int64, device=model.device)
    if gamma is None:
        return guidance.unguided(model, condition)
    return guidance.classifier_free(model, condition, gamma)


def _defaults(info: samplers.SamplerInfo) -> dict[str, object]:
    if info.by_token:
        raise InputError(f"sampler '{info.name}' writes tokens: points need one that moves noise")
    return {option.name: option.default for option in info.options}


def path_of(steps: Sequence[CloudStep]) -> NDArray[np.float32]:
    """The particles' paths as one array (N + 1, n, D)."""
    return np.stack([step.x_t for step in steps])
