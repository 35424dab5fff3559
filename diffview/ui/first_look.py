"""The first look at a run that is made again while a slider moves: a few samples, few steps.

Its steps are some of the run's own, evenly chosen from the first to the one that is looked at, so
what it shows there is at the same noise level: near what the run will show where the sampler
adds no noise, with a coarser step. Where it adds some, or would diverge in so few steps, or the
levels cannot be typed as times, the first look takes all the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from diffview.engine import divergence, samplers
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import Value
from diffview.engine.schedules import Flow, Schedule
from diffview.engine.spacings import LIST
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Trajectory
from diffview.errors import InputError

FEW = 4
STEPS = 10
NOT_TYPED = ("rho", "steps_offset", "shift", "times", "compat")
"""Options of other spacings, which a list of times has no use for."""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """A small run, and how many of its records lead to what is looked at.

    steps: how many it takes to there, 0 where it takes those of the run itself.
    """

    run: Trajectory
    upto: int
    steps: int = 0


def first_look(
    run: Trajectory, shown: Trajectory | None, index: int, schedule: Schedule
) -> FirstLook | None:
    """A first look at record `index` of `run`, which is about to be made in place of `shown`.

    None where it would not fit into the pictures on screen: other samples or other steps.
    """
    spec = run.spec
    if spec.batch <= FEW or shown is None or shown.stride != run.stride:
        return None
    form = (shown.spec.seeds, shown.spec.n_steps, shown.spec.spacing)
    if form != (spec.seeds, spec.n_steps, spec.spacing):
        return None
    condition = spec.condition
    few = condition[:FEW] if isinstance(condition, tuple) else condition
    small = replace(spec, seeds=spec.seeds[:FEW], condition=few)
    quick = _quick(small, min(index * run.stride, spec.n_steps), schedule)
    if quick is None:
        return FirstLook(Trajectory(small, run.data_shape, run.stride), index + 1)
    return FirstLook(Trajectory(quick, run.data_shape), STEPS + 1, STEPS)


def _quick(spec: RunSpec, step: int, schedule: Schedule) -> RunSpec | None:
    """`spec` in STEPS steps of its own levels to `step`; None where that shows something else."""
    # Of flows compat moves the times alone, and those are typed; of others the steps too.
    typed = spec.option("compat") == "none" or isinstance(schedule, Flow)
    if spec.by_token or step <= STEPS or not typed or _adds_noise(spec):
        return None
    levels = spec.levels(schedule)
    places = np.rint(np.linspace(0, step, STEPS + 1)).astype(int)
    chosen = [levels[k] for k in places if k < spec.n_steps]
    quick = replace(
        spec, n_steps=len(chosen), spacing=LIST, options=(*_kept(spec), ("times", _times(chosen)))
    )
    try:
        same = list(quick.levels(schedule)[:-1]) == chosen
        sound = same and not divergence.warning(quick, schedule)
    except InputError:
        return None
    return quick if sound else None


def _adds_noise(spec: RunSpec) -> bool:
    amounts = [spec.option(name) for name in ("eta", "churn") if name in spec.declared()]
    return samplers.find(spec.sampler).stochastic and all(amount != 0 for amount in amounts)


def _kept(spec: RunSpec) -> tuple[tuple[str, Value], ...]:
    return tuple(pair for pair in spec.options if pair[0] not in NOT_TYPED)


def _times(levels: list[NoiseLevel]) -> str:
    return ", ".join(f"{level.t:.17g}" for level in levels)


def place_of(level: NoiseLevel, look: Trajectory) -> int | None:
    """The record of a first look that is at this level, if it is there by now."""
    return next((k for k in range(len(look)) if look[k].level == level), None)
