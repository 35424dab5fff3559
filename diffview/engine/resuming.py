"""Going on from a recorded step: the sampler takes up its state and the history it still needs.

What follows is bit for bit what an uninterrupted run has there. A record's x_t is the state the
network was asked at, so with churn it lies after it, at the record's own level; where churn was
not applied, that level is the grid's.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from diffview.engine import samplers
from diffview.engine.estimate import Denoise, Estimate, Noise, Step
from diffview.engine.levels import NoiseLevel
from diffview.engine.next_token import Written
from diffview.engine.origin import (
    began,
    checksum,
    evaluations,
    first_step,
    in_force,
    rows_since,
)
from diffview.engine.samplers import SamplerInfo
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Float32, StepRecord, Trajectory, picked
from diffview.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Start:
    """A state to go on from: x_t (B, *D) of step `i`, at `level`, before its evaluation.

    past: the steps before, oldest first, as far as a multistep sampler needs them. nfe: the
    evaluations of one sample before step i. written: what is known of the i tokens in x_t, where
    a run writes token by token.
    """

    i: int
    level: NoiseLevel
    x_t: Float32
    past: tuple[StepRecord, ...] = ()
    nfe: int = 0
    written: Written | None = None


def start_at(trajectory: Trajectory, spec: RunSpec, i: int) -> Start:
    """The latest recorded state at or before step `i` that `spec` can go on from exactly.

    spec is the trajectory's own, or that of a branch off it at step i; rows that it chooses are
    not chosen yet. Where steps were left out for want of memory a multistep sampler may lack its
    history at i: it then goes on from further back. Raises InputError when step i was not
    recorded, or when no such state was.
    """
    if not 0 <= i < spec.n_steps:
        raise InputError(
            f"a run cannot go on from step {i}: choose one from 0 to {spec.n_steps - 1}"
        )
    trajectory.at(i)
    kept = {record.i: record for record in trajectory}
    for k in range(i, -1, -1):
        # Before samples were chosen from those of a parent, its state is not whole here.
        whole = not rows_since(trajectory.spec, k) or k == first_step(spec)
        if k in kept and whole and all(j in kept for j in _history(spec, k)):
            past = tuple(kept[j] for j in _history(spec, k))
            before = _nfe_before(trajectory.spec, kept, k)
            return Start(k, kept[k].level, kept[k].x_t, past, before, written_before(kept[k]))
    if rows_since(trajectory.spec, i):
        raise InputError(
            f"at step {i} these samples had not been chosen yet: go on from a later step, or from "
            "the run they were chosen from"
        )
    raise InputError(
        f"the steps that the sampler needs to go on from step {i} exactly were not kept: make "
        "the run again with a larger budget"
    )


def written_before(record: StepRecord) -> Written | None:
    """What is known of the tokens before the one that this step chose."""
    return None if record.written is None else record.written.first(record.i)


def _history(spec: RunSpec, i: int) -> range:
    """The steps that the sampler must know to go on from step `i`."""
    part = in_force(spec, i)
    return range(max(began(part), i - samplers.find(part.sampler).history), i)


def _nfe_before(spec: RunSpec, kept: Mapping[int, StepRecord], i: int) -> int:
    if i - 1 in kept:
        return kept[i - 1].nfe
    return kept[i].nfe - evaluations(in_force(spec, i), i)


def crossed(start: Start, spec: RunSpec, rows: Sequence[int], x_t: Float32 | None = None) -> Start:
    """From a state at the origin of `spec`, before `rows` were chosen, to the branch's own.

    x_t (B, *D) is the one that was given, where the origin has its checksum.
    Raises InputError when it is another.
    """
    origin = spec.origin
    if origin is None or start.i != origin.step:
        raise ValueError(f"the run does not branch off at step {start.i}")
    if origin.x_t and x_t is None:
        raise InputError(f"step {start.i} began with an x_t given by hand, which is not recorded")
    if origin.x_t and x_t is not None and checksum(x_t) != origin.x_t:
        raise InputError(
            f"the x_t of step {start.i} is not the one this run was given: its checksum differs"
        )
    needed = _history(spec, start.i)
    return Start(
        start.i,
        start.level,
        x_t if origin.x_t and x_t is not None else picked(start.x_t, rows) if rows else start.x_t,
        tuple(record.of_rows(rows) for record in start.past if record.i in needed),
        start.nfe,
        start.written.of_rows(rows) if rows and start.written else start.written,
    )


def resumed(
    info: SamplerInfo,
    denoise: Denoise,
    start: Start,
    first: int,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    x: Tensor,
    **options: Any,
) -> Generator[Step, None, None]:
    """The steps from `start` on; x is its x_t on the model's device.

    first is the step at which this sampler took over (`origin.began`): its history, and with it
    the order of its first steps, counts from there.
    """
    seen = list(levels)
    for record in start.past:
        seen[record.i] = record.level
    seen[start.i] = start.level
    if info.off_grid:  # churn has been applied to x already
        options["start"] = start.level
    steps = info.generate(
        denoise,
        x,
        seen[first:],
        lambda i: noise(i + first),
        past=_past(start, first, x),
        **options,
    )
    return _renumbered(steps, first) if first else steps


def _past(start: Start, first: int, x: Tensor) -> tuple[Step, ...]:
    import torch

    def tensor(array: Float32) -> Tensor:
        return torch.tensor(array).to(x.device, x.dtype)

    steps = tuple(
        Step(record.i - first, record.level, tensor(record.x_t), Estimate(tensor(record.x0_hat)))
        for record in start.past
        if record.i >= first
    )
    if steps or start.i == first:
        return steps
    # A sampler without a history only reads from the last of them how far it has come.
    return (Step(start.i - 1 - first, start.level, x, Estimate(x)),)


def _renumbered(steps: Generator[Step, None, None], first: int) -> Generator[Step, None, None]:
    with closing(steps):
        for step in steps:
            yield replace(step, i=step.i + first)
