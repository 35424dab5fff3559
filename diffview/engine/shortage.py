"""Want of memory, told apart from every other error: who says it how, and how much was asked for.

A GPU's allocator raises torch.OutOfMemoryError, torch's CPU allocator a RuntimeError, NumPy and
Python a MemoryError. Known by their words, so that nothing is imported for it.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from diffview.errors import DiffviewError

SIGNS = re.compile(
    r"DefaultCPUAllocator: (can't allocate|not enough) memory|out of memory|ALLOC_FAILED"
    r"|could not create a (primitive(?! desc)|memory object)"  # oneDNN, which counts no bytes
)
ASKED = re.compile(
    r"tried to allocate (?P<size>[\d.]+) ?(?P<unit>bytes|[KMGTPE]iB|[KMGTPE]B)"
    r"|Unable to allocate (?P<size2>[\d.]+) (?P<unit2>bytes|[KMGTPE]iB)",
    re.IGNORECASE,
)
POWERS = {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6}
WAYS_OUT = (
    "draw fewer samples at once or smaller ones, choose another device such as the CPU, or hold "
    "the weights in half precision (bfloat16)"
)


def is_shortage(error: BaseException) -> bool:
    """Whether memory was what lacked."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or (isinstance(error, RuntimeError) and bool(SIGNS.search(str(error))))


def asked(error: BaseException) -> int | None:
    """The bytes of the request that failed; None where the error does not tell."""
    found = ASKED.search(str(error))
    if found is None:
        return None
    unit = (found["unit"] or found["unit2"]).lower()
    base = 1024 if "i" in unit else 1000
    size = float(found["size"] or found["size2"])
    return round(size * float(base) ** POWERS[unit[0]])


def reason(error: BaseException) -> str:
    """How much was asked for and what to do, after the colon of a message."""
    size = asked(error)
    wanted = "" if size is None else f"{size / 1e6:,.0f} MB were asked for and are not free; "
    return f"out of memory: {wanted}{WAYS_OUT}"


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """A want of memory inside becomes a DiffviewError: `doing` could not be done, and why.

    What a GPU's allocator kept in reserve is given back, so that the next try has all there is.
    """
    try:
        yield
    except Exception as error:
        if not is_shortage(error):
            raise
        text = f"{doing} failed: {reason(error)}"
        let_go(error)
        raise DiffviewError(text) from None


def let_go(error: BaseException) -> None:
    """Let go of what the call that raised `error` held, and give the reserve back.

    The traceback holds the call's frames and they its tensors, so those go first. Ask for the
    `reason` before, and raise another error `from None`.
    """
    for one in (error, error.__cause__, error.__context__):
        if one is not None:
            traceback.clear_frames(one.__traceback__)
    release()


def release() -> None:
    """Give back what torch keeps for later, if torch is there and uses a GPU.

    is_available is not asked: it may wake the driver.
    """
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
