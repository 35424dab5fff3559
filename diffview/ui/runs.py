"""The run under way: started, watched, stopped. What belongs to an older one is dropped by its id.

Of every job only the id and a count cross the threads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from diffview.engine.trajectory import Trajectory
from diffview.ui import jobs
from diffview.ui.guide_source import GuideSource
from diffview.ui.jobs import ModelSource
from diffview.ui.state import Activity
from diffview.ui.workers import JobRunner

FRAME_MS = 16
FEW = 4


@dataclass(slots=True)
class Pending:
    """A run under way. `few` is a small run that comes first while the slider is dragged.

    A `redo` leaves the old run on screen until it has caught up; with `show_step` the view follows
    no further than that step.
    """

    source: ModelSource
    run: Trajectory
    few: Trajectory | None = None
    redo: bool = False
    show_step: int | None = None
    guide: GuideSource | None = None
    started: float = 0.0
    job_id: int = 0


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

    def start(self, pending: Pending, upto: int) -> None:
        """Begin a run in place of the present one; its `few` go as far as record `upto`."""
        self._cancel()

        def make() -> Iterator[Any]:
            if pending.few is None:
                return jobs.sample(pending.source, pending.run, pending.guide)
            return jobs.sample_in_two(
                pending.source, pending.few, upto, pending.run, pending.guide
            )

        pending.started = time.monotonic()
        pending.job_id = self._runner.submit(make)
        if pending.job_id:
            self.pending = pending
            self._set(busy=True, redoing=pending.redo, done=0, total=pending.run.expected, text="")

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
        done, total = len(pending.run), pending.run.expected
        elapsed = time.monotonic() - pending.started
        left = elapsed / done * (total - done) if done > 1 else None
        self._set(done=done, total=total, seconds_left=left)
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


def few_of(run: Trajectory, shown: Trajectory | None) -> Trajectory | None:
    """The first few samples of `run` alone, for a quick first look while the slider moves.

    None where they would not fit into the pictures on screen: other samples or other steps.
    """
    spec = run.spec
    if spec.batch <= FEW or shown is None or shown.stride != run.stride:
        return None
    form = (shown.spec.seeds, shown.spec.n_steps, shown.spec.spacing)
    if form != (spec.seeds, spec.n_steps, spec.spacing):
        return None
    condition = spec.condition
    few = condition[:FEW] if isinstance(condition, tuple) else condition
    small = replace(spec, seeds=spec.seeds[:FEW], condition=few)
    return Trajectory(small, run.data_shape, run.stride)
