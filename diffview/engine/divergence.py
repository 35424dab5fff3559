"""Whether a sampler diverges on a grid of levels, measured where the right answer is known.

For data N(0, 1) the denoiser is x0_hat = alpha x_t / (alpha^2 + sigma^2) and a run without noise
is linear: from x_T of the data's own standard deviation it should end with 1. Heun's step in sigma
does not where sigma falls far at once, as on the first step of cosine and trailing, from 20,000:
its slope is then averaged with one of a place that it overshot. Karras et al. (2022), arXiv
2206.00364, begin at 80.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from diffview.engine import samplers
from diffview.engine.estimate import Estimate
from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Schedule

if TYPE_CHECKING:
    from diffview.engine.spec import RunSpec

TOO_WIDE = 2.0
"""Times the right standard deviation; what converges lies below 1.5 from three steps on."""
ENOUGH = 100
"""Steps of a first look at a longer run: the panel asks anew at every turn of a knob."""


def warning(spec: RunSpec, schedule: Schedule) -> str:
    """What to tell of a checked run without conflicts that diverges; "" of one that does not."""
    info = samplers.find(spec.sampler)
    if info.stochastic:
        return ""
    levels = spec.levels(schedule)[spec.origin.step if spec.origin else 0 :]
    # A grid of longer steps is worse: where it does well, the whole one does.
    if len(levels) > ENOUGH + 1 and _spread(spec, schedule, _coarser(levels)) <= TOO_WIDE:
        return ""
    wide = _spread(spec, schedule, levels)
    if wide <= TOO_WIDE:
        return ""
    return (
        f"{info.title} diverges in {spec.n_steps} steps of spacing '{spec.spacing}': on data "
        f"whose solution is known it ends {wide:,.3g} times too wide; take more steps, spacing "
        "leading, or flow_heun"
    )


def spread_at_end(spec: RunSpec, schedule: Schedule) -> float:
    """The standard deviation that `spec`'s sampler, noise left out, makes of data N(0, 1)."""
    return _spread(spec, schedule, spec.levels(schedule))


def _spread(spec: RunSpec, schedule: Schedule, levels: Sequence[NoiseLevel]) -> float:
    info = samplers.find(spec.sampler)
    start: Any = math.hypot(levels[0].alpha, levels[0].sigma)
    *_, end = info.generate(
        _denoise,
        start,
        levels,
        _no_noise,
        **info.lent(spec.schedule(schedule)),
        **spec.sampler_options(),
    )
    return abs(float(end.x_t))


def _coarser(levels: Sequence[NoiseLevel]) -> list[NoiseLevel]:
    """At most ENOUGH of the steps between the same ends."""
    *noisy, clean = levels
    return [*noisy[:: math.ceil(len(noisy) / ENOUGH)], clean]


def _denoise(x_t: Any, level: NoiseLevel) -> Estimate:
    # A number does as well as a tensor: a sampler only adds and multiplies.
    gain = level.alpha / (level.alpha**2 + level.sigma**2)
    return Estimate(cast(Any, gain * x_t))


def _no_noise(i: int) -> Any:
    return 0.0
