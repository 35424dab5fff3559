"""Whether a sampler diverges on a grid of levels, measured where the right answer is known.

For data N(0, 1) the denoiser is x0_hat = alpha x_t / (alpha^2 + sigma^2) and a run without noise
is linear: from x_T of the data's own standard deviation it should end with 1. Heun's step in sigma
does not where sigma falls far at once, as on the first step of cosine and trailing, from 20,000:
its slope is then averaged with one of a place that it overshot. Karras et al. (2022), arXiv
2206.00364, begin at 80.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from diffview.engine import samplers
from diffview.engine.estimate import Estimate
from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Schedule

if TYPE_CHECKING:
    from diffview.engine.spec import RunSpec

TOO_WIDE = 2.0
"""Times the right standard deviation; what converges lies below 1.5 from three steps on."""


def warning(spec: RunSpec, schedule: Schedule) -> str:
    """What to tell of a checked run without conflicts that diverges; "" of one that does not."""
    info = samplers.find(spec.sampler)
    if info.stochastic:
        return ""
    wide = spread_at_end(spec, schedule)
    if wide <= TOO_WIDE:
        return ""
    return (
        f"{info.title} diverges in {spec.n_steps} steps of spacing '{spec.spacing}': on data "
        f"whose solution is known it ends {wide:,.3g} times too wide; take more steps, spacing "
        "leading, or flow_heun"
    )


def spread_at_end(spec: RunSpec, schedule: Schedule) -> float:
    """The standard deviation that `spec`'s sampler, noise left out, makes of data N(0, 1)."""
    levels, info = spec.levels(schedule), samplers.find(spec.sampler)
    start = np.full((1, 1), math.hypot(levels[0].alpha, levels[0].sigma))
    steps = info.generate(
        _denoise, start, levels, _no_noise, **info.lent(schedule), **spec.sampler_options()
    )
    *_, end = steps
    return abs(float(end.x_t[0, 0]))


def _denoise(x_t: Any, level: NoiseLevel) -> Estimate:
    # Arrays do as well as tensors: a sampler only adds and multiplies.
    gain = level.alpha / (level.alpha**2 + level.sigma**2)
    return Estimate(cast(Any, gain * x_t))


def _no_noise(i: int) -> Any:
    return np.zeros((1, 1))
