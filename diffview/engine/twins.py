"""Which samples of a run come out equal: those of one seed, one condition and one past.

Noise is keyed by the seed, so a seed that is given twice gives one picture twice. It is no error:
under two labels it shows what one noise becomes.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffview.engine.spec import RunSpec


def twins(spec: RunSpec) -> tuple[int, int] | None:
    """The first two samples of a run from its seeds that will be equal; None where none are."""
    first: dict[Hashable, int] = {}
    for row in range(spec.batch):
        earlier = first.setdefault(_past(spec, row), row)
        if earlier != row:
            return earlier, row
    return None


def warning(spec: RunSpec) -> str:
    """What to tell of a checked run with samples that will be equal; "" of others."""
    found = twins(spec)
    if found is None:
        return ""
    return (
        f"seed {spec.seeds[found[0]]} is given twice: samples {found[0]} and {found[1]} will be "
        "equal; give each a seed of its own"
    )


def _past(spec: RunSpec, row: int) -> Hashable:
    """All that tells one sample of a run from the others."""
    asked = spec.condition[row] if isinstance(spec.condition, tuple) else spec.condition
    here = spec.seeds[row], asked
    origin = spec.origin
    if origin is None:
        return here
    before = origin.rows[row] if origin.rows else row
    # A state that was given may differ from row to row, and what it was is not known here.
    state = row if origin.x_t else _past(origin.parent, before)
    return here, state
