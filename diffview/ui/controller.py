"""The controller: the one mutable owner of what is chosen, what is sampled and what is shown.

Wishes come in as method calls, facts go out as signals. The run under way is in runs.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.spec import RunSpec, checked
from diffview.engine.trajectory import DEFAULT_BUDGET, Trajectory
from diffview.errors import InputError
from diffview.frames.compose import Frame, ViewState
from diffview.frames.lens import PREVIEW
from diffview.models import sampling
from diffview.ui import panes, state
from diffview.ui.branches import Branches
from diffview.ui.choosing import Choosing, check
from diffview.ui.decoding import Decoding
from diffview.ui.family import Member
from diffview.ui.first_look import first_look
from diffview.ui.jobs import ModelSource
from diffview.ui.notices import notice_of
from diffview.ui.runs import Pending, Runs
from diffview.ui.screen import Screen, view_of, with_few
from diffview.ui.state import Activity, Look, Notice, Pane
from diffview.ui.workers import JobRunner


class Controller(Choosing):
    """See the module. `sources` are the models by id; the first is the default."""

    runReplaced = Signal(object)
    runGrew = Signal(object)
    frameChanged = Signal(object)
    lookChanged = Signal(object)
    activityChanged = Signal(object)
    pointed = Signal(int, int, int)
    """Sample, row and column of the shown pixel under the mouse."""
    unpointed = Signal()

    def __init__(
        self,
        sources: Mapping[str, ModelSource],
        runner: JobRunner,
        parent: QObject | None = None,
        budget: int = DEFAULT_BUDGET,
        decoder: JobRunner | None = None,
    ) -> None:
        super().__init__(sources, parent)
        self.budget = budget
        self.run: Trajectory | None = None
        self._about: dict[str, Any] = {}
        self._closed = False
        self._screen = Screen()
        self._runs = Runs(runner, self)
        self.branches = Branches(self, runner)
        self.decoding = Decoding(decoder, self)
        self._connect()

    def _connect(self) -> None:
        self._runs.activityChanged.connect(self.activityChanged)
        self._runs.advanced.connect(self._on_advanced)
        self._runs.ended.connect(self._on_ended)
        self.decoding.lensReady.connect(self._on_lens)
        self.decoding.decoded.connect(self._on_decoded)
        self.decoding.failed.connect(self._on_not_decoded)

    # -- what there is ------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """Whether it was closed: nothing starts and nothing is told any more."""
        return self._closed

    @property
    def activity(self) -> Activity:
        """What the sampling thread is doing."""
        return self._runs.activity

    @property
    def pending(self) -> Pending | None:
        """The run under way."""
        return self._runs.pending

    @property
    def frame(self) -> Frame | None:
        """What is shown, or None before the first step."""
        return self._frame()

    def announce(self) -> None:
        """Tell all of the present state to whoever has just been connected."""
        self.modelsChanged.emit(self.cards)
        self.modelChanged.emit(self.card)
        self.choicesChanged.emit(self.choices)
        self.lookChanged.emit(self.look)
        self.activityChanged.emit(self.activity)

    # -- what is chosen, and what is shown ----------------------------------------------------

    def _guide_anew(self) -> None:
        if self.run is not None and self.run.guided:
            self._set_look(guidance_scale=self._preview())
            self._show()
        shown = self.run is not None and self.run.guided and self._same_model(self.run)
        if (shown or self.pending is not None) and self.spec.guidance.kind != "none":
            self._sample_anew(redo=True)

    def _sample_anew(self, redo: bool = False) -> None:
        if self._refused():
            return
        if not self.branches.follow():
            self.request_run(redo=redo)

    def _same_model(self, run: Trajectory) -> bool:
        return (
            run.spec.model_id == self.choices.model_id and run.data_shape == self.card.data_shape
        )

    @property
    def settled(self) -> bool:
        """Whether the shown run, or the one under way, is what is chosen."""
        run = self.run if self.pending is None else self.pending.run
        if run is None or not self._same_model(run):
            return True
        try:
            return state.same_settings(run.spec, checked(self.spec))
        except InputError:
            return False

    @property
    def leaving(self) -> tuple[int, int]:
        """At which step the shown run left another, and a branch would leave now; 0: none."""
        return self.branches.leaving

    @property
    def about(self) -> dict[str, Any]:
        """What a saved run and a recipe say beside the spec: of the run that is shown."""
        return self._about

    # -- running ------------------------------------------------------------------------------

    @Slot()
    def request_run(self, redo: bool = False, show_step: int | None = None) -> None:
        """Sample as chosen. A `redo` leaves the old run on screen until it has caught up; with
        `show_step` the view follows no further than that step."""
        if self._closed or self._refused():
            return
        try:
            run = self._new_run(self.spec)
            guide = self.guide_of(run.spec)
        except InputError as error:
            self.noticed.emit(Notice(str(error), "error", topic="run"))
            return
        redo = redo and self.run is not None and self._same_model(self.run)
        few = first_look(run, self.run, self.look.index, self.card.schedule) if redo else None
        self.begin(Pending(self.source, run, few, redo, show_step, guide))

    def begin(self, pending: Pending) -> None:
        """Sample what was prepared, in place of what is under way."""
        if not self._closed:
            self.begunAnew.emit("run")
            pending.choices = self.choices
            self._runs.start(pending)

    def _refused(self) -> bool:
        """Whether a field was misread; says so."""
        if self._misread:
            self.noticed.emit(Notice(self._misread, "error", topic="run"))
        return bool(self._misread)

    def _new_run(self, spec: RunSpec) -> Trajectory:
        spec = checked(spec)
        check(spec, self.source)
        run = sampling.trajectory_for(self.card, spec, self.budget)
        if run.stride > 1:
            text = f"Only every {run.stride}th of {spec.n_steps} steps is kept: memory limit"
            self.noticed.emit(Notice(text, "warning"))
        return run

    @Slot()
    def stop(self) -> None:
        """Stop sampling after the step it is in; the frames so far stay."""
        self._runs.stop()

    @Slot(object, object)
    def _on_ended(self, pending: Pending, error: BaseException | None) -> None:
        if pending.redo and self.run is not pending.run:
            self._set_look(guidance_scale=None if self.run is None else self._preview())
        self._show()
        if error is not None:
            self.noticed.emit(notice_of(error, "run"))
        self.branches.ended(pending)

    def _preview(self) -> float | None:
        """The slider's value where it differs from the shown run's and can be shown in it."""
        scale = self.choices.guidance_scale
        if self.run is None or not self.run.guided or not math.isfinite(scale):
            return None
        if self.run.spec.guidance.kind != self.choices.guidance_kind:
            return None
        return None if self.run.spec.guidance.scale == scale else scale

    # -- looking ------------------------------------------------------------------------------

    @Slot(object)
    def _on_advanced(self, pending: Pending) -> None:
        """Bring the screen up to what was sampled."""
        caught_up = len(pending.run) > self.look.index or pending.run.complete
        grown = len(pending.run) > pending.begun  # else nothing new was sampled yet
        if self.run is not pending.run and grown and (not pending.redo or caught_up):
            choices = None if pending.redo else self.branches.choices_for(pending)
            if choices is not None:
                pending.choices = choices
                self._set_choices(choices)
            self._replace_run(pending.run, pending.about())
        if self.run is pending.run:
            self._follow()
            self.runGrew.emit(self.run)
        self._show()

    def _replace_run(self, run: Trajectory, about: Mapping[str, Any]) -> None:
        redo = self.pending is not None and self.pending.redo
        self.branches.take(run, dict(about), self.pending)
        before, self.run, self._about = self.run, run, dict(about)
        self._screen.clear()
        self.decoding.begin(self.shelf.maker_of(run, about))
        focus = None if self.look.focus is None else min(self.look.focus, run.spec.batch - 1)
        sample = min(self.look.sample, run.spec.batch - 1)
        self._set_look(guidance_scale=self._preview(), focus=focus, sample=sample)
        self._set_look(**panes.fitting(self.look, run, before))
        if not redo:
            self._set_look(following=True, index=0)
        self.runReplaced.emit(run)

    def _follow(self) -> None:
        if self.run is None:
            return
        newest = wanted = len(self.run) - 1
        if self.pending is not None and self.pending.show_step is not None:
            wanted = min(newest, self.pending.show_step // self.run.stride)
        if (self.look.following and wanted != self.look.index) or self.look.index > newest >= 0:
            self._set_look(index=wanted)

    def show_run(self, run: Trajectory, about: Mapping[str, Any] | None = None) -> None:
        """Show a finished run, from a file or from Python, and what is known about it."""
        if not len(run):
            self.noticed.emit(
                Notice("This run has no steps, so there is nothing to see.", "error")
            )
            return
        self._show_whole(run, about or {"id": run.spec.model_id}, len(run) - 1)

    def show_kept(self, member: Member) -> None:
        """Show a run that is kept, at the step that is looked at, with what it was chosen by."""
        if member.choices.model_id in self.shelf.sources:
            self._set_choices(member.choices)
        self._show_whole(member.run, member.about, min(self.look.index, len(member.run) - 1))

    def _show_whole(self, run: Trajectory, about: Mapping[str, Any], index: int) -> None:
        self._runs.drop()
        self._replace_run(run, about)
        self._set_look(index=index, following=False, guidance_scale=None)
        self.runGrew.emit(run)
        self._show()

    @Slot(int)
    def scrub_to(self, index: int) -> None:
        """Show record `index` and stop following the sampler."""
        if self.run is None or not len(self.run):
            return
        index = max(0, min(index, len(self.run) - 1))
        following = self.activity.busy and index == self.run.expected - 1
        if index != self.look.index or self.look.following != following:
            self._set_look(index=index, following=following)
            self._show()

    def step_by(self, steps: int) -> None:
        """Move the scrubber by so many records."""
        self.scrub_to(self.look.index + steps)

    @Slot(int)
    def select_sample(self, sample: int) -> None:
        """Select a sample everywhere."""
        if self.run is not None and 0 <= sample < self.run.spec.batch:
            focus = None if self.look.focus is None else sample
            self._set_look(sample=sample, focus=focus)
            self._show()

    @Slot(int)
    def focus_sample(self, sample: int) -> None:
        """Show one sample alone; -1 shows the grid again."""
        if sample < 0:
            self._set_look(focus=None)
        elif self.run is not None and sample < self.run.spec.batch:
            self._set_look(focus=sample, sample=sample)
            self._show()

    def look_as(self, look: Look) -> None:
        """Look at what is shown as it was looked at before, γ's preview at this step included."""
        last = -1 if self.run is None else len(self.run) - 1
        kept = {one.name: getattr(look, one.name) for one in fields(look)}
        self._set_look(**{**kept, "index": max(0, min(look.index, last))})
        self._show()

    def choose_pane(self, side: int, pane: Pane) -> None:
        """Choose what the left (0) or right (1) pane shows."""
        panes = (pane, self.look.panes[1]) if side == 0 else (self.look.panes[0], pane)
        self._set_look(panes=panes)
        self._show()

    @Slot(int)
    def choose_stage(self, stage: int) -> None:
        """Show another evaluation of the step, where it has several; 0 is its own."""
        self._set_look(stage=stage)
        self._show()

    def choose_strip(self, quantity: str) -> None:
        """Choose what the film strip shows."""
        self._set_look(strip=quantity)

    def _set_look(self, **changes: Any) -> None:
        look = replace(self.look, **changes)
        if look != self.look:
            self.look = look
            self.lookChanged.emit(look)

    def _show(self) -> None:
        frame = self._frame()
        if frame is None or self.run is None:
            return
        self.frameChanged.emit(frame)
        resting = not (self.activity.busy and (self.look.following or self.activity.redoing))
        if resting and frame.lens == PREVIEW:
            self.decoding.ask(self.run, view_of(self.run, self.look))

    def _frame(self) -> Frame | None:
        lens = self.decoding.quick
        frame, pending = self._screen.frame(self.run, self.look, lens), self.pending
        run, few = self.run, None if pending is None else pending.few
        if frame is None or few is None or pending is None or run is pending.run or run is None:
            return frame
        level = run[min(self.look.index, len(run) - 1)].level
        return with_few(frame, level, few.run, self.look, lens)

    @Slot()
    def _on_lens(self) -> None:
        self._screen.clear()
        if self.run is not None:
            self.runGrew.emit(self.run)
        self._show()

    @Slot(object, object, object)
    def _on_decoded(self, run: Trajectory, view: ViewState, frame: Frame) -> None:
        if run is not self.run:
            return
        self._screen.keep(view, frame)
        few = self.pending is not None and self.pending.few is not None
        if view == view_of(run, self.look) and not few:
            self.frameChanged.emit(frame)

    @Slot(object)
    def _on_not_decoded(self, error: BaseException) -> None:
        self.noticed.emit(notice_of(error, "run"))

    def close(self) -> None:
        """Stop everything; nothing is emitted and nothing starts afterwards."""
        self._closed = True
        self._runs.close()
        self.blockSignals(True)
