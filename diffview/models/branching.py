"""Stepping back in: a recorded run is resumed, branched, completed several times, or replayed.

    branch(parent, card, k, guidance=5.0) -> Branch(trajectory, start) -> continue_into(...)

What lies before step k is shared with the parent: the same records, no copy. The branch's recipe
names the parent's (`engine/origin.py`), so it can be saved, loaded, replayed and branched again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np

from diffview.engine import compat, samplers
from diffview.engine import origin as origins
from diffview.engine import spec as specs
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import CLIP_RANGE, RUN_OPTIONS, Value
from diffview.engine.origin import Origin
from diffview.engine.spec import MAX_SAMPLES, MAX_SEED, Condition, Guidance, RunSpec
from diffview.engine.trajectory import Float32, StepRecord, Trajectory, picked
from diffview.errors import InputError
from diffview.models import chance, conditions, guides, sampling
from diffview.models.card import ModelCard
from diffview.models.sampling import Label, Model, Prompt

if TYPE_CHECKING:
    from diffview.engine.resuming import Start
    from diffview.engine.run import Guide

    Guides = Mapping[str, Guide]


class Unchanged(Enum):
    """Stands for a label or prompt that stays what it is, where None means none at all."""

    UNCHANGED = "unchanged"


UNCHANGED = Unchanged.UNCHANGED


@dataclass(frozen=True, slots=True)
class Branch:
    """A run that has its beginning: where it goes on from, and what `continue_into` fills.

    given: the x_t of steps still to come that were given by hand.
    """

    trajectory: Trajectory
    start: Start
    given: Mapping[int, Float32] = field(default_factory=dict)


def resume(run: Trajectory, card: ModelCard, k: int | None = None) -> Branch:
    """The run from step `k` on once more, or, without k, from its last record on.

    It becomes bit for bit what it was, or would have been. Raises InputError for a step that was
    not recorded, or after which nothing is left to do.
    """
    from diffview.engine.resuming import start_at

    if k is None:
        k = _last(run)
    start = start_at(run, run.spec, k)
    beginning = run.before(k, run.spec, planned=_planned(card, run.spec, run.stride))
    return Branch(beginning, start, given_in(run))


def parent_of(run: Trajectory, card: ModelCard) -> Branch:
    """The run that a branch left, from its last step before it on: bit for bit what it became.

    Raises InputError where too little of it is in the branch: samples were chosen, or it left at
    the first step.
    """
    origin = run.spec.origin
    if origin is None:
        raise InputError("this run is no branch, so it has left no other")
    planned = _planned(card, origin.parent, run.stride)
    before = run.before(origin.step, origin.parent, planned=planned)
    if origin.rows or not len(before):
        what = "only some samples of that run" if origin.rows else "none of that run's steps"
        raise InputError(f"{what} are in this branch: open that run's own file, or make it again")
    return resume(before, card)


def given_in(run: Trajectory) -> dict[int, Float32]:
    """The x_t that branches on the way of a recorded run were given by hand, by step."""
    kept = {record.i: record.x_t for record in run}
    branched = [part.origin for part in origins.parts(run.spec) if part.origin is not None]
    edited = [origin.step for origin in branched if origin.x_t]
    return {step: kept[step] for step in edited if step in kept}


def branch(
    run: Trajectory,
    card: ModelCard,
    k: int,
    *,
    guidance: float | Guidance | None = None,
    label: Label | Unchanged = UNCHANGED,
    prompt: Prompt | Unchanged = UNCHANGED,
    negative_prompt: str | Unchanged | None = UNCHANGED,
    sampler: str | None = None,
    seeds: Sequence[int] | None = None,
    options: Mapping[str, Value] | None = None,
    x_t: Float32 | None = None,
    rows: Sequence[int] = (),
    judge: ModelCard | None = None,
    guidable: bool = True,
) -> Branch:
    """The run with other settings from step `k` on; what is not given stays as it is.

    guidance is gamma, or all of it. Another sampler comes with its own options, and begins anew: a
    multistep one at first order. seeds are for the noise from k on. x_t (B, *D) is the state at
    step k in the recorded one's stead. rows chooses samples of the run, each as often as it is
    named. judge and guidable: see `sampling.spec_for`.
    Raises InputError for what cannot be, or would change nothing it was asked to.
    """
    from diffview.engine.resuming import crossed, start_at

    if not 0 <= k < run.spec.n_steps:
        raise InputError(
            f"a run cannot branch off at step {k}: choose one from 0 to {run.spec.n_steps - 1}"
        )
    rows = tuple(rows)
    state = _of_rows(run.at(k).x_t, rows)
    given = state if x_t is None else _given(x_t, state.shape)
    spec = replace(
        run.spec,
        seeds=_seeds(run.spec, rows, seeds),
        condition=_condition(_labelled(card, judge), run.spec, rows, label, prompt),
        origin=_origin(run.spec, k, rows, given, edited=x_t is not None),
    )
    spec = _ranged(_steered(spec, card, guidance, negative_prompt, guidable=guidable), card)
    asked = {**_clip(run.spec, spec, card), **(options or {})}
    spec = specs.checked(replace(spec, **_sampled_by(spec, card, sampler, asked)))
    spec = sampling.settled(spec, card, asked, guidable=guidable)
    _check(spec, card, k, other_seeds=seeds is not None and not rows)
    start = start_at(run, spec, k)
    if start.i == k:
        start = crossed(start, spec, rows, given)
    return Branch(run.before(k, spec, rows, _planned(card, spec, run.stride)), start)


def about(
    known: Mapping[str, Any], card: ModelCard, guide: ModelCard | None, *, device: str = ""
) -> dict[str, Any]:
    """What a branch keeps beside its recipe, from what is known of the run it goes on from.

    Raises InputError when that was made with other weights: both would pass for one run.
    """
    saved = sampling.weights_of(known)
    if saved and card.weights_sha256 and saved != card.weights_sha256:
        raise InputError(
            f"the run was made with other weights (sha256 {saved[:12]}...) than model "
            f"'{card.id}' has ({card.weights_sha256[:12]}...): it cannot be gone on with"
        )
    given = known.get("init_noise") == "given"
    now = sampling.about(card, device=device, given_noise=given) | guides.about(guide)
    earlier = dict(known.get("guides") or {})
    if guide is not None:
        earlier[guide.id] = guide.weights_sha256
    return {**known, **now, **({"guides": earlier} if earlier else {})}


def complete(
    run: Trajectory,
    card: ModelCard,
    k: int,
    n: int,
    *,
    sample: int = 0,
    seeds: Sequence[int] | None = None,
    guidance: float | Guidance | None = None,
    sampler: str | None = None,
    options: Mapping[str, Value] | None = None,
    guidable: bool = True,
) -> Branch:
    """One sample of the run completed `n` times from its x_t at step `k`, each with other noise.

    The first keeps the sample's own seed and ends as the run did, the others have the seeds after
    it, unless `seeds` are given. Raises InputError where no noise would come in any more: choose
    a sampler that adds some.
    """
    if not 1 <= n <= MAX_SAMPLES:
        raise InputError(f"a state cannot be completed {n} times: choose 1 to {MAX_SAMPLES}")
    if not 0 <= sample < run.spec.batch:
        raise InputError(f"there is no sample {sample}: the run has 0 to {run.spec.batch - 1}")
    own = run.spec.seeds[sample]
    keys = [(own + j) % (MAX_SEED + 1) for j in range(n)] if seeds is None else list(seeds)
    if len(keys) != n:
        raise InputError(f"{_given_seeds(keys)} for {n} completions; give one for each")
    made = branch(
        run,
        card,
        k,
        guidance=guidance,
        seeds=keys,
        sampler=sampler,
        options=options,
        rows=(sample,) * n,
        guidable=guidable,
    )
    chance.check_completions(made.trajectory.spec, card, k, n)
    return made


def continue_into(
    run: Branch, model: Model, by: Guides | None = None
) -> Generator[StepRecord, None, None]:
    """Sample a branch to its end; each record from its step on is yielded after it was offered.

    by are the models that guidance names, by id. What was recorded before an error or a
    close() stays.
    """
    spec, begun = run.trajectory.spec, len(run.trajectory)
    first = run.trajectory[-1].i + 1 if begun else 0
    with closing(follow(model, spec, run.start, run.given, by)) as records:
        for record in records:
            if record.i >= first:
                run.trajectory.append(record)
                yield record


def follow(
    model: Model,
    spec: RunSpec,
    start: Start | None = None,
    given: Mapping[int, Float32] | None = None,
    by: Guides | None = None,
) -> Generator[StepRecord, None, None]:
    """The records of `spec` from `start` (else from x_T) on, through each branch on its way.

    Records come with the samples of their own part. given: the x_t that were given by hand, by
    step. At each branch its parent makes one evaluation more than it is recorded for.
    """
    from diffview.engine.resuming import Start, crossed, written_before

    for part, following in _parts(spec, -1 if start is None else start.i):
        end = origins.first_step(following) if following is not None else spec.n_steps + 1
        recent = deque(() if start is None else start.past, maxlen=max(1, _history(part)))
        guide = (by or {}).get(part.guidance.guide)
        with closing(sampling.records(model, part, guide=guide, start=start)) as records:
            for record in records:
                if record.i == end:
                    break
                yield record
                recent.append(record)
        if following is not None and following.origin is not None:
            nfe = recent[-1].nfe if recent else 0
            written = written_before(record)
            here = Start(end, record.level, record.x_t, tuple(recent), nfe, written)
            start = crossed(here, following, following.origin.rows, (given or {}).get(end))


def _parts(spec: RunSpec, i: int) -> list[tuple[RunSpec, RunSpec | None]]:
    """The parts in force from step `i` on, each with the one after it."""
    left = list(origins.parts(spec))
    while len(left) > 1 and origins.first_step(left[1]) <= i:
        left.pop(0)
    return list(zip(left, [*left[1:], None], strict=True))


def _history(part: RunSpec) -> int:
    return samplers.find(part.sampler).history


def _last(run: Trajectory) -> int:
    if not len(run):
        raise InputError("this run has no steps yet, so there is none to go on from")
    if run.complete:
        raise InputError("this run is complete: say from which step on it shall be made again")
    return run[-1].i


def _planned(card: ModelCard, spec: RunSpec, stride: int) -> list[NoiseLevel]:
    return sampling.planned(spec.levels(card.schedule), stride)


def _of_rows(x_t: Float32, rows: tuple[int, ...]) -> Float32:
    if rows and not all(0 <= row < len(x_t) for row in rows):
        raise InputError(f"there is no such sample in {list(rows)}: the run has {len(x_t)}")
    return picked(x_t, rows) if rows else x_t


def _given(x_t: Float32, shape: tuple[int, ...]) -> Float32:
    array = np.array(x_t, np.float32)
    if array.shape != shape:
        raise InputError(f"the given x_t has shape {array.shape}, this branch needs {shape}")
    if not np.isfinite(array).all():
        raise InputError("the given x_t has values that are NaN or infinite")
    return array


def _seeds(spec: RunSpec, rows: tuple[int, ...], seeds: Sequence[int] | None) -> tuple[int, ...]:
    own = tuple(spec.seeds[row] for row in rows) if rows else spec.seeds
    if seeds is None:
        return own
    if len(seeds) != len(own):
        raise InputError(f"{_given_seeds(seeds)} for {len(own)} samples; give one for each")
    return tuple(seeds)


def _given_seeds(seeds: Sequence[int]) -> str:
    return "1 seed was given" if len(seeds) == 1 else f"{len(seeds)} seeds were given"


def _labelled(card: ModelCard, judge: ModelCard | None) -> ModelCard:
    return card if judge is None or card.classes or card.takes_text else judge


def _condition(
    card: ModelCard,
    spec: RunSpec,
    rows: tuple[int, ...],
    label: Label | Unchanged,
    prompt: Prompt | Unchanged,
) -> Condition:
    batch = len(rows) or spec.batch
    if label is not UNCHANGED or prompt is not UNCHANGED:
        asked = None if label is UNCHANGED else label
        words = None if prompt is UNCHANGED else prompt
        return sampling.condition_for(card, asked, words, batch)
    if rows and isinstance(spec.condition, tuple):
        each = conditions.each(spec.condition, spec.batch)
        return tuple(each[row] for row in rows)  # type: ignore[return-value]
    return spec.condition


def _origin(spec: RunSpec, k: int, rows: tuple[int, ...], x_t: Float32, *, edited: bool) -> Origin:
    """Where a branch of `spec` leaves it: the part that made what lies before step k.

    A part that begins at k itself has made nothing of that, so the branch takes its place.
    """
    part = origins.in_force(spec, k)
    rows = origins.composed(origins.rows_since(spec, k), rows)
    if part.origin is not None and part.origin.step == k:
        edited = edited or bool(part.origin.x_t)
        rows = origins.composed(part.origin.rows, rows)
        part = part.origin.parent
    return Origin(part, k, rows, origins.checksum(x_t) if edited else "")


def _steered(
    spec: RunSpec,
    card: ModelCard,
    guidance: float | Guidance | None,
    negative: str | Unchanged | None,
    *,
    guidable: bool,
) -> RunSpec:
    """The spec under this guidance; what it has no use for goes with the old one."""
    old = spec.guidance
    steerable = spec.condition is not None or old.kind == "autoguidance"
    if isinstance(guidance, Guidance):
        new = guidance
    elif old.kind == "none" or not steerable:
        new = sampling.guidance_for(card, guidance, spec.condition, guidable=guidable)
    else:
        new = old if guidance is None else replace(old, scale=float(guidance))
    kept = spec.negative if new.kind == "cfg" else None
    return replace(spec, guidance=new, negative=kept if negative is UNCHANGED else negative)


def _clip(parent: RunSpec, spec: RunSpec, card: ModelCard) -> Mapping[str, Value]:
    """What a run has by default under the guidance that begins here, unless it chose before."""
    if parent.guidance.kind == spec.guidance.kind or "clip" in dict(parent.options):
        return {}
    return sampling.clip_for(card, spec.guidance)


def _ranged(spec: RunSpec, card: ModelCard) -> RunSpec:
    """The spec with the range of the data, of which a run that clips nothing keeps no note."""
    own = sampling.card_options(card, spec.sampler)
    if CLIP_RANGE.name not in own or spec.option("clip") != "none":
        return spec
    return replace(spec, options=(*spec.options, (CLIP_RANGE.name, own[CLIP_RANGE.name])))


def _sampled_by(
    spec: RunSpec, card: ModelCard, sampler: str | None, asked: Mapping[str, Value]
) -> dict[str, Any]:
    """Sampler and options: another sampler brings its own and keeps those of every run."""
    if sampler is None or sampler == spec.sampler:
        return {"options": tuple({**dict(spec.options), **asked}.items())}
    _check_kinds(spec, sampler)
    declared = specs.declared_options(sampler)
    shared = {option.name for option in RUN_OPTIONS} & declared.keys()
    kept = {name: value for name, value in spec.options if name in shared}
    own = {n: v for n, v in sampling.card_options(card, sampler).items() if n not in shared}
    return {"sampler": sampler, "options": tuple({**own, **kept, **asked}.items())}


def _check_kinds(spec: RunSpec, sampler: str) -> None:
    """Raise InputError where diffusers' own levels are kept, and the other kind has none."""
    flows = compat.FLOW
    if spec.option("compat") != "none" and (spec.sampler in flows) != (sampler in flows):
        raise InputError(
            "this run is on the levels of diffusers' own scheduler (compat=diffusers), on which "
            f"sampler '{sampler}' has no counterpart: make the run anew with compat=none "
            "(--option compat=none), and branch off that"
        )


def _check(spec: RunSpec, card: ModelCard, k: int, *, other_seeds: bool) -> None:
    if spec.origin is not None:
        parent = spec.origin.parent
        if spec.levels(card.schedule) != parent.levels(card.schedule):
            raise InputError(
                "a branch stays on the levels of the run it leaves: schedule, spacing, its "
                "options and compat cannot be changed on the way"
            )
    if other_seeds and not chance.adds_noise(spec, card):
        raise InputError(
            f"sampler '{spec.sampler}' {chance.lacks(spec)} after step {k}, so other seeds would "
            f"change nothing: {chance.instead(spec)}"
        )
