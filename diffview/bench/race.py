"""A race: runs that do the same work take their steps in turn, so that what else the machine does
slows all of them alike. Who begins changes from step to step.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter, process_time

import numpy as np
from numpy.typing import NDArray

Racer = Iterator[None]
"""Takes one step of a run at each next(); the first sets it up, the one after the last ends it."""

Times = Mapping[str, NDArray[np.float64]]
"""Seconds of every step, (2, rounds, N) for each racer: on the wall, and of processors."""


def race(racers: Mapping[str, Callable[[], Racer]], n_steps: int, rounds: int) -> Times:
    """Run them side by side, `rounds` times, after a step or two to warm up."""
    _warm_up(racers)
    times = {name: np.zeros((2, rounds, n_steps)) for name in racers}
    for r in range(rounds):
        gc.collect()
        running = {name: make() for name, make in racers.items()}
        for i in range(n_steps):
            for name in _rotated(list(racers), i):
                times[name][:, r, i] = _timed(running[name])
        for name, racer in running.items():
            times[name][:, r, -1] += _timed(racer)  # what comes after the last step
    return times


def of_medians(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """The ratio of two racers' sums of their steps' medians over the rounds.

    A median drops the rounds in which something else had the processor. The ratio of processor
    time is the steadier one on a busy machine.
    """
    return float(np.median(one, axis=0).sum() / np.median(other, axis=0).sum())


def _warm_up(racers: Mapping[str, Callable[[], Racer]]) -> None:
    for make in racers.values():
        racer = make()
        next(racer)
        next(racer, None)


def _rotated(names: list[str], by: int) -> list[str]:
    by %= len(names)
    return names[by:] + names[:by]


def _timed(racer: Racer) -> tuple[float, float]:
    start, used = perf_counter(), process_time()
    next(racer, None)
    return perf_counter() - start, process_time() - used
