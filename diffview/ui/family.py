"""The runs that belong together: what was sampled, and the branches that left it on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from diffview.engine import origin as origins
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Float32, Trajectory
from diffview.models.inverting import StepError
from diffview.ui.state import Choices


@dataclass(frozen=True, slots=True, eq=False)
class Leave:
    """Where a branch leaves `base`: at a step, with these samples of it and perhaps another x_t.

    seeds: those of the samples, where the branch is not to keep their own.
    """

    base: Member
    step: int
    rows: tuple[int, ...] = ()
    x_t: Float32 | None = None
    seeds: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A kept run, what is known about it, and the choices it was made with.

    leave: where it left its parent; None of a run from x_T. errors: of the way back, where a
    picture was inverted, called `picture`.
    """

    run: Trajectory
    about: Mapping[str, Any]
    choices: Choices
    leave: Leave | None = None
    errors: tuple[StepError, ...] = ()
    picture: str = ""

    @property
    def parent(self) -> Member | None:
        """The run that was left."""
        return None if self.leave is None else self.leave.base

    @property
    def depth(self) -> int:
        """How many runs were left on the way."""
        return 0 if self.parent is None else 1 + self.parent.depth


class Family:
    """Members in the order of a tree, within a budget of bytes; what is shown is never let go."""

    def __init__(self) -> None:
        self.members: list[Member] = []

    def of(self, run: Trajectory | None) -> Member | None:
        """The member that is this run."""
        return next((one for one in self.members if one.run is run), None)

    def add(self, member: Member, replacing: Member | None = None) -> None:
        """Take in a run, behind its parent's others, or in another's place.

        A run alone, which nothing branched off, makes room for the next.
        """
        if replacing in self.members and replacing is not None:
            self.members[self.members.index(replacing)] = member
            self._adopt(replacing, member)
        elif member.parent in self.members and member.parent is not None:
            self.members.insert(self._end_of(member.parent), member)
        elif len(self.members) == 1 and not self.members[0].picture and not member.picture:
            self.members = [member]
        else:
            self.members.append(member)

    def _adopt(self, old: Member, new: Member) -> None:
        """What left `old` before it went on left `new`, which has the same steps and more."""
        for place, one in enumerate(self.members):
            if one.leave is not None and one.leave.base is old:
                self.members[place] = replace(one, leave=replace(one.leave, base=new))

    def _end_of(self, member: Member) -> int:
        place = self.members.index(member) + 1
        while place < len(self.members) and self.members[place].depth > member.depth:
            place += 1
        return place

    def keep_within(self, budget: int, shown: Trajectory | None) -> None:
        """Let the oldest go that nothing shown or kept came from, until the rest fits."""
        while self.nbytes > budget:
            parents = {id(one.parent) for one in self.members}
            free = [m for m in self.members if id(m) not in parents and m.run is not shown]
            if not free:
                return
            self.members.remove(free[0])

    @property
    def nbytes(self) -> int:
        """Bytes of all members; what a branch shares with its parent counts once."""
        records = {id(record): record for one in self.members for record in one.run}
        return sum(record.nbytes for record in records.values())


def title(member: Member, classes: Sequence[str]) -> str:
    """A member in a few words: what a run is, or what is other in a branch.

    classes: the names of those it may ask for, the model's own or its classifier's.
    """
    spec, leave = member.run.spec, member.leave
    if member.picture:
        return f"Way back to {member.picture}"
    if leave is None:
        origin = spec.origin
        if origin is not None:
            return f"Branch at step {origin.step} of {_run(origin.parent, classes)}"
        return _run(spec, classes)
    other = ", ".join(changes(spec, leave, classes)) or "nothing changed yet"
    return f"{'    ' * (member.depth - 1)}└ step {leave.step}: {other}"


def _run(spec: RunSpec, classes: Sequence[str]) -> str:
    parts = [f"{spec.sampler} {spec.n_steps}", _gamma(spec), _condition(spec, classes)]
    return ", ".join(part for part in parts if part)


def changes(spec: RunSpec, leave: Leave, classes: Sequence[str]) -> list[str]:
    """What is other in a branch than in the run it left, in words."""
    parent = leave.base.run.spec
    found = []
    if leave.rows:
        found.append(f"sample {leave.rows[0]} × {len(leave.rows)}")
    if leave.x_t is not None:
        found.append("another x_t")
    if spec.sampler != parent.sampler:
        found.append(spec.sampler)
    if spec.guidance != parent.guidance:
        found.append(_gamma(spec) or "no guidance")
    if not leave.rows and spec.condition != parent.condition:
        found.append(_condition(spec, classes))
    if not leave.rows and spec.seeds != parent.seeds:
        found.append("other noise")
    return found + _options(spec, parent)


def _options(spec: RunSpec, parent: RunSpec) -> list[str]:
    same = spec.declared().keys() & parent.declared().keys()
    names = [n for n in spec.declared() if n in same and spec.option(n) != parent.option(n)]
    return [f"{name} {spec.option(name)}" for name in names]


def _gamma(spec: RunSpec) -> str:
    return "" if spec.guidance.kind == "none" else f"γ {spec.guidance.scale:g}"


def _condition(spec: RunSpec, classes: Sequence[str]) -> str:
    asked = spec.condition
    if asked is None:
        return "no condition"
    if isinstance(asked, tuple):
        return "one of each"
    if isinstance(asked, int) and asked < len(classes):
        return classes[asked]
    return str(asked)


def branch_steps(spec: RunSpec) -> tuple[int, ...]:
    """The steps at which a run left others, from x_T on."""
    return tuple(part.origin.step for part in origins.parts(spec) if part.origin is not None)
