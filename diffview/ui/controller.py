"""The controller: the one mutable owner of what is chosen, what is sampled and what is shown.

Wishes come in as method calls, facts go out as signals. The run under way is in runs.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.options import Value
from diffview.engine.spec import Condition, Curve, RunSpec, checked, conflicts
from diffview.engine.trajectory import DEFAULT_BUDGET, Trajectory
from diffview.errors import InputError
from diffview.frames.compose import Frame, ViewState
from diffview.frames.lens import PREVIEW
from diffview.models import catalog, guides, sampling
from diffview.models.card import ModelCard
from diffview.ui import guide_source, outlook, panes, state
from diffview.ui.decoding import Decoding
from diffview.ui.guide_source import GuideSource
from diffview.ui.history import History
from diffview.ui.jobs import ModelSource
from diffview.ui.notices import notice_of
from diffview.ui.outlook import Outlook
from diffview.ui.runs import Pending, Runs, few_of
from diffview.ui.screen import Screen, view_of, with_few
from diffview.ui.state import Activity, Choices, Look, Notice, Pane
from diffview.ui.workers import JobRunner


class Controller(QObject):
    """See the module. `sources` are the models by id; the first is the default."""

    choicesChanged = Signal(object)
    modelChanged = Signal(object)
    modelsChanged = Signal(object)
    runReplaced = Signal(object)
    runGrew = Signal(object)
    frameChanged = Signal(object)
    lookChanged = Signal(object)
    activityChanged = Signal(object)
    noticed = Signal(object)
    begunAnew = Signal(str)
    """A topic of notices that is over."""
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
        super().__init__(parent)
        self._sources = dict(sources)
        self._guides = guide_source.bundled()
        self.budget = budget
        self.choices = state.defaults(next(iter(self._sources.values())).card)
        self.look = Look()
        self.run: Trajectory | None = None
        self._about: dict[str, Any] = {}
        self._closed = False
        self._history = History()
        self._screen = Screen()
        self._runs = Runs(runner, self)
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
    def card(self) -> ModelCard:
        """The card of the chosen model."""
        return self.source.card

    @property
    def cards(self) -> list[ModelCard]:
        """The cards of all models that can be chosen."""
        return [source.card for source in self._sources.values()]

    @property
    def known(self) -> list[ModelCard]:
        """The cards of all models, those that only guide among them."""
        return [*self.cards, *(guide.card for guide in self._guides.values())]

    @property
    def outlook(self) -> Outlook:
        """What stands against the choices and their alternatives."""
        guidable = self.source.guidable
        return outlook.outlook(self.choices, self.card, self.known, guidable=guidable)

    @property
    def source(self) -> ModelSource:
        """The chosen model, to be opened in a worker's thread."""
        return self._sources[self.choices.model_id]

    @property
    def activity(self) -> Activity:
        """What the sampling thread is doing."""
        return self._runs.activity

    @property
    def _pending(self) -> Pending | None:
        return self._runs.pending

    @property
    def frame(self) -> Frame | None:
        """What is shown, or None before the first step."""
        return self._frame()

    def add_source(self, source: ModelSource) -> None:
        """Offer one more model, or a known one anew, and choose it.

        One that has the id of another model, but weights of its own, gets an id of its own.
        """
        source.card = catalog.told_apart(source.card, self.cards)
        self._sources[source.card.id] = source
        self.modelsChanged.emit(self.cards)
        if source.card.id != self.choices.model_id:
            self.choose_model(source.card.id)
        else:
            self.modelChanged.emit(source.card)
            self.choicesChanged.emit(self.choices)
            self.request_run()

    def add_guide(self, guide: GuideSource) -> None:
        """Offer one more classifier, and choose it where it fits."""
        self._guides[guide.card.id] = guide
        self.modelsChanged.emit(self.cards)
        self.choicesChanged.emit(self.choices)
        kind = guides.kind_of(guide.card)
        reason = guides.reason_against(self.card, guide.card, kind)
        if reason:
            text = f"'{guide.card.title}' is here, but cannot guide the chosen model: {reason}"
            self.noticed.emit(Notice(text, "warning"))
        else:
            self._choose(replace(self.choices, guidance_kind=kind, guide=guide.card.id))
            self.request_run(redo=True)

    def announce(self) -> None:
        """Tell all of the present state to whoever has just been connected."""
        self.modelsChanged.emit(self.cards)
        self.modelChanged.emit(self.card)
        self.choicesChanged.emit(self.choices)
        self.lookChanged.emit(self.look)
        self.activityChanged.emit(self.activity)

    # -- choices ------------------------------------------------------------------------------

    @Slot(str)
    def choose_model(self, model_id: str) -> None:
        """Choose another model and run it."""
        if model_id not in self._sources or model_id == self.choices.model_id:
            return
        self._choose(state.adapted(self.choices, self._sources[model_id].card))
        self.request_run()

    @Slot(str)
    def choose_sampler(self, name: str) -> None:
        """Choose another sampler for the next run."""
        self._choose(self.choices.with_sampler(name))

    @Slot(int)
    def choose_steps(self, n_steps: int) -> None:
        """Choose the number of steps of the next run."""
        self._choose(replace(self.choices, n_steps=n_steps))

    @Slot(str)
    def choose_spacing(self, spacing: str) -> None:
        """Choose how the next run's steps are spaced."""
        self._choose(self.choices.with_spacing(spacing, self.card))

    def choose_condition(self, condition: Condition) -> None:
        """Choose a class (or several, or none) and run."""
        if condition != self.choices.condition:
            self._choose(replace(self.choices, condition=condition))
            self.request_run(redo=not self.look.following)

    def choose_seeds(self, first: int, count: int) -> None:
        """Choose `count` samples with seeds from `first` on."""
        self._choose(replace(self.choices, seeds=tuple(range(first, first + count))))

    def choose_option(self, name: str, value: Value) -> None:
        """Choose an option of the sampler."""
        self._choose(self.choices.with_option(name, value))

    @Slot(float)
    def choose_guidance(self, scale: float) -> None:
        """The slider's two effects: this step now, and the whole run in the background."""
        if scale == self.choices.guidance_scale:
            return
        self._choose(replace(self.choices, guidance_scale=scale), merge="guidance_scale")
        self._guide_anew()

    @Slot(str)
    def choose_guidance_kind(self, kind: str) -> None:
        """Choose another kind of guidance, with a guide that fits where it needs one, and run."""
        fitting = outlook.fitting(self.card, self.known, kind)
        guide = "" if fitting is None else fitting.id
        if kind == self.choices.guidance_kind:
            return
        self._choose(replace(self.choices, guidance_kind=kind, guide=guide))
        self.request_run(redo=not self.look.following)

    @Slot(str)
    def choose_guide(self, guide: str) -> None:
        """Choose the classifier or the weaker model, and run."""
        if guide and guide != self.choices.guide:
            self._choose(replace(self.choices, guide=guide))
            self.request_run(redo=not self.look.following)

    @Slot(object)
    def choose_curve(self, curve: Curve) -> None:
        """Choose where along the run guidance acts; the run follows in the background."""
        if curve != self.choices.curve:
            self._choose(replace(self.choices, curve=curve), merge="curve")
            self._guide_anew()

    @Slot()
    def end_drag(self) -> None:
        """What is chosen from here on is a step of its own for undo."""
        self._history.end_merging()

    def _guide_anew(self) -> None:
        if self.run is not None and self.run.guided:
            self._set_look(guidance_scale=self._preview())
            self._show()
        shown = self.run is not None and self.run.guided and self._same_model(self.run)
        if (shown or self._pending is not None) and self.spec.guidance.kind != "none":
            self.request_run(redo=True)

    def _same_model(self, run: Trajectory) -> bool:
        return (
            run.spec.model_id == self.choices.model_id and run.data_shape == self.card.data_shape
        )

    def _choose(self, choices: Choices, merge: str = "") -> None:
        """Take over choices; those that `merge` under one name are one step back for undo."""
        if choices == self.choices:
            return
        self._history.changed(self.choices, merge)
        self._set_choices(choices)

    def _set_choices(self, choices: Choices) -> None:
        # The model comes first: the panels show choices among what it offers.
        before, self.choices = self.choices, choices
        if before.model_id != choices.model_id:
            self.modelChanged.emit(self.card)
        self.choicesChanged.emit(choices)

    @Slot()
    def undo(self) -> None:
        """Go back to the choices before the last change, and run them."""
        self._travel_to(self._history.back(self.choices))

    @Slot()
    def redo(self) -> None:
        """Take back the last undo."""
        self._travel_to(self._history.forth(self.choices))

    def _travel_to(self, choices: Choices | None) -> None:
        if choices is None:
            return
        before = self.choices
        self._set_choices(choices)
        if replace(before, guidance_scale=self.choices.guidance_scale) == self.choices:
            self._guide_anew()
        else:
            self.request_run()

    def forget_past(self) -> None:
        """Let undo begin here: what the last launch remembered is no change of settings."""
        self._history.forget()

    def restore(self, choices: Choices, about: Mapping[str, Any] | None = None) -> str:
        """Take over choices from a file; returns what stands against it, "" if nothing does."""
        expected = sampling.weights_of(about or {})
        choices = replace(choices, model_id=self._id_of(choices.model_id, expected))
        if choices.model_id not in self._sources:
            return f"Model '{choices.model_id}' is not here; open its file to run it again."
        try:
            self._possible(choices)
        except InputError as error:
            return f"It cannot be run here: {error}."
        self._choose(choices)
        if expected and expected != self.card.weights_sha256:
            return (
                f"Model '{choices.model_id}' has other weights than the ones this was made with."
            )
        spec = self.choices.spec(self.card, guidable=self.source.guidable)
        guide, of_guide = self.guide_of(spec), guides.weights_of(about or {})
        if guide is not None and of_guide and of_guide != guide.card.weights_sha256:
            return f"Guide '{guide.card.id}' has other weights than the one this was made with."
        return ""

    def _id_of(self, model_id: str, weights: str) -> str:
        """Which of the models with this id has these weights; the id itself if none has."""
        plain = catalog.plain_id(model_id)
        same = (
            key
            for key, source in self._sources.items()
            if weights == source.card.weights_sha256 and catalog.plain_id(key) == plain
        )
        return next(same, model_id)

    def _possible(self, choices: Choices) -> None:
        """Raises InputError for what the model cannot be asked for."""
        source = self._sources[choices.model_id]
        spec = checked(choices.spec(source.card, guidable=source.guidable))
        _check(spec, source)
        self.guide_of(spec)

    def remembered(self) -> dict[str, Any]:
        """The choices as JSON, for the next launch."""
        return self.choices.spec(self.card).to_json()

    @property
    def guidable(self) -> bool:
        """Whether the model has a label that means none."""
        return (bool(self.card.classes) or self.card.takes_text) and self.source.guidable

    @property
    def settled(self) -> bool:
        """Whether the shown run, or the one under way, is what is chosen."""
        run = self.run if self._pending is None else self._pending.run
        if run is None or not self._same_model(run):
            return True
        try:
            return run.spec == checked(self.spec)
        except InputError:
            return False

    @property
    def about(self) -> dict[str, Any]:
        """What a saved run and a recipe say beside the spec: of the run that is shown."""
        return self._about

    # -- running ------------------------------------------------------------------------------

    @Slot()
    def request_run(self, redo: bool = False, show_step: int | None = None) -> None:
        """Sample as chosen. A `redo` leaves the old run on screen until it has caught up; with
        `show_step` the view follows no further than that step."""
        if self._closed:
            return
        try:
            run = self._new_run(self.spec)
            guide = self.guide_of(run.spec)
        except InputError as error:
            self.noticed.emit(Notice(str(error), "error", topic="run"))
            return
        self.begunAnew.emit("run")
        redo = redo and self.run is not None and self._same_model(self.run)
        few = few_of(run, self.run) if redo else None
        pending = Pending(self.source, run, few, redo, show_step, guide)
        self._runs.start(pending, upto=self.look.index)

    @property
    def spec(self) -> RunSpec:
        """The run that is chosen. Raises InputError where there is no such run."""
        return self.choices.spec(self.card, guidable=self.source.guidable)

    def _new_run(self, spec: RunSpec) -> Trajectory:
        spec = checked(spec)
        _check(spec, self.source)
        run = sampling.trajectory_for(self.card, spec, self.budget)
        if run.stride > 1:
            text = f"Only every {run.stride}th of {spec.n_steps} steps is kept: memory limit"
            self.noticed.emit(Notice(text, "warning"))
        return run

    def guide_of(self, spec: RunSpec) -> GuideSource | None:
        """What guides such a run. Raises InputError where it is not here or does not fit."""
        name, kind = spec.guidance.guide, spec.guidance.kind
        if not name:
            return None
        if name in self._sources:
            found = guide_source.of_model(self._sources[name])
        elif name in self._guides:
            found = self._guides[name]
        else:
            raise InputError(f"the guide '{name}' is not here: open its file first (Ctrl+O)")
        guides.check(self.card, found.card, kind)
        return found

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
        if self.run is not pending.run and len(pending.run) and (not pending.redo or caught_up):
            source = pending.source
            about = sampling.about(source.card, device=source.device)
            about |= guides.about(None if pending.guide is None else pending.guide.card)
            self._replace_run(pending.run, about)
        if self.run is pending.run:
            self._follow()
            self.runGrew.emit(self.run)
        self._show()

    def _replace_run(self, run: Trajectory, about: Mapping[str, Any]) -> None:
        redo = self._pending is not None and self._pending.redo
        before, self.run, self._about = self.run, run, dict(about)
        self._screen.clear()
        self.decoding.begin(self._source_of(run, about))
        focus = None if self.look.focus is None else min(self.look.focus, run.spec.batch - 1)
        sample = min(self.look.sample, run.spec.batch - 1)
        self._set_look(guidance_scale=self._preview(), focus=focus, sample=sample)
        self._set_look(**panes.fitting(self.look, run, before))
        if not redo:
            self._set_look(following=True, index=0)
        self.runReplaced.emit(run)

    def _source_of(self, run: Trajectory, about: Mapping[str, Any]) -> ModelSource | None:
        """The model that made a run, if it is here."""
        weights = sampling.weights_of(about)
        found = self._sources.get(self._id_of(run.spec.model_id, weights))
        if found is None or found.card.data_shape != run.data_shape:
            return None
        return found if weights in ("", found.card.weights_sha256) else None

    def _follow(self) -> None:
        if self.run is None:
            return
        newest = wanted = len(self.run) - 1
        if self._pending is not None and self._pending.show_step is not None:
            wanted = min(newest, self._pending.show_step // self.run.stride)
        if (self.look.following and wanted != self.look.index) or self.look.index > newest >= 0:
            self._set_look(index=wanted)

    def show_run(self, run: Trajectory, about: Mapping[str, Any] | None = None) -> None:
        """Show a finished run, from a file or from Python, and what is known about it."""
        if not len(run):
            self.noticed.emit(
                Notice("This run has no steps, so there is nothing to see.", "error")
            )
            return
        self._runs.drop()
        self._replace_run(run, about or {"id": run.spec.model_id})
        self._set_look(index=len(run) - 1, following=False, guidance_scale=None)
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
        frame, pending = self._screen.frame(self.run, self.look, lens), self._pending
        if frame is None or pending is None or pending.few is None or self.run is pending.run:
            return frame
        return with_few(frame, pending.few, self.look, lens)

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
        few = self._pending is not None and self._pending.few is not None
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


def _check(spec: RunSpec, source: ModelSource) -> None:
    """Raise InputError with the first thing that makes no sense for this model."""
    for reason in conflicts(spec, sampling.facts_of(source.card, guidable=source.guidable)):
        raise InputError(reason)
