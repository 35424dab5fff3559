"""Pictures drawn and compressed on all cores, handed over in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

MAX_WORKERS = 8


def in_order(count: int, work: Callable[[int], T]) -> Generator[T, None, None]:
    """work(0), work(1), ..., a few ahead of the one that is asked for.

    Threads suffice: zlib and WebP let go of the interpreter's lock while they compress. They
    live inside this generator and end with it, so nobody else has to know of them. What a thread
    raises is raised here, in its turn.
    """
    workers = min(MAX_WORKERS, _cores())
    # Looking further ahead would only fill memory when the disk is the slower side.
    ahead = 2 * workers
    waiting: deque[Future[T]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="export")
    try:
        for index in range(count):
            waiting.append(pool.submit(work, index))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _cores() -> int:
    """The cores this process may use, which in a container are fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
