"""Stepping back in, in the window: resume, branch, complete, invert, and the way between runs.

What the panels show is what holds from the step on. A branch keeps what lies before it, and the
run it left stays: nothing that was computed is lost by going on from it. Each wish has a method
that does it, and `reason` says why one cannot be done now.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine import origin as origins
from diffview.engine.spec import MAX_SEED, RunSpec
from diffview.engine.trajectory import Float32, Trajectory
from diffview.errors import InputError
from diffview.models import branching, chance, conditions
from diffview.models.branching import Branch
from diffview.ui import inversion, jobs, state
from diffview.ui.family import Family, Leave, Member
from diffview.ui.inversion import Picture
from diffview.ui.jobs import Climb, ModelSource
from diffview.ui.leaving import branched
from diffview.ui.mailbox import Mailbox
from diffview.ui.notices import notice_of
from diffview.ui.runs import GoingOn, Pending
from diffview.ui.state import Choices, Notice
from diffview.ui.workers import JobRunner

if TYPE_CHECKING:
    from diffview.ui.controller import Controller

WISHES = ("resume", "branch", "edit", "complete", "invert", "parent")
"""What `reason` knows, and the commands of the window."""
Made = TypeVar("Made")


class Branches(QObject):
    """See the module. `store` owns what is chosen and shown."""

    changed = Signal()
    """The kept runs, or what can be done."""

    def __init__(self, store: Controller, runner: JobRunner) -> None:
        super().__init__(store)
        self._store = store
        self.family = Family()
        self._waiting: Leave | None = None
        self._editing = Mailbox(runner, self)
        self._editing.told.connect(self._on_edited)
        self._editing.failed.connect(self._on_not_edited)

    # -- what there is ------------------------------------------------------------------------

    @property
    def shown(self) -> Member | None:
        """The kept run on screen."""
        return self.family.of(self._store.run)

    @property
    def maker(self) -> ModelSource | None:
        """The model that made the shown run, if it is here."""
        run = self._store.run
        return None if run is None else self._store.shelf.maker_of(run, self._store.about)

    @property
    def leaving(self) -> tuple[int, int]:
        """At which step the shown run left another, and a branch would leave now.

        0 where it did not, or on the levels that are chosen cannot.
        """
        run, maker, store = self._store.run, self.maker, self._store
        if run is None or not len(run) or maker is None or maker.card.id != store.choices.model_id:
            return 0, 0
        try:
            same = store.spec.levels(maker.card.schedule) == run.spec.levels(maker.card.schedule)
        except InputError:
            return 0, 0
        record = run[min(store.look.index, len(run) - 1)]
        left = run.spec.origin.step if run.spec.origin else 0
        return (left, record.i if record.level.sigma else 0) if same else (0, 0)

    def reason(self, wish: str, count: int = 2) -> str:
        """Why a wish (of WISHES) cannot be had now; "" where it can."""
        tries: dict[str, Callable[[], object]] = {
            "resume": self._resumed,
            "branch": lambda: self._branched(self._here()),
            "edit": self._edited,
            "complete": lambda: self._check_completions(count),
            "invert": lambda: self._way_back(Picture(Path(), "")),
            "parent": self._parent,
        }
        try:
            tries[wish]()
        except InputError as error:
            return str(error)
        return ""

    # -- wishes -------------------------------------------------------------------------------

    def resume(self) -> None:
        """Go on with a run that was stopped, bit for bit."""
        made = self._told(self._resumed)
        if made is not None and self.shown is not None:
            self._start(made, None, replacing=self.shown)

    def branch(self) -> None:
        """Sample anew from the shown step on, as chosen now; the run it leaves stays."""
        self._leave_by(self._here)

    def complete(self, count: int) -> None:
        """Complete the selected sample's x_t so many times, each with other noise."""
        self._leave_by(lambda: self._of_one(count))

    def branch_with_noise(self, first_seed: int, part: str) -> None:
        """Branch with new noise around the estimate of the shown step, in a part of it."""
        leave = self._told(self._edited)
        if leave is not None:
            record = leave.base.run.at(leave.step)
            seeds = [(first_seed + k) % (MAX_SEED + 1) for k in range(len(record.x_t))]
            self._edit(leave, lambda: jobs.renoised(record, seeds, part))

    def branch_with_file(self, path: Path) -> None:
        """Branch with the x_t in a file."""
        leave, maker = self._told(self._edited), self.maker
        if leave is not None and maker is not None:
            spec, card = leave.base.run.spec, maker.card
            self._edit(leave, lambda: jobs.read_state(path, spec, card))

    def invert(self, asked: Picture) -> None:
        """Follow a picture up to the x_T from which the chosen model comes back to it."""
        made = self._told(lambda: self._way_back(asked))
        if made is None:
            return
        climb = Climb(asked.picture, asked.name, asked.refine)
        self._store.begin(Pending(self._store.source, made, climb=climb))

    def go_to(self, member: Member) -> None:
        """Show a kept run, at the step that is looked at, and choose what it was made with."""
        if member in self.family.members and member is not self.shown:
            self._store.show_kept(member)

    def go_to_parent(self) -> None:
        """Show the run that the shown one left; one that is not kept is made again."""
        parent = self._told(self._parent)
        if isinstance(parent, Member):
            self.go_to(parent)
        elif parent is not None:
            self._regain(parent)

    def follow(self) -> bool:
        """A choice changed: make the shown branch again from where it left, if one is shown.

        So too a run whose x_T was given. False of any other, which begins from seeds.
        """
        found = self._again()
        if found is None:
            return False
        leave, replacing = found
        made = self._told(lambda: self._branched(leave, again=True), "warning")
        if made is not None:
            self._start(made, leave, redo=True, replacing=replacing)
        return True

    # -- what is kept -------------------------------------------------------------------------

    def take(self, run: Trajectory, about: dict[str, Any], pending: Pending | None) -> None:
        """Keep a run that comes on screen; `pending` is its making, if it is being made.

        It takes the place of the kept run that it makes again, unless others left that one.
        """
        if self.family.of(run) is not None:
            return
        choices = None if pending is None else pending.choices
        member = Member(run, about, choices or state.from_spec(run.spec))
        again = None
        if pending is not None:
            member, again = self._placed(member, pending)
        self.family.add(member, again)
        self.family.keep_within(self._store.budget, run)

    def _placed(self, member: Member, pending: Pending) -> tuple[Member, Member | None]:
        """The member with where it comes from, and the one whose place it takes."""
        made, shown = pending.going_on, self.shown
        if pending.climb is not None:
            return replace(member, picture=pending.climb.name), None
        if made is None:
            plain = shown is not None and shown.leave is None and not shown.picture
            return member, shown if pending.redo and plain and not self._has_left(shown) else None
        old = made.replacing
        if made.leave is None:  # resumed: the same run, with more steps
            if old is not None:
                member = replace(member, leave=old.leave, picture=old.picture)
            return member, old
        return replace(member, leave=made.leave), None if self._has_left(old) else old

    def _has_left(self, member: Member | None) -> bool:
        """Whether a kept run left it; its steps are theirs too."""
        return member is not None and any(one.parent is member for one in self.family.members)

    def choices_for(self, pending: Pending) -> Choices | None:
        """What the panels show of a run that comes on screen, if not what was chosen."""
        spec, made, now = pending.run.spec, pending.going_on, self._store.choices
        if pending.climb is not None:
            return state.from_spec(spec)
        if made is None or made.leave is None or not made.leave.rows:
            return None
        each = set(conditions.each(spec.condition, spec.batch))
        one = each.pop() if len(each) == 1 else spec.condition
        return replace(now, seeds=spec.seeds, condition=one)

    def ended(self, pending: Pending) -> None:
        """A run came to its end: what was found out with it is kept with it."""
        climb, member = pending.climb, self.family.of(pending.run)
        if climb is not None and member is not None and climb.errors:
            self.family.add(replace(member, errors=climb.errors), member)
            self._store.noticed.emit(Notice(inversion.found(climb)))
        self.family.keep_within(self._store.budget, self._store.run)  # it has grown since it came
        self.changed.emit()

    # -- making branches ----------------------------------------------------------------------

    def _told(self, make: Callable[[], Made], kind: str = "error") -> Made | None:
        """What `make` makes, or None and its reason told."""
        try:
            return make()
        except InputError as error:
            self._store.noticed.emit(Notice(str(error), kind, topic="run"))
            return None

    def _leave_by(self, where: Callable[[], Leave]) -> None:
        leave = self._told(where)
        made = None if leave is None else self._told(lambda: self._branched(leave))
        if made is not None:
            self._start(made, leave)

    def _start(
        self,
        made: Branch,
        leave: Leave | None,
        *,
        redo: bool = False,
        replacing: Member | None = None,
    ) -> None:
        begun = self._told(lambda: self._going_on(made, leave, replacing))
        source = self.maker
        if begun is not None and source is not None:
            guide = begun.by.get(made.trajectory.spec.guidance.guide)
            pending = Pending(source, made.trajectory, redo=redo, guide=guide, going_on=begun)
            self._store.begin(pending)

    def _going_on(self, made: Branch, leave: Leave | None, replacing: Member | None) -> GoingOn:
        source = self._ready()
        spec, shelf = made.trajectory.spec, self._store.shelf
        named = [part for part in origins.parts(spec) if part.guidance.guide]
        found = {part.guidance.guide: shelf.guide_of(part, source.card) for part in named}
        by = {name: guide for name, guide in found.items() if guide is not None}
        known = self._store.about if leave is None else leave.base.about
        branching.about(known, source.card, None)  # refused here if the weights are others
        return GoingOn(made, by, known, leave, replacing)

    def _ready(self) -> ModelSource:
        """The model of the shown run. Raises InputError where nothing can be gone on with."""
        run, source = self._store.run, self.maker
        if run is None or not len(run):
            raise InputError("there is no run yet: press Run first")
        if source is None:
            raise InputError(
                f"the model '{run.spec.model_id}' that made this run is not here: open its file"
            )
        return source

    def _resumed(self) -> Branch:
        source, run = self._ready(), self._store.run
        assert run is not None
        if run.complete:
            raise InputError("this run is complete: branch off it to change something")
        if self._store.activity.busy:
            raise InputError("sampling is under way: stop it first")
        return branching.resume(run, source.card)

    def _here(self) -> Leave:
        """From the shown step. Raises InputError at the clean end."""
        self._ready()
        store, member = self._store, self.shown
        if member is None:
            raise InputError("this run is still being prepared")
        record = member.run[min(store.look.index, len(member.run) - 1)]
        if record.level.sigma == 0:
            raise InputError("this is the clean end: go to an earlier step")
        return Leave(member, record.i)

    def _of_one(self, count: int) -> Leave:
        """The selected sample of the shown step, `count` times."""
        leave, run = self._here(), self._store.run
        assert run is not None
        sample = min(self._store.look.sample, run.spec.batch - 1)
        own = run.spec.seeds[sample]
        seeds = tuple((own + k) % (MAX_SEED + 1) for k in range(count))
        return replace(leave, rows=(sample,) * count, seeds=seeds)

    def _check_completions(self, count: int) -> None:
        """Raise InputError where one sample cannot be completed so often; quick in a long run."""
        leave = self._here()
        spec = self._branched(leave).trajectory.spec
        chance.check_completions(spec, self._ready().card, leave.step, count)

    def _branched(self, leave: Leave, *, again: bool = False) -> Branch:
        """A branch as chosen now. Raises InputError for what cannot be."""
        store = self._store
        return branched(leave, store.choices, self._ready(), store.shelf, again=again)

    def _way_back(self, asked: Picture) -> Trajectory:
        """The run that will lead back from x_T, empty. Raises InputError."""
        store = self._store
        return inversion.way_back(asked, store.choices, store.source, store.budget)

    def _again(self) -> tuple[Leave, Member | None] | None:
        """Where the shown branch left, or the one under way, and the kept run it would replace."""
        store, pending, member = self._store, self._store.pending, self.shown
        if pending is not None:
            made, kept = pending.going_on, self.family.of(pending.run)
            if made is None or made.leave is None:
                return None
            return made.leave, kept or made.replacing
        maker = self.maker
        if member is None or maker is None or maker.card.id != store.choices.model_id:
            return None
        if member.leave is not None:
            return member.leave, member
        if member.run.spec.origin is not None:
            return Leave(member, member.run.spec.origin.step), None
        given = member.about.get("init_noise") == "given"
        return (Leave(member, 0), None) if given else None

    # -- other states -------------------------------------------------------------------------

    def _edited(self) -> Leave:
        """Where a state can be replaced. Raises InputError where it cannot."""
        leave = self._here()
        if leave.base.run.spec.by_token:
            raise InputError("this model's state is the tokens so far: there is no x_t to replace")
        self._branched(leave)  # not with an x_t: to add its checksum up takes time
        return leave

    def _edit(self, leave: Leave, make: Callable[[], Iterator[Float32]]) -> None:
        self._store.stop()
        self._waiting = leave
        self._editing.put(make)

    @Slot(object)
    def _on_edited(self, x_t: Float32) -> None:
        leave, self._waiting = self._waiting, None
        if leave is not None and leave.base is self.shown:
            self._leave_by(lambda: replace(leave, x_t=x_t))

    @Slot(object)
    def _on_not_edited(self, error: BaseException) -> None:
        self._waiting = None
        self._store.noticed.emit(notice_of(error, "run"))

    # -- the run that was left ----------------------------------------------------------------

    def _parent(self) -> Member | Branch | RunSpec:
        """The run that the shown one left, or what makes it again. Raises InputError."""
        member = self.shown
        if member is None or (member.leave is None and member.run.spec.origin is None):
            raise InputError("this run is no branch: it has left no other")
        parent = member.parent
        return parent if parent in self.family.members and parent else self._regained(member)

    def _regained(self, member: Member) -> Branch | RunSpec:
        """What makes the run again that is not kept: its last step on, or all of it."""
        source, origin = self._ready(), member.run.spec.origin
        assert origin is not None
        try:
            return branching.parent_of(member.run, source.card)
        except InputError:
            from_seeds = member.about.get("init_noise") != "given"
            if from_seeds and origin.parent.origin is None:
                return origin.parent
            raise

    def _regain(self, made: Branch | RunSpec) -> None:
        spec = made if isinstance(made, RunSpec) else made.trajectory.spec
        choices, about = state.from_spec(spec), self._store.about
        problem = self._store.restore(choices, about, spec.origin)
        if problem:
            self._store.noticed.emit(Notice(problem, "warning", topic="run"))
        elif isinstance(made, RunSpec):
            self._store.request_run()
        else:
            self._start(made, None)
