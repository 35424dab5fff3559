"""Which N of a schedule's T times a run visits (Lin et al. 2023, arXiv 2305.08891, table 2).

leading   i * (T // N), the spacing of the DDPM and DDIM code: ends at t = 0, misses t = T-1
linspace  evenly from T-1 to 0, both included
trailing  T * (N - i) / N - 1: starts at T-1, where training met pure noise

Each gives exactly N different whole times in 0 .. T-1.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.engine.schedules import Schedule
from diffview.errors import InputError


def levels(schedule: Schedule, n_steps: int, spacing: str) -> tuple[NoiseLevel, ...]:
    """The N levels a run evaluates, noisiest first, and CLEAN as the (N + 1)-th.

    Raises InputError for an unknown spacing or an impossible number of steps.
    """
    return (*(schedule.level(t) for t in times(schedule.T, n_steps, spacing)), CLEAN)


def times(T: int, n_steps: int, spacing: str) -> list[int]:
    """N falling whole times of 0 .. T-1."""
    if spacing not in SPACINGS:
        raise InputError(f"unknown spacing '{spacing}'; known are {', '.join(sorted(SPACINGS))}")
    if not 1 <= n_steps <= T:
        raise InputError(
            f"{n_steps} steps cannot be taken: this model's schedule has {T} times, "
            f"so choose 1 to {T} steps"
        )
    return SPACINGS[spacing](T, n_steps)


def _leading(T: int, n_steps: int) -> list[int]:
    return [i * (T // n_steps) for i in reversed(range(n_steps))]


def _linspace(T: int, n_steps: int) -> list[int]:
    return [round(float(t)) for t in np.linspace(0, T - 1, n_steps)[::-1]]


def _trailing(T: int, n_steps: int) -> list[int]:
    # Counting whole steps, not accumulating T / N, never yields an (N + 1)-th time of -1.
    return [round(T * (n_steps - i) / n_steps) - 1 for i in range(n_steps)]


SPACINGS: dict[str, Callable[[int, int], list[int]]] = {
    "leading": _leading,
    "linspace": _linspace,
    "trailing": _trailing,
}
