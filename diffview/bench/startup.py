"""From the start of the process to the painted window, beside a bare window that imports the same;
and from torch being imported to the first denoised frame on screen.

Each start is a process of its own, and the kinds take turns. "The same imports" is all that our
window had loaded when it was painted; a third kind imports the same less diffview's own modules.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from diffview.bench import child
from diffview.bench.measures import Plan, Reading, reading

STARTS, FRAMES = 7, 3
QUICK_STARTS, QUICK_FRAMES = 1, 1


def measure(plan: Plan) -> Iterator[Reading]:
    """One ratio and one time."""
    yield _window(plan)
    yield _frame(plan)


def _window(plan: Plan) -> Reading:
    # Without its first run, whose thread imports torch; it also fills the disk's cache.
    modules = _start("window", plan, alone=True)["modules"]
    foreign = [name for name in modules if name.partition(".")[0] != "diffview"]
    ours, bare, empty = [], [], []
    for _ in range(QUICK_STARTS if plan.quick else STARTS):
        ours.append(_start("window", plan)["seconds"])
        bare.append(_start("bare", plan, modules=modules)["seconds"])
        empty.append(_start("bare", plan, modules=foreign)["seconds"])
    facts = {
        "seconds": round(median(ours), 3),
        "bare_seconds": round(median(bare), 3),
        "without_our_modules_ratio": round(median(_ratios(ours, empty)), 3),
    }
    return reading("startup.window", _ratios(ours, bare), **facts, **child.note())


def _ratios(ours: list[float], others: list[float]) -> list[float]:
    return [one / other for one, other in zip(ours, others, strict=True)]


def _frame(plan: Plan) -> Reading:
    starts = [_start("frame", plan) for _ in range(QUICK_FRAMES if plan.quick else FRAMES)]
    torch = round(median(one["torch"] for one in starts), 3)
    shown = round(median(one["shown"] for one in starts), 3)
    facts = {"torch_imported_s": torch, "window_shown_s": shown}
    return reading("startup.frame", [one["seconds"] for one in starts], **facts, **child.note())


def _start(job: str, plan: Plan, **options: Any) -> dict[str, Any]:
    """One start; the child counts its seconds from here, interpreter and all."""
    (said,) = child.window(job, model=plan.model, began=time.time(), **options)
    return said
