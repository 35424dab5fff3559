"""Particles in the 2-D lab: frames a second while the scrubber moves, beside pyqtgraph's plots."""

from __future__ import annotations

from collections.abc import Iterator

from diffview.bench import child
from diffview.bench.measures import Plan, Reading, reading

ROUNDS, QUICK_ROUNDS = 150, 6


def measure(plan: Plan) -> Iterator[Reading]:
    """Frame rates of dots and histogram, and their ratios to the other plots' of the same points.

    The ratio is that of the times of two frames that followed each other.
    """
    said = child.window("plane", rounds=QUICK_ROUNDS if plan.quick else ROUNDS)
    for series in said:
        name, ours, theirs = series["series"], series["ms"], series["other_ms"]
        facts = {**series["facts"], **child.note()}
        yield reading(name, [1e3 / ms for ms in ours], **facts)
        ratios = [other / ms for ms, other in zip(ours, theirs, strict=True)]
        yield reading(f"{name}.ratio", ratios, **facts)
