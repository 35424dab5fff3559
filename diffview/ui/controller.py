"""The controller: the one mutable owner of what is chosen, what is sampled and what is shown.

Wishes come in as method calls, facts go out as signals. Of every job only the id and a count cross
the threads; what belongs to a job that is no longer current is dropped by its id.
"""

from __future__ import annotations

import logging
import time
import traceback
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from diffview.engine.options import Value
from diffview.engine.spec import Condition, RunSpec, checked
from diffview.engine.trajectory import DEFAULT_BUDGET, Trajectory
from diffview.errors import DiffviewError, InputError
from diffview.frames.compose import Frame, ViewState, compose, merged
from diffview.models import sampling
from diffview.models.card import ModelCard
from diffview.ui import jobs, state
from diffview.ui.jobs import ModelSource
from diffview.ui.state import Activity, Choices, Look, Notice, Pane
from diffview.ui.workers import JobRunner

FRAME_MS = 16
FEW = 4
CACHED_FRAMES = 256

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Pending:
    """A run under way. `few` is a small run that comes first while the slider is dragged."""

    job_id: int
    run: Trajectory
    started: float
    few: Trajectory | None = None
    redo: bool = False


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

    def __init__(
        self,
        sources: Mapping[str, ModelSource],
        runner: JobRunner,
        parent: QObject | None = None,
        budget: int = DEFAULT_BUDGET,
    ) -> None:
        super().__init__(parent)
        self._sources = dict(sources)
        self._runner = runner
        self.budget = budget
        self.choices = state.defaults(next(iter(self._sources.values())).card)
        self.look = Look()
        self.run: Trajectory | None = None
        self.activity = Activity()
        self._pending: Pending | None = None
        self._wanted: Choices | None = None
        self._past: list[Choices] = []
        self._future: list[Choices] = []
        self._frames: OrderedDict[Any, Frame] = OrderedDict()
        self._timer = QTimer(self, singleShot=True, interval=FRAME_MS)
        self._connect()

    def _connect(self) -> None:
        self._timer.timeout.connect(self._refresh)
        self._runner.progressed.connect(self._on_progressed)
        self._runner.finished.connect(self._on_finished)
        self._runner.failed.connect(self._on_failed)
        self._runner.stopped.connect(self._on_stopped)

    # -- what there is ------------------------------------------------------------------------

    @property
    def card(self) -> ModelCard:
        """The card of the chosen model."""
        return self._source.card

    @property
    def cards(self) -> list[ModelCard]:
        """The cards of all models that can be chosen."""
        return [source.card for source in self._sources.values()]

    @property
    def frame(self) -> Frame | None:
        """What is shown, or None before the first step."""
        return self._frame()

    def add_source(self, source: ModelSource) -> None:
        """Offer one more model and choose it."""
        self._sources[source.card.id] = source
        self.modelsChanged.emit(self.cards)
        self.choose_model(source.card.id)

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
        card = self._sources[model_id].card
        self._choose(state.adapted(self.choices, card))
        self.modelChanged.emit(card)
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
        self._choose(replace(self.choices, spacing=spacing))

    def choose_condition(self, condition: Condition) -> None:
        """Choose a class (or several, or none) and run."""
        if condition != self.choices.condition:
            self._choose(replace(self.choices, condition=condition))
            self.request_run()

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
        if self.run is not None and self.run.guided:
            self._set_look(guidance_scale=scale)
            self.request_run(redo=True)

    def _choose(self, choices: Choices, merge: str = "") -> None:
        if choices == self.choices:
            return
        if not (merge and self._past and self._only_differs(self._past[-1], choices, merge)):
            self._past.append(self.choices)
        self._future.clear()
        self.choices = choices
        self.choicesChanged.emit(choices)

    def _only_differs(self, before: Choices, after: Choices, name: str) -> bool:
        # A drag of the slider is one step back, however many values it passed through.
        return replace(before, **{name: getattr(after, name)}) == after

    @Slot()
    def undo(self) -> None:
        """Go back to the choices before the last change, and run them."""
        self._travel(self._past, self._future)

    @Slot()
    def redo(self) -> None:
        """Take back the last undo."""
        self._travel(self._future, self._past)

    def _travel(self, source: list[Choices], target: list[Choices]) -> None:
        if not source:
            return
        target.append(self.choices)
        before, self.choices = self.choices, source.pop()
        if before.model_id != self.choices.model_id:
            self.modelChanged.emit(self.card)
        self.choicesChanged.emit(self.choices)
        self.request_run()

    def restore(self, choices: Choices, about: Mapping[str, Any] | None = None) -> str:
        """Take over choices from a file; returns what stands against it, "" if nothing does."""
        if choices.model_id not in self._sources:
            return f"Model '{choices.model_id}' is not here; open its file to run it again."
        changed = choices.model_id != self.choices.model_id
        self._choose(choices)
        if changed:
            self.modelChanged.emit(self.card)
        model = (about or {}).get("model")
        expected = str(model.get("sha256", "")) if isinstance(model, Mapping) else ""
        if expected and expected != self.card.weights_sha256:
            return (
                f"Model '{choices.model_id}' has other weights than the ones this was made with."
            )
        return ""

    def remembered(self) -> dict[str, Any]:
        """The choices as JSON, for the next launch."""
        return self.choices.spec(self.card).to_json()

    @property
    def guidable(self) -> bool:
        """Whether the model has a label that means none."""
        return bool(self.card.classes) and self._source.guidable

    @property
    def about(self) -> dict[str, Any]:
        """What a saved run and a recipe say beside the spec."""
        return sampling.about(self.card, device=self._source.device)

    @property
    def device_text(self) -> str:
        """Where the model runs, once it is loaded."""
        return self._source.device

    # -- running ------------------------------------------------------------------------------

    @Slot()
    def request_run(self, redo: bool = False) -> None:
        """Sample as chosen. A `redo` leaves the old run on screen until it has caught up."""
        try:
            run = self._new_run(self._spec())
        except InputError as error:
            self.noticed.emit(Notice(str(error), "error"))
            return
        redo = redo and self.run is not None
        if self._pending is not None:
            self._runner.cancel(self._pending.job_id)
        few = self._few(run) if redo else None
        source, upto = self._source, self.look.index

        def make() -> Any:
            if few is None:
                return jobs.sample(source, run)
            return jobs.sample_in_two(source, few, upto, run)

        job_id = self._runner.submit(make)
        if job_id:
            self._pending = Pending(job_id, run, time.monotonic(), few, redo)
            self._set_activity(busy=True, redoing=redo, done=0, total=run.expected)

    def _spec(self) -> RunSpec:
        return self.choices.spec(self.card, guidable=self._source.guidable)

    @property
    def _source(self) -> ModelSource:
        return self._sources[self.choices.model_id]

    def _new_run(self, spec: RunSpec) -> Trajectory:
        spec = checked(spec)
        spec.levels(self.card.schedule)  # refused here if it has not as many
        run = sampling.trajectory_for(self.card, spec, self.budget)
        if run.stride > 1:
            text = f"Only every {run.stride}th of {spec.n_steps} steps is kept: memory limit"
            self.noticed.emit(Notice(text, "warning"))
        return run

    def _few(self, run: Trajectory) -> Trajectory | None:
        """The first few samples alone, for a quick first look while the slider moves."""
        spec = run.spec
        if spec.batch <= FEW:
            return None
        condition = spec.condition
        few = condition[:FEW] if isinstance(condition, tuple) else condition
        small = replace(spec, seeds=spec.seeds[:FEW], condition=few)
        return Trajectory(small, run.data_shape, run.stride)

    @Slot()
    def stop(self) -> None:
        """Stop sampling after the step it is in; the frames so far stay."""
        if self._pending is not None:
            self._runner.cancel(self._pending.job_id)
            self._set_activity(text="Stopping after this step…")

    @Slot(int, object)
    def _on_progressed(self, job_id: int, count: object) -> None:
        if self._pending is None or job_id != self._pending.job_id:
            return
        if not self._timer.isActive():
            self._timer.start()

    @Slot(int)
    def _on_finished(self, job_id: int) -> None:
        self._end(job_id)

    @Slot(int)
    def _on_stopped(self, job_id: int) -> None:
        self._end(job_id)

    @Slot(int, object)
    def _on_failed(self, job_id: int, error: BaseException) -> None:
        if self._end(job_id):
            self.noticed.emit(notice_of(error))

    def _end(self, job_id: int) -> bool:
        """Whether the job that ended was the current one."""
        pending = self._pending
        if pending is None or job_id != pending.job_id:
            return False
        self._refresh()
        self._pending = None
        self._set_activity(busy=False, redoing=False, seconds_left=None, text="")
        if pending.redo and self.run is not pending.run:
            self._set_look(guidance_scale=None if self.run is None else self._preview())
        self._show()
        return True

    def _preview(self) -> float | None:
        """The slider's value where it differs from the shown run's."""
        scale = self.choices.guidance_scale
        return None if self.run is None or self.run.spec.guidance.scale == scale else scale

    # -- looking ------------------------------------------------------------------------------

    @Slot()
    def _refresh(self) -> None:
        """Bring the screen up to what was sampled; at most once a frame."""
        pending = self._pending
        if pending is None:
            return
        self._tell_progress(pending)
        caught_up = len(pending.run) > self.look.index or pending.run.complete
        if self.run is not pending.run and len(pending.run) and (not pending.redo or caught_up):
            self._replace_run(pending.run)
        if self.run is pending.run:
            self._follow()
            self.runGrew.emit(self.run)
        self._show()

    def _replace_run(self, run: Trajectory) -> None:
        redo = self._pending is not None and self._pending.redo
        self.run = run
        self._frames.clear()
        focus = None if self.look.focus is None else min(self.look.focus, run.spec.batch - 1)
        sample = min(self.look.sample, run.spec.batch - 1)
        self._set_look(guidance_scale=self._preview(), focus=focus, sample=sample)
        if not redo:
            self._set_look(following=True, index=0)
        self.runReplaced.emit(run)

    def _follow(self) -> None:
        if self.run is None:
            return
        newest = len(self.run) - 1
        if (self.look.following and newest != self.look.index) or self.look.index > newest >= 0:
            self._set_look(index=newest)

    def _tell_progress(self, pending: Pending) -> None:
        done, total = len(pending.run), pending.run.expected
        elapsed = time.monotonic() - pending.started
        left = elapsed / done * (total - done) if done > 1 else None
        self._set_activity(done=done, total=total, seconds_left=left)

    def show_run(self, run: Trajectory) -> None:
        """Show a finished run, from a file or from Python."""
        if self._pending is not None:
            self._runner.cancel(self._pending.job_id)
            self._pending = None
            self._set_activity(busy=False, redoing=False, text="")
        self._replace_run(run)
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

    @Slot(int)
    def focus_sample(self, sample: int) -> None:
        """Show one sample alone; -1 shows the grid again."""
        if sample < 0:
            self._set_look(focus=None)
        else:
            self._set_look(focus=sample, sample=sample)

    def choose_pane(self, side: int, pane: Pane) -> None:
        """Choose what the left (0) or right (1) pane shows."""
        panes = (pane, self.look.panes[1]) if side == 0 else (self.look.panes[0], pane)
        self._set_look(panes=panes)
        self._show()

    def choose_strip(self, quantity: str) -> None:
        """Choose what the film strip shows."""
        self._set_look(strip=quantity)

    def _set_look(self, **changes: Any) -> None:
        look = replace(self.look, **changes)
        if look != self.look:
            self.look = look
            self.lookChanged.emit(look)

    def _set_activity(self, **changes: Any) -> None:
        activity = replace(self.activity, **changes)
        if activity != self.activity:
            self.activity = activity
            self.activityChanged.emit(activity)

    def _show(self) -> None:
        frame = self._frame()
        if frame is not None:
            self.frameChanged.emit(frame)

    def _frame(self) -> Frame | None:
        if self.run is None or not len(self.run):
            return None
        view = self._view(self.look.guidance_scale)
        if view not in self._frames:
            self._frames[view] = compose(self.run, view)
            while len(self._frames) > CACHED_FRAMES:
                self._frames.popitem(last=False)
        self._frames.move_to_end(view)
        return self._with_few(self._frames[view])

    def _view(self, guidance_scale: float | None) -> ViewState:
        return ViewState(
            index=min(self.look.index, len(self.run or ()) - 1),
            quantities=tuple(pane.quantity for pane in self.look.panes),
            policies=tuple(pane.policy for pane in self.look.panes),
            guidance_scale=guidance_scale,
        )

    def _with_few(self, frame: Frame) -> Frame:
        """The frame with its first samples already from the new run, the others dimmed."""
        pending = self._pending
        if pending is None or pending.few is None or self.run is pending.run:
            return frame
        if len(pending.few) <= self.look.index:
            return frame
        return merged(frame, compose(pending.few, self._view(None)))

    def close(self) -> None:
        """Stop everything; nothing is emitted afterwards."""
        self._timer.stop()
        self._pending = None
        self.blockSignals(True)


def notice_of(error: BaseException) -> Notice:
    """What to tell of an exception: its message if it was meant for people, details below."""
    log.error("job failed", exc_info=error)
    details = "".join(traceback.format_exception(error))
    if isinstance(error, DiffviewError):
        return Notice(str(error), "error", details)
    return Notice(f"Something went wrong: {type(error).__name__}: {error}", "error", details)
