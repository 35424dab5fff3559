"""One clock for runs of any kind: a tick is one evaluation of the network for one sample.

At tick n a run shows what it knows after n evaluations. A state needs those of the steps before it
alone, so x_T and an empty picture are there at tick 0; what is derived from a step's own
evaluation comes with it.
"""

from __future__ import annotations

from bisect import bisect_right

from diffview.engine.trajectory import Trajectory

STATE = "xt"
"""The quantity of frames.quantities that needs no evaluation of its own step."""


def used(run: Trajectory, tick: int) -> int:
    """How many evaluations the run has used at `tick`: no more than it makes at all."""
    return max(0, min(tick, run.nfe))


def record_at(run: Trajectory, tick: int, quantity: str = STATE) -> int | None:
    """The index of the newest record whose `quantity` is known at `tick`, None before the first.

    A step that asks twice, as guidance does, is known once both answers are.
    """
    known = bisect_right(range(len(run)), tick, key=lambda k: run[k].nfe)
    if quantity == STATE:
        known = min(known + 1, len(run))
    return known - 1 if known else None


def expected(run: Trajectory) -> int:
    """All evaluations the run will have made: exact at its end, until then as it went so far."""
    if run.complete:
        return run.nfe
    if not len(run):
        return (1 + (run.spec.guidance.kind == "cfg")) * run.spec.n_steps
    last = run[-1]
    return max(last.nfe, round(last.nfe / (last.i + 1) * run.spec.n_steps))
