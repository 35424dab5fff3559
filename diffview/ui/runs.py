"""The run under way: started, watched, stopped. What belongs to an older one is dropped by its id.

It begins with noise, goes on from a recorded step, or leads back from a picture that is inverted.

Of every job only the id and a count cross the threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from diffview.engine.trajectory import Trajectory
from diffview.models import branching, guides, inverting, sampling
from diffview.models.branching import Branch
from diffview.ui import jobs
from diffview.ui.family import Leave, Member
from diffview.ui.first_look import FirstLook
from diffview.ui.guide_source import GuideSource
from diffview.ui.jobs import Climb, ModelSource
from diffview.ui.state import Activity, Choices
from diffview.ui.workers import JobRunner

FRAME_MS = 16


@dataclass(frozen=True, slots=True)
class GoingOn:
    """A run that has its beginning: the branch, the guides of its parts, what is known of it.

    leave: None where it is the same run, resumed. replacing: the kept run whose place it takes.
    """

    branch: Branch
    by: Mapping[str, GuideSource]
    known: Mapping[str, Any]
    leave: Leave | None = None
    replacing: Member | None = None


@dataclass(slots=True)
class Pending:
    """A run under way. `few` is the first look that comes before it while the slider is dragged.

    A `redo` leaves the old run on screen until it has caught up; with `show_step` the view follows
    no further than that step. `begun` records were there before; `climb` is the way up to x_T of
    a picture. `choices` are those it was asked for with.
    """

    source: ModelSource
    run: Trajectory
    few: FirstLook | None = None
    redo: bool = False
    show_step: int | None = None
    guide: GuideSource | None = None
    going_on: GoingOn | None = None
    climb: Climb | None = None
    choices: Choices | None = None
    begun: int = 0
    started: float = 0.0
    job_id: int = 0

    def about(self) -> dict[str, Any]:
        """What is kept beside the recipe, once the model is there."""
        card, device = self.source.card, self.source.device
        guide = None if self.guide is None else self.guide.card
        if self.going_on is not None:
            return branching.about(self.going_on.known, card, guide, device=device)
        if self.climb is not None and self.climb.pictures is not None:
            pictures, refine = self.climb.pictures, self.climb.refine
            return inverting.about(card, pictures, refine, device=device) | guides.about(guide)
        return sampling.about(card, device=device) | guides.about(guide)

    def job(self) -> Iterator[Any]:
        """What the worker's thread does."""
        if self.going_on is not None:
            return jobs.go_on(self.source, self.going_on.branch, self.going_on.by)
        if self.climb is not None:
            return jobs.invert(self.source, self.climb, self.run, self.guide)
        if self.few is None:
            return jobs.sample(self.source, self.run, self.guide)
        return jobs.sample_in_two(self.source, self.few, self.run, self.guide)


class Runs(QObject):
    """At most one run is pending; `advanced` comes at most once a frame, `ended` once a run.

    `ended` carries the run, and the exception that ended it or None.
    """

    advanced = Signal(object)
    ended = Signal(object, object)
    activityChanged = Signal(object)

    def __init__(self, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner
        self.pending: Pending | None = None
        self.activity = Activity()
        self._timer = QTimer(self, singleShot=True, interval=FRAME_MS)
        self._connect()

    def _connect(self) -> None:
        self._timer.timeout.connect(self._on_timer)
        self._runner.progressed.connect(self._on_progressed)
        self._runner.finished.connect(self._on_finished)
        self._runner.failed.connect(self._on_failed)
        self._runner.stopped.connect(self._on_finished)

    def start(self, pending: Pending) -> None:
        """Begin a run in place of the present one."""
        self._cancel()
        pending.started, pending.begun = time.monotonic(), len(pending.run)
        pending.job_id = self._runner.submit(pending.job)
        if pending.job_id:
            self.pending = pending
            looked = 0 if pending.few is None else pending.few.steps
            start = {"done": 0, "total": pending.run.expected, "text": "", "look_steps": looked}
            self._set(busy=True, redoing=pending.redo, **start)

    def stop(self) -> None:
        """Stop after the step it is in."""
        if self.pending is not None:
            self._cancel()
            self._set(text="Stopping after this step…")

    def drop(self) -> None:
        """Stop, and hear no more of it."""
        if self.pending is not None:
            self._cancel()
            self.pending = None
            self._set(busy=False, redoing=False, text="")

    def close(self) -> None:
        """Tell nothing any more."""
        self._timer.stop()
        self.pending = None
        self.blockSignals(True)

    def _cancel(self) -> None:
        if self.pending is not None:
            self._runner.cancel(self.pending.job_id)

    @Slot(int, object)
    def _on_progressed(self, job_id: int, count: object) -> None:
        if self._is_current(job_id) and not self._timer.isActive():
            self._timer.start()

    @Slot()
    def _on_timer(self) -> None:
        if self.pending is not None:
            self._advance(self.pending)

    def _advance(self, pending: Pending) -> None:
        self._set(**_progress(pending))
        self.advanced.emit(pending)

    @Slot(int)
    def _on_finished(self, job_id: int) -> None:
        self._end(job_id, None)

    @Slot(int, object)
    def _on_failed(self, job_id: int, error: BaseException) -> None:
        self._end(job_id, error)

    def _end(self, job_id: int, error: BaseException | None) -> None:
        pending = self.pending
        if pending is None or not self._is_current(job_id):
            return
        self._advance(pending)
        self.pending = None
        self._set(busy=False, redoing=False, seconds_left=None, text="")
        self.ended.emit(pending, error)

    def _is_current(self, job_id: int) -> bool:
        return self.pending is not None and job_id == self.pending.job_id

    def _set(self, **changes: Any) -> None:
        activity = replace(self.activity, **changes)
        if activity != self.activity:
            self.activity = activity
            self.activityChanged.emit(activity)


def _progress(pending: Pending) -> dict[str, Any]:
    done, total, climb = len(pending.run), pending.run.expected, pending.climb
    if climb is not None and not done:
        n_steps = pending.run.spec.n_steps
        up = max(0, len(climb.states) - 1)
        return {"done": up, "total": n_steps, "text": f"up to x_T: step {up}/{n_steps}"}
    made = done - pending.begun
    elapsed = time.monotonic() - pending.started
    left = elapsed / made * (total - done) if made > 1 and climb is None else None
    text = {} if climb is None else {"text": f"way back: step {min(done, total - 1)}/{total - 1}"}
    return {"done": done, "total": total, "seconds_left": left, **text}
