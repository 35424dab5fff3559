"""Which N levels of a schedule a run visits; the N + 1st is the clean picture.

By time (Lin et al. 2023, arXiv 2305.08891, table 2), whole times of 0 .. T-1 where T is discrete:
leading      i * (T // N) + steps_offset, the DDPM and DDIM code's: ends at t = 0, misses t = T-1
linspace     evenly from T-1 to 0, both included
trailing     T * (N - i) / N - 1: starts at T-1, where training met pure noise
quadratic    squares of an even row that ends at 0.8 T, the DDIM code's (Song et al. 2021, arXiv
             2010.02502, appendix D.2); where rounding makes times meet, the later moves up by one
By r = sigma / alpha, from the schedule's noisiest level with some signal to its least noisy one:
karras       even in r^(1 / rho) (Karras et al. 2022, arXiv 2206.00364, eq. 5)
logsnr       even in log r (Lu et al. 2022, arXiv 2206.00927, section 3.3)
exponential  the same levels under k-diffusion's name
Or `list`: the times a person typed.

In a continuous schedule the first four are the same rows of its own span, where quadratic uses the
whole of it; a flow then moves them by its shift. Every spacing gives exactly N different levels,
noisiest first.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.engine.schedules import Flow, Schedule, shifted
from diffview.errors import InputError

Float64 = NDArray[np.float64]

LIST = "list"
RHO = 7.0


@lru_cache(maxsize=64)  # a window asks for the same levels over and over
def levels(
    schedule: Schedule,
    n_steps: int,
    spacing: str,
    *,
    rho: float = RHO,
    steps_offset: int = 0,
    shift: float = 0.0,
    times: tuple[float, ...] = (),
) -> tuple[NoiseLevel, ...]:
    """The N levels a run evaluates, noisiest first, and CLEAN as the (N + 1)-th.

    rho is for karras, steps_offset for leading, times for list; shift is for a flow, 0 meaning
    the model's own. Raises InputError for what gives no N different levels.
    """
    _check(schedule, n_steps, spacing)
    if spacing == LIST:
        return (*_listed(schedule, n_steps, times), CLEAN)
    if spacing in BY_RATIO:
        return (*_by_ratio(schedule, n_steps, BY_RATIO[spacing], rho), CLEAN)
    if schedule.discrete:
        chosen: list[Any] = BY_TIME[spacing](schedule.T, n_steps)
        if spacing == "leading":
            # Clamped, or the largest offset of a full grid would lead beyond its end.
            offset = min(steps_offset, schedule.T - 1 - chosen[0])
            chosen = [t + offset for t in chosen]
    else:
        chosen = _continuous(schedule, n_steps, spacing, shift)
    return (*(schedule.level(t) for t in chosen), CLEAN)


def _check(schedule: Schedule, n_steps: int, spacing: str) -> None:
    if spacing not in SPACINGS:
        raise InputError(f"unknown spacing '{spacing}'; known are {', '.join(SPACINGS)}")
    if not 1 <= n_steps <= schedule.T:
        raise InputError(
            f"{n_steps} steps cannot be taken: this model's schedule has {schedule.T} times, "
            f"so choose 1 to {schedule.T} steps"
        )


def _listed(schedule: Schedule, n_steps: int, chosen: tuple[float, ...]) -> tuple[NoiseLevel, ...]:
    if len(chosen) != n_steps:
        raise InputError(
            f"spacing 'list' has {_counted(len(chosen), 'time')} and the run "
            f"{_counted(n_steps, 'step')}: "
            "give as many times as steps, such as times=900,500,100 for 3"
        )
    if any(after >= before for before, after in pairwise(chosen)):
        raise InputError("the listed times must fall: noisiest first, none of them twice")
    return tuple(schedule.level(t) for t in chosen)


def _counted(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def _by_ratio(
    schedule: Schedule,
    n_steps: int,
    row: Callable[[float, float, int, float], Float64],
    rho: float,
) -> tuple[NoiseLevel, ...]:
    low, high = _ratios(schedule)
    if n_steps > 1 and not low < high:
        raise InputError(
            f"{n_steps} steps need two levels with some signal; this schedule has one"
        )
    return tuple(schedule.at_ratio(float(ratio)) for ratio in row(low, high, n_steps, rho))


def _ratios(schedule: Schedule) -> tuple[float, float]:
    """The least and the largest finite sigma / alpha of a schedule."""
    first, last = schedule.span
    high = schedule.level(last)
    if high.alpha == 0:  # the noisiest time that was trained with some signal left
        high = schedule.level(last - 1 if schedule.discrete else last - first)
    return schedule.level(first).ratio, high.ratio


def _karras(low: float, high: float, n_steps: int, rho: float) -> Float64:
    ramp = np.linspace(high ** (1 / rho), low ** (1 / rho), n_steps)
    return np.asarray(_ends(ramp**rho, low, high))


def _logsnr(low: float, high: float, n_steps: int, rho: float) -> Float64:
    return _ends(np.exp(np.linspace(math.log(high), math.log(low), n_steps)), low, high)


def _ends(row: Float64, low: float, high: float) -> Float64:
    """The row with its ends as they are given: rounding must not leave the schedule."""
    row[-1], row[0] = low, high  # of a single step the noisier one
    return row


def _leading(T: int, n_steps: int) -> list[int]:
    return [i * (T // n_steps) for i in reversed(range(n_steps))]


def _linspace(T: int, n_steps: int) -> list[int]:
    return [round(float(t)) for t in np.linspace(0, T - 1, n_steps)[::-1]]


def _trailing(T: int, n_steps: int) -> list[int]:
    # Counting whole steps, not accumulating T / N, never yields an (N + 1)-th time of -1.
    return [round(T * (n_steps - i) / n_steps) - 1 for i in range(n_steps)]


def _quadratic(T: int, n_steps: int) -> list[int]:
    row = [int(t) for t in np.linspace(0, math.sqrt(0.8 * T), n_steps) ** 2]
    rising = [row[0]]
    for i, t in enumerate(row[1:], 1):
        room = T - n_steps + i  # the last time that leaves one for each step to come
        rising.append(min(max(t, rising[-1] + 1), room))
    return rising[::-1]


def _continuous(schedule: Schedule, n_steps: int, spacing: str, shift: float) -> list[float]:
    low, high = schedule.span
    down = np.arange(n_steps, 0, -1) / n_steps  # 1, 1 - 1/N, .. 1/N
    rows: dict[str, Float64] = {
        "leading": low + (high - low) * (down - 1 / n_steps),
        "linspace": np.linspace(high, low, n_steps),
        "trailing": high * down,
        "quadratic": _karras(low, high, n_steps, rho=2.0),
    }
    row = rows[spacing]
    if isinstance(schedule, Flow):
        return [shifted(float(t), shift or schedule.shift) for t in row]
    return [float(t) for t in row]


BY_TIME: dict[str, Callable[[int, int], list[int]]] = {
    "leading": _leading,
    "linspace": _linspace,
    "trailing": _trailing,
    "quadratic": _quadratic,
}

BY_RATIO: dict[str, Callable[[float, float, int, float], Float64]] = {
    "logsnr": _logsnr,
    "karras": _karras,
    "exponential": _logsnr,
}

SPACINGS = (*BY_TIME, *BY_RATIO, LIST)
