"""The loss of every t on a picture that is known: what training makes small, measured.

    L(t) = mean over all values of (eps_hat(alpha x_0 + sigma eps, t) - eps)^2

Ho, Jain, Abbeel (2020), arXiv 2006.11239, eq. 14. A network that says eps_hat = 0 has L = 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from diffview.engine.conversions import eps_from_x0
from diffview.engine.levels import NoiseLevel
from diffview.engine.spacings import LIST
from diffview.engine.spec import Condition, RunSpec
from diffview.engine.trajectory import Float32, Trajectory
from diffview.models import forward, sampling

Float64 = NDArray[np.float64]


def losses(
    model: sampling.Model,
    condition: Condition,
    x_0: Float32,
    levels: Sequence[NoiseLevel],
    seeds: Sequence[int],
) -> Iterator[tuple[int, Float64]]:
    """(k, losses (S,)) of levels[k] for x_0 (*D) under each of S noises; no guidance.

    Levels without noise have no loss and are left out. Raises what a run raises.
    """
    eps = np.stack([forward.noise(seed, x_0.shape) for seed in seeds])
    for k, level in enumerate(levels):
        if level.sigma == 0:
            continue
        x_t = np.asarray(level.alpha * x_0 + level.sigma * eps, np.float32)
        x0_hat = _estimate(model, condition, x_t, level, seeds)
        wrong = eps_from_x0(x_t, x0_hat, level).astype(np.float64) - eps
        yield k, np.square(wrong).reshape(len(seeds), -1).mean(axis=1)


def _estimate(
    model: sampling.Model,
    condition: Condition,
    x_t: Float32,
    level: NoiseLevel,
    seeds: Sequence[int],
) -> Float32:
    """x0_hat (S, *D), neither guided nor clipped."""
    spec = RunSpec(
        model.card.id,
        sampler="ddim",
        n_steps=1,
        spacing=LIST,
        condition=condition,
        seeds=tuple(seeds),
        options=(("times", repr(float(level.t))),),
    )
    trajectory = Trajectory(spec, x_t.shape[1:])
    with closing(sampling.sample_into(trajectory, model, init_noise=x_t)) as records:
        return next(records).x0_hat
