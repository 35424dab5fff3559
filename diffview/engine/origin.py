"""Where a run left another: with its origin the recipe of a branch still says all that made it.

Up to `step` a branched run is its parent's run; from there on its own sampler, guidance, condition
and seeds hold, on the same levels. A parent may be a branch itself, and so on up to x_T. The parts
of a run are these recipes, oldest first, each in force from its own step on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from diffview.engine import samplers
from diffview.errors import InputError

if TYPE_CHECKING:
    from diffview.engine.spec import RunSpec

MAX_BRANCHES = 64


@dataclass(frozen=True, slots=True)
class Origin:
    """The recipe that was left, the step whose x_t was taken over, and what was done to that x_t.

    rows: the parent's sample that each sample goes on from; () where each goes on from its own.
    x_t: the checksum of the x_t (B, *D) that was given in its stead, "" where it is the parent's;
    its numbers are those of the recorded step.
    """

    parent: RunSpec
    step: int
    rows: tuple[int, ...] = ()
    x_t: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back."""
        return {
            "parent": self.parent.to_json(),
            "step": self.step,
            "rows": list(self.rows),
            "x_t": self.x_t,
        }


def from_json(value: object, read: Callable[[object], RunSpec]) -> Origin | None:
    """The origin that `to_json` wrote, None of None; `read` reads the parent's recipe.

    Raises TypeError or KeyError for anything else, InputError for more than MAX_BRANCHES.
    """
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError("the origin is not a JSON object")
    _check_depth(value)
    step, rows, x_t = value["step"], value["rows"], value["x_t"]
    if not isinstance(rows, list) or not all(type(k) is int for k in (step, *rows)):
        raise TypeError("the origin's step or rows are not whole numbers")
    if not isinstance(x_t, str):
        raise TypeError("the origin's checksum is not text")
    return Origin(read(value["parent"]), step, tuple(rows), x_t)


def _check_depth(value: Any) -> None:
    for _ in range(MAX_BRANCHES):
        value = value["parent"].get("origin")
        if value is None:
            return
    raise InputError(f"a run branched off more than {MAX_BRANCHES} times cannot be read")


def checked(spec: RunSpec, check: Callable[[RunSpec], RunSpec]) -> Origin | None:
    """The origin of `spec` with its parent checked. Raises InputError for what cannot be."""
    origin = spec.origin
    if origin is None:
        return None
    parent = check(origin.parent)
    if not first_step(parent) <= origin.step < spec.n_steps:
        raise InputError(
            f"a run cannot branch off at step {origin.step}: choose one from {first_step(parent)} "
            f"to {spec.n_steps - 1}"
        )
    if (parent.model_id, parent.n_steps) != (spec.model_id, spec.n_steps):
        raise InputError("a branch keeps its parent's model and number of steps")
    if len(origin.rows or parent.seeds) != spec.batch:
        raise InputError(f"a branch of {spec.batch} samples does not fit its parent's")
    if not all(0 <= row < parent.batch for row in origin.rows):
        raise InputError(f"a branch goes on from samples 0 to {parent.batch - 1} of its parent")
    return replace(origin, parent=parent)


def first_step(spec: RunSpec) -> int:
    """The step from which the settings of `spec` itself hold."""
    return 0 if spec.origin is None else spec.origin.step


def parts(spec: RunSpec) -> tuple[RunSpec, ...]:
    """The recipes that made a run one after the other, `spec` last."""
    found = [spec]
    while found[-1].origin is not None:
        found.append(found[-1].origin.parent)
    return tuple(reversed(found))


def in_force(spec: RunSpec, i: int) -> RunSpec:
    """The part whose settings made step `i`."""
    while spec.origin is not None and i < spec.origin.step:
        spec = spec.origin.parent
    return spec


def rows_since(spec: RunSpec, i: int) -> tuple[int, ...]:
    """Which sample of the part in force at step `i` each sample of the run comes from.

    () where they are the same: no branch after i chose rows.
    """
    rows: tuple[int, ...] = ()
    while spec.origin is not None and i < spec.origin.step:
        rows = composed(spec.origin.rows, rows)
        spec = spec.origin.parent
    return rows


def chosen_at(spec: RunSpec) -> int:
    """The last step at which samples were chosen from those of a parent, 0 where none were."""
    steps = [part.origin.step for part in parts(spec) if part.origin and part.origin.rows]
    return max(steps, default=0)


def composed(first: tuple[int, ...], then: tuple[int, ...]) -> tuple[int, ...]:
    """The rows of choosing `first` and of those `then`; () chooses all."""
    if not first or not then:
        return first or then
    return tuple(first[row] for row in then)


def began(spec: RunSpec) -> int:
    """The step at which the sampler of `spec` took over, where its history begins.

    A branch that keeps sampler and x_t keeps the history too: its first step is then what it is
    in a run whose guidance or condition changes there. Otherwise the sampler begins anew, as it
    does from x_T. 0 for a sampler that has no history.
    """
    if not samplers.find(spec.sampler).history:
        return 0
    while spec.origin is not None:
        parent = spec.origin.parent
        same = (parent.sampler, parent.sampler_options()) == (spec.sampler, spec.sampler_options())
        if spec.origin.x_t or not same:
            return spec.origin.step
        spec = parent
    return 0


def evaluations(spec: RunSpec, i: int) -> int:
    """Network evaluations of one sample in step `i` of a run with these settings."""
    info = samplers.find(spec.sampler)
    in_all = info.nfe_per_step if i < spec.n_steps - 1 else 1
    return in_all * (2 if spec.guidance.kind in ("cfg", "autoguidance") else 1)


def checksum(x_t: np.ndarray[Any, Any]) -> str:
    """The SHA-256 of an x_t (B, *D) as float32, shape included."""
    array = np.ascontiguousarray(x_t, np.dtype("<f4"))
    return hashlib.sha256(f"{array.shape}".encode() + array.tobytes()).hexdigest()
