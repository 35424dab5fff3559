"""A step written out: x_t' = w0 x0_hat + w1 x_t + s z with its numbers and its terms as arrays.

The weights are those that the sampler recorded (`engine.estimate.Move`). The noise z is what the
next state has beyond the other terms, divided by s: but for rounding the z that was drawn. A
multistep sampler has terms of earlier estimates, one of several evaluations those of its stages.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from diffview.engine import samplers
from diffview.engine.estimate import Move
from diffview.engine.levels import NoiseLevel
from diffview.engine.origin import in_force
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.frames import compose, pixels, points, vector
from diffview.frames.lens import Lens
from diffview.frames.pixels import Uint8

LEAST_STD = 1e-5
"""With less fresh noise than this, rounding of float32 is no longer small beside it."""
GAP = 1e-4
"""Where sum and recorded state differ by more, the state was not made by the sum."""

NOISE_EXTENT = 3.0
_KIND = {"xt": "xt", "result": "xt", "z": "z"}

END = "The end of the run: no noise is left, so there is nothing to do."
NOT_YET = "The next step is not there yet."
THINNED = "Not every step of this run was kept, and its terms are among those that were not."
NOT_SAVED = "A saved run does not keep a step's second evaluation: run it again to see its term."
TOO_LITTLE = "So little noise is added that it cannot be told from rounding."
BY_HAND = "The next state is not this sum: it was given by hand, where a branch leaves the run."


@dataclass(frozen=True, slots=True)
class Term:
    """weight * values (*D). name: "x0hat", "xraw", "xt", "z", "past1", "stage1".

    weight is None where each value has its own: values are then the whole term.
    """

    name: str
    weight: float | None
    values: Float32

    @property
    def part(self) -> Float32:
        """What the term adds to the next state."""
        return self.values if self.weight is None else np.float32(self.weight) * self.values


@dataclass(frozen=True, slots=True)
class Update:
    """The terms of one step of one sample, and x_t' (*D), to `target`.

    gap: the largest difference of their sum and the recorded x_t', where that can be checked: no
    noise was added, and γ is the run's own. remark: what is missing, and why; "" if nothing is.
    """

    terms: tuple[Term, ...] = ()
    result: Float32 | None = None
    target: NoiseLevel | None = None
    gap: float | None = None
    remark: str = ""


def update(run: Trajectory, index: int, sample: int, scale: float | None = None) -> Update:
    """The step of record `index`; with another guidance scale as it would then have been."""
    record = run[index]
    part = in_force(run.spec, record.i)
    if record.level.sigma == 0:
        return Update(remark=END)
    if record.move is None:
        return Update(remark=samplers.find(part.sampler).no_sum)
    shown = compose.at_scale(run, record, scale)
    own, previewed = (_terms(run, one, record.move, sample) for one in (record, shown))
    if own is None or previewed is None:
        return Update(remark=THINNED if run.stride > 1 else NOT_SAVED)
    following = _next(run, index)
    if record.move.noise_std != 0:
        return _noisy(own, previewed, record.move, following, sample)
    total = _sum(previewed)
    recorded = None if following is None or shown is not record else following.x_t[sample]
    gap = None if recorded is None else float(np.abs(total - recorded).max())
    remark = BY_HAND if gap is not None and gap > GAP else ""
    target = None if following is None else following.level
    return Update(previewed, total, target, gap, remark)


def picture(record: StepRecord, name: str, values: Float32, lens: Lens | None = None) -> Uint8:
    """One array (*D) of a step as it is drawn everywhere: noise signed, all else a state.

    A point of the plane is an arrow.
    """
    if points.are_points(values.shape):
        return vector.arrow(values, _KIND.get(name, "x0hat"))
    if name == "z":
        shown = np.asarray(pixels.as_pictures(values[None]), np.float32)
        drawn: Uint8 = pixels.signed(shown, NOISE_EXTENT)[0]
        return drawn
    quantity = "xt" if name in _KIND else "x0hat"
    alone = replace(
        compose.one_sample(record, 0), x_t=values[None], x0_hat=values[None], written=None
    )
    seen: Uint8 = compose.tiles(alone, quantity, "clamp", lens).pixels[0]
    return seen


def weight_help(sampler: str, name: str) -> str:
    """How the weight of the term called `name` follows from the levels, and its source."""
    info = samplers.find(sampler)
    key = {"x0hat": "w0", "xt": "w1", "xraw": "w_raw", "z": "s"}.get(name, "")
    key = key or ("w_past" if name.startswith("past") else "w_stage")
    formula = info.weights.get(key, "")
    return f"{formula}\n{info.title}: {info.source}" if formula else f"{info.title}: {info.source}"


def _terms(
    run: Trajectory, record: StepRecord, move: Move, sample: int
) -> tuple[Term, ...] | None:
    """All terms but the noise; None where one of their estimates was not kept."""
    named = [("x0hat", move.w0, record.x0_hat)]
    if move.w_raw != 0:
        named.append(
            ("xraw", move.w_raw, record.x0_hat if record.x0_raw is None else record.x0_raw)
        )
    named.append(("xt", move.w1, record.x_t))
    for k, weight in enumerate(move.w_past, 1):
        before = _kept(run, record.i - k)
        if weight != 0 and before is None:
            return None
        if weight != 0 and before is not None:
            named.append((f"past{k}", weight, before.x0_hat))
    for k, weight in enumerate(move.w_stages, 1):
        stage = record.stages[k - 1] if k <= len(record.stages) else None
        if stage is None or stage.x0_hat is None:
            return None
        named.append((f"stage{k}", weight, stage.x0_hat))
    return tuple(Term(name, weight, values[sample]) for name, weight, values in named)


def _noisy(
    own: tuple[Term, ...],
    previewed: tuple[Term, ...],
    move: Move,
    following: StepRecord | None,
    sample: int,
) -> Update:
    """The step with the noise that was added to it; the same noise under another scale."""
    if following is None:
        return Update(previewed, remark=NOT_YET)
    added = np.asarray(following.x_t[sample] - _sum(own), np.float32)
    if math.isnan(move.noise_std):
        noise = Term("z", None, added)
    else:
        noise = Term("z", move.noise_std, np.asarray(added / np.float32(move.noise_std)))
    remark = TOO_LITTLE if move.noise_std < LEAST_STD else ""
    return Update((*previewed, noise), _sum(previewed) + added, following.level, remark=remark)


def _sum(terms: tuple[Term, ...]) -> Float32:
    total = sum(float(term.weight or 0.0) * term.values.astype(np.float64) for term in terms)
    return np.asarray(total, np.float32)


def _next(run: Trajectory, index: int) -> StepRecord | None:
    """The record of the very next step; None if that is not there, or was not kept."""
    if index + 1 >= len(run) or run[index + 1].i != run[index].i + 1:
        return None
    return run[index + 1]


def _kept(run: Trajectory, i: int) -> StepRecord | None:
    return next(_found(run, i), None)


def _found(run: Trajectory, i: int) -> Iterator[StepRecord]:
    first = i // run.stride
    yield from (run[k] for k in range(max(0, first), min(len(run), first + 2)) if run[k].i == i)
