"""What a set of pictures will take of memory, told before any of it is taken. No torch."""

from __future__ import annotations

import math

from diffview.errors import InputError

CHUNK_BYTES = 3 * 1024**2
"""The size of a piece of float64 pictures; it has to fit into a processor's cache."""

MAX_BYTES = 4 * 1024**3


def memory_needed(count: int, shape: tuple[int, ...], batch: int = 16) -> int:
    """Bytes that `count` pictures take: themselves, and a step of `batch` samples."""
    pixels = math.prod(shape)
    return count * (pixels + 16) + 4 * 8 * count * batch + CHUNK_BYTES


def check_memory(count: int, shape: tuple[int, ...]) -> None:
    """Raise InputError, with the numbers, when a set would take more than MAX_BYTES."""
    needed = memory_needed(count, shape)
    if needed > MAX_BYTES:
        raise InputError(
            f"{count} pictures of {'x'.join(map(str, shape))} would take {needed / 1e9:.1f} GB "
            f"of memory, the limit is {MAX_BYTES / 1e9:.1f} GB: give fewer pictures"
        )
