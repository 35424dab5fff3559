"""compat=diffusers: what diffusers' schedulers do where it is not what their papers say.

Which levels a run visits, family by family (set_timesteps of its schedulers, release 0.42):
ddim, ddpm                whole times; linspace, leading, trailing
euler, euler_ancestral,   linspace keeps fractions of a time; sigma / alpha is interpolated evenly
heun, lms                 between whole times, not its logarithm
dpmpp_2m, dpmpp_2m_sde,   linspace and leading take N + 1 points and drop the last; with karras
unipc                     and exponential the network is told a whole time beside the level's own
flow_euler, flow_heun     linspace, whose last time was shifted before all are shifted again
A schedule without signal at its last time is given alphas_cumprod = 2^-24 there. Euler's family
starts from noise of its largest sigma where that is the schedule's, not of sqrt(sigma^2 + 1).
DDIM moves to t - T // N, whatever the next time of the grid is, and DDPM adds the noise of its
last step too, unless that is at t = 0.

What diffusers cannot do, or breaks on, is refused: a grid of other than N falling times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.engine.schedules import Discrete, Flow, Schedule, shifted
from diffview.errors import InputError

if TYPE_CHECKING:
    from diffview.engine.spec import RunSpec

WHOLE = ("ddim", "ddpm")
FRACTIONAL = ("euler", "euler_ancestral", "heun", "lms")
ONE_MORE = ("dpmpp_2m", "dpmpp_2m_sde", "unipc")
FLOW = ("flow_euler", "flow_heun")
NO_SIGMAS = (*WHOLE, "euler_ancestral")
"""Those that have neither karras nor exponential."""
NO_ZERO_SNR = ("heun", "lms")
LEAST = 2.0**-24


def levels(
    schedule: Schedule,
    sampler: str,
    n_steps: int,
    spacing: str,
    *,
    rho: float,
    steps_offset: int,
    shift: float,
) -> tuple[NoiseLevel, ...]:
    """The N levels that diffusers' scheduler of this sampler visits, and CLEAN.

    Raises InputError for what it cannot do or breaks on.
    """
    if sampler in FLOW:
        return (*_flow(schedule, n_steps, spacing, shift), CLEAN)
    if not isinstance(schedule, Discrete):
        raise _lacks(f"{sampler} for schedule '{schedule.name}'")
    table = _with_signal(schedule, sampler)
    if spacing in ("karras", "exponential") and sampler not in NO_SIGMAS:
        return (*_by_sigma(table, sampler, n_steps, spacing, rho), CLEAN)
    if spacing not in ("leading", "linspace", "trailing"):
        raise _lacks(f"spacing '{spacing}' for {sampler}")
    times = _times(table.T, sampler, n_steps, spacing, steps_offset)
    _check_times(times, n_steps, table.T)
    if sampler in WHOLE:
        return (*(schedule.level(t) for t in times), CLEAN)
    return (*(_between(table, t) for t in times), CLEAN)


def initial_std(spec: RunSpec, schedule: Schedule, level: NoiseLevel) -> float:
    """The standard deviation of the noise a run of `spec` starts from at `level`."""
    ours = schedule.initial_std(level)
    if spec.option("compat") == "none" or spec.sampler not in FRACTIONAL:
        return ours
    return ours if spec.spacing == "leading" else level.sigma


def ddim_targets(
    schedule: Schedule, levels: Sequence[NoiseLevel], *, to_one: bool
) -> tuple[NoiseLevel, ...]:
    """Where each of DDIM's N steps goes: to t - T // N; from below 0 to alpha = 1 or to t = 0."""
    stride = schedule.T // (len(levels) - 1)
    final = CLEAN if to_one else schedule.level(0)
    before = [level.t - stride for level in levels[:-1]]
    return tuple(schedule.level(t) if t >= 0 else final for t in before)


def _times(T: int, sampler: str, n_steps: int, spacing: str, offset: int) -> list[float]:
    points = n_steps + (sampler in ONE_MORE)
    if spacing == "trailing":  # by accumulated differences: sometimes one more than N of them
        row = np.arange(T, 0, -T / n_steps).round() - 1
        return [float(t) for t in row]
    if spacing == "linspace":
        kind = np.float32 if sampler in FRACTIONAL else np.float64
        row = np.linspace(0, T - 1, points, dtype=kind)
        row = row if sampler in FRACTIONAL else row.round()
    else:
        row = np.arange(points) * (T // points) + float(offset)
    return [float(t) for t in row[::-1][:n_steps]]


def _check_times(times: Sequence[float], n_steps: int, T: int) -> None:
    if len(times) != n_steps or times[-1] < 0:
        raise _breaks(f"makes {len(times)} times of {n_steps} steps, the last t = {times[-1]:g}")
    if times[0] > T - 1:
        raise _breaks(f"asks at t = {times[0]:g}, where this schedule ends at {T - 1}")
    if any(after >= before for before, after in pairwise(times)):
        raise _breaks(f"visits a time twice with {n_steps} steps")


def _between(table: Discrete, t: float) -> NoiseLevel:
    low = math.floor(t)
    if low == t:
        return table.level(t)
    below, above = table.level(low).ratio, table.level(low + 1).ratio
    return replace(table.at_ratio(below + (t - low) * (above - below)), t=t)


def _by_sigma(
    table: Discrete, sampler: str, n_steps: int, spacing: str, rho: float
) -> list[NoiseLevel]:
    # Of a single step Euler's family knows but the end of its own grid, t = 0.
    noisiest = 0 if sampler in FRACTIONAL and n_steps == 1 else table.T - 1
    low, high = table.level(0).ratio, table.level(noisiest).ratio
    if spacing == "karras":
        row = np.linspace(high ** (1 / rho), low ** (1 / rho), n_steps) ** rho
    else:
        row = np.exp(np.linspace(math.log(high), math.log(low), n_steps))
    chosen = [table.at_ratio(float(ratio)) for ratio in row]
    if sampler not in ONE_MORE:
        return chosen
    rounds = spacing == "karras" and (sampler == "unipc" or table.name != "cosine")
    return [replace(one, t=float(round(one.t) if rounds else int(one.t))) for one in chosen]


def _flow(schedule: Schedule, n_steps: int, spacing: str, shift: float) -> list[NoiseLevel]:
    if not isinstance(schedule, Flow):
        raise _lacks(f"flow samplers for schedule '{schedule.name}'")
    if spacing != "linspace":
        raise _lacks(f"spacing '{spacing}' for flows")
    s = shift or schedule.shift
    row = np.linspace(1.0, shifted(schedule.span[0], s), n_steps)
    return [schedule.level(shifted(float(t), s)) for t in row]


def _with_signal(schedule: Discrete, sampler: str) -> Discrete:
    if schedule.alphas_cumprod[-1] > 0 or sampler in WHOLE:
        return schedule
    if sampler in NO_ZERO_SNR:
        raise _lacks(f"{sampler} for a schedule without signal at its last time")
    return Discrete(schedule.name, (*schedule.alphas_cumprod[:-1], LEAST))


def _lacks(what: str) -> InputError:
    return InputError(f"diffusers has no {what}, so there is nothing to reproduce: compat=none")


def _breaks(what: str) -> InputError:
    return InputError(f"diffusers {what}: choose another number of steps, or compat=none")
