"""From a moved γ slider to what follows it: this step at once, the whole run in the background.

The whole run is measured at its last step, where all of it must be sampled anew before anything
new can be seen: first for four samples in ten steps, then for all. The bare calls are those of
the four samples.
"""

from __future__ import annotations

from collections.abc import Iterator

from diffview.bench import child
from diffview.bench.measures import Plan, Reading, quantiles, reading

MOVES, STEPS, DRAGS = 200, 50, 3
QUICK_MOVES, QUICK_STEPS, QUICK_DRAGS = 10, 5, 1


def measure(plan: Plan) -> Iterator[Reading]:
    """Median and 95 % of the step, and three figures of the run."""
    said = child.window(
        "guidance",
        model=plan.model,
        moves=QUICK_MOVES if plan.quick else MOVES,
        steps=QUICK_STEPS if plan.quick else STEPS,
        drags=QUICK_DRAGS if plan.quick else DRAGS,
    )
    series = {one["series"]: one for one in said}
    note = child.note()
    step = series["guidance.step"]
    facts = {**step["facts"], **note}
    yield from quantiles("guidance.step", ("median", "p95"), step["ms"], **facts)
    drags = series["guidance.drags"]
    facts = {"steps": drags["steps"], "paints_while_dragging": drags["paints"], **note}
    yield reading("guidance.first", drags["first"], **facts)
    ratios = [first / bare for first, bare in zip(drags["first"], drags["bare"], strict=True)]
    yield reading("guidance.first.ratio", ratios, bare_ms=drags["bare"], **facts)
    yield reading("guidance.all", drags["all"], **facts)
