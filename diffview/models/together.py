"""Several runs side by side on one clock of network evaluations.

The run that has used fewest evaluations goes on, so that all of them are about as far at any time:
what is on screen while they grow is a fair comparison, not who happened to be first.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.errors import DiffviewError
from diffview.models.sampling import Model, sample_into

if TYPE_CHECKING:
    from diffview.engine.run import Guide


@dataclass(frozen=True, slots=True, eq=False)
class Runner:
    """A trajectory to be filled by its own spec, on a model, with the guide that it names."""

    trajectory: Trajectory
    model: Model
    guide: Guide | None = None


def together(
    runners: Sequence[Runner],
) -> Generator[tuple[int, StepRecord | DiffviewError], None, None]:
    """Fill all trajectories; yields which one, and its new record or the error that ended it.

    One that fails leaves the others running. close() stops all.
    """
    with ExitStack() as stack:
        going = {
            k: stack.enter_context(
                closing(sample_into(one.trajectory, one.model, guide=one.guide))
            )
            for k, one in enumerate(runners)
        }
        used = dict.fromkeys(going, 0)
        while going:
            k = min(going, key=lambda k: used[k])
            try:
                record = next(going[k], None)
            except DiffviewError as error:
                del going[k]
                yield k, error
                continue
            if record is None:
                del going[k]
            else:
                used[k] = record.nfe
                yield k, record
