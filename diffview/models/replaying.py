"""A saved run made once more and compared with what was saved: step by step, tensor by tensor.

Every record comes from its own recipe, through each branch from x_T on. What a recipe cannot say,
a given x_T or an edited x_t, is taken from the recorded step. Only where samples were chosen from
a parent that began with given numbers is the replay from the choice on: the rest is not in the
file.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diffview.engine import origin as origins
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.errors import InputError
from diffview.models import branching
from diffview.models.sampling import Model

if TYPE_CHECKING:
    from diffview.engine.resuming import Start
    from diffview.engine.run import Guide

SHOWN = {"x_t": "x_t", "x0_hat": "x̂₀", "x0_raw": "x̂₀ before clipping", "level": "the noise level"}


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one tensor of one step differs: at most, and over its largest value.

    sample: where it differs most. Of "level" it is the difference of alpha or sigma.
    """

    i: int
    t: float
    name: str
    largest: float
    relative: float
    sample: int = 0

    def __str__(self) -> str:
        shown = SHOWN.get(self.name, self.name)
        where = "" if self.name == "level" else f" (sample {self.sample})"
        return (
            f"step {self.i} (t = {self.t:g}): {shown} differs by up to {self.largest:.3g}, "
            f"{self.relative:.2g} of its largest value{where}"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a replay found: the first difference above the tolerance, and the largest of all.

    steps: how many recorded steps were compared. since: the step from which it was replayed.
    """

    first: Difference | None
    largest: float
    steps: int
    since: int = 0

    @property
    def equal(self) -> bool:
        """Whether no step differs by more than the tolerance."""
        return self.first is None


def verdict(found: Sequence[Difference], tolerance: float = 0.0, since: int = 0) -> Verdict:
    """The verdict on all differences of a replay, in the order of the run."""
    # What is not a number is above any tolerance, and the largest of all.
    first = next((one for one in found if not one.largest <= tolerance), None)
    largest = max((one.largest for one in found), key=lambda gap: (gap != gap, gap), default=0.0)
    return Verdict(first, largest, len({one.i for one in found}), since)


def replayed_from(run: Trajectory, about: Mapping[str, Any]) -> int:
    """The step from which the run can be replayed: 0, or where its samples were chosen."""
    given = about.get("init_noise") == "given"
    for part in origins.parts(run.spec):
        origin = part.origin
        if origin is not None and origin.rows and given:
            return origins.chosen_at(run.spec)
        given = given or bool(origin and origin.x_t)
    return 0


def replay(
    run: Trajectory,
    about: Mapping[str, Any],
    model: Model,
    by: Mapping[str, Guide] | None = None,
) -> Generator[StepRecord, None, None]:
    """The run's records made anew, from `replayed_from` on, also of steps that were not kept.

    by are the models that guidance names, by id.
    """
    if run.data_shape != model.data_shape:
        raise InputError(
            f"the run has samples of shape {run.data_shape}, model '{model.card.id}' makes "
            f"{model.data_shape}: give the right one with --model"
        )
    first = replayed_from(run, about)
    start = _start(run, first, given=about.get("init_noise") == "given")
    with closing(branching.follow(model, run.spec, start, branching.given_in(run), by)) as made:
        for record in made:
            yield record.of_rows(origins.rows_since(run.spec, record.i))


def _start(run: Trajectory, first: int, *, given: bool) -> Start | None:
    from diffview.engine.resuming import Start, start_at

    if first > 0:
        return start_at(run, run.spec, first)
    # Of a given x_T the record is the state after churn, at the level that churn raised it to.
    return Start(0, run[0].level, run[0].x_t) if given else None


def compared(
    run: Trajectory,
    about: Mapping[str, Any],
    model: Model,
    by: Mapping[str, Guide] | None = None,
) -> Generator[tuple[int, list[Difference]], None, None]:
    """Each step replayed and how its tensors differ, those that do not included; to the last kept.

    [] where the step was not kept.
    """
    saved = {record.i: record for record in run}
    with closing(replay(run, about, model, by)) as made:
        for record in made:
            yield record.i, _compared(saved[record.i], record) if record.i in saved else []
            if record.i == max(saved):
                return


def _compared(saved: StepRecord, again: StepRecord) -> list[Difference]:
    levels = [abs(getattr(saved.level, n) - getattr(again.level, n)) for n in ("alpha", "sigma")]
    level = Difference(saved.i, saved.level.t, "level", max(levels), max(levels))
    new = again.arrays()
    return [level] * (max(levels) > 0) + [
        _difference(saved, name, array, new[name]) for name, array in saved.arrays().items()
    ]


def _difference(saved: StepRecord, name: str, old: Float32, new: Float32) -> Difference:
    gaps = np.abs(old.astype(np.float64) - new).reshape(len(old), -1).max(axis=1)
    sample = int(np.argmax(gaps))  # of values that are no numbers the first
    largest, size = float(gaps[sample]), float(np.abs(old).max())
    relative = largest / size if size > 0 else (0.0 if largest == 0 else float("inf"))
    return Difference(saved.i, saved.level.t, name, largest, relative, sample)
