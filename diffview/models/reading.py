"""How far a large file is read, told to whoever listens: a model of gigabytes takes its time.

Files are read for their hashes and for their weights, deep below what a person looks at, and in
whatever thread. A listener is called in that thread and must be quick.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

LARGE = 64 * 1024**2
"""Bytes; what is smaller is read before anybody could look."""
BYTES = "bytes"
TOLD_EVERY = 0.1
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Reading:
    """what is read, as after the word "reading"; bytes, or other units, done of total."""

    what: str
    done: int
    total: int
    unit: str = BYTES

    @property
    def over(self) -> bool:
        """Whether this is the last that is told of it."""
        return self.done >= self.total


Listener = Callable[[Reading], None]

_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Call `listener` from now on."""
    _listeners.append(listener)


def unlisten(listener: Listener) -> None:
    """Call it no more; harmless a second time."""
    with suppress(ValueError):
        _listeners.remove(listener)


@contextmanager
def metered(what: str, total: int, unit: str = BYTES) -> Iterator[Callable[[int], None]]:
    """A function to be called with what was read since; the end is told in any case."""
    if unit == BYTES and total < LARGE:
        yield lambda count: None
        return
    meter = _Meter(what, total, unit)
    meter.tell(0)
    try:
        yield meter.add
    finally:
        meter.tell(total)


class _Meter:
    def __init__(self, what: str, total: int, unit: str) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._done, self._told = 0, 0.0

    def add(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._told >= TOLD_EVERY and self._done < self._total:
            self.tell(self._done)

    def tell(self, done: int) -> None:
        self._told = time.monotonic()
        for listener in tuple(_listeners):
            listener(Reading(self._what, done, self._total, self._unit))
