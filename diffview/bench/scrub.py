"""From a moved scrubber to painted panes, while nothing else happens and while a sampler runs.

Also the gaps of a 60 Hz timer in the window's thread while it samples: whether it stays fluid.
"""

from __future__ import annotations

from collections.abc import Iterator

from diffview.bench import child
from diffview.bench.measures import Plan, Reading, quantiles

MOVES, STEPS, GAP_SECONDS = 300, 50, 4.0
QUICK_MOVES, QUICK_STEPS, QUICK_GAP_SECONDS = 10, 5, 0.5


def measure(plan: Plan) -> Iterator[Reading]:
    """Median and 95 % of both, and of the gaps."""
    said = child.window(
        "scrub",
        model=plan.model,
        moves=QUICK_MOVES if plan.quick else MOVES,
        steps=QUICK_STEPS if plan.quick else STEPS,
        gap_seconds=QUICK_GAP_SECONDS if plan.quick else GAP_SECONDS,
    )
    series = {one["series"]: one for one in said}
    for name in ("scrub.idle", "scrub.sampling"):
        facts = {**series[name]["facts"], **child.note()}
        yield from quantiles(name, ("median", "p95"), series[name]["ms"], **facts)
    idle = {"idle_p95_ms": series["scrub.idle_gap"]["p95"]}
    gaps = series["scrub.gap"]["ms"]
    yield from quantiles("scrub.gap", ("p95", "p99"), gaps, **idle, **child.note())
