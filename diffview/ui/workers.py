"""The one place where jobs get a thread: a JobRunner owns a QThread that consumes generators.

Every long thing is a generator: the worker calls next(), tells what came, and reads a flag between
two calls; so pausing, cancelling and progress need no code in what is run. Signals of the worker
are received by slots of the runner, which lives in the GUI thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from PySide6.QtCore import QObject, QThread, Signal, Slot

from diffview.ui.collecting import Collector

_ids = count(1)


@dataclass(frozen=True, eq=False)
class Job:
    """A generator to be made and consumed in the worker's thread."""

    make: Callable[[], Iterator[Any]]
    id: int = field(default_factory=lambda: next(_ids))
    cancelled: threading.Event = field(default_factory=threading.Event)


class JobRunner(QObject):
    """One thread, one job at a time; waiting jobs run in the order they came.

    Of each job: `started`, any number of `progressed`, then exactly one of `finished`, `failed`,
    `stopped`. All carry the job's id.
    """

    started = Signal(int)
    progressed = Signal(int, object)
    finished = Signal(int)
    failed = Signal(int, object)
    stopped = Signal(int)
    _handed = Signal(object)

    def __init__(self, name: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._jobs: dict[int, Job] = {}
        self._closed = False
        self._collector: Collector | None = None
        self._thread = QThread()
        self._thread.setObjectName(name)
        self._worker = _Worker()
        self._worker.moveToThread(self._thread)
        self._connect()

    def _connect(self) -> None:
        self._handed.connect(self._worker.run)
        self._worker.started.connect(self._on_started)
        self._worker.progressed.connect(self._on_progressed)
        self._worker.ended.connect(self._on_ended)

    @property
    def busy(self) -> bool:
        """Whether a job is running or waiting."""
        return bool(self._jobs)

    def submit(self, make: Callable[[], Iterator[Any]]) -> int:
        """Run `make()` to its end in the worker's thread; 0 once the runner was closed."""
        if self._closed:
            return 0
        if not self._thread.isRunning():
            self._collector = self._collector or Collector(self)
            self._thread.start()
        job = Job(make)
        self._jobs[job.id] = job
        self._handed.emit(job)
        return job.id

    def cancel(self, job_id: int) -> None:
        """Stop a job after the step it is in; nothing happens if it has ended."""
        if job_id in self._jobs:
            self._jobs[job_id].cancelled.set()

    def cancel_all(self) -> None:
        """Stop every job."""
        for job in self._jobs.values():
            job.cancelled.set()

    def close(self, wait_ms: int = 30_000) -> bool:
        """Refuse new jobs, stop the running one, end the thread; says whether it ended."""
        self._closed = True
        self.cancel_all()
        self._thread.quit()
        ended = not self._thread.isRunning() or self._thread.wait(wait_ms)
        if ended and self._collector is not None:
            self._collector.close()
        return ended

    @Slot(int)
    def _on_started(self, job_id: int) -> None:
        self.started.emit(job_id)

    @Slot(int, object)
    def _on_progressed(self, job_id: int, item: object) -> None:
        if job_id in self._jobs and not self._jobs[job_id].cancelled.is_set():
            self.progressed.emit(job_id, item)

    @Slot(int, object)
    def _on_ended(self, job_id: int, error: object) -> None:
        job = self._jobs.pop(job_id)
        if isinstance(error, BaseException):
            self.failed.emit(job_id, error)
        elif job.cancelled.is_set():
            self.stopped.emit(job_id)
        else:
            self.finished.emit(job_id)


class _Worker(QObject):
    """Lives in the thread; consumes one job per call of `run`."""

    started = Signal(int)
    progressed = Signal(int, object)
    ended = Signal(int, object)

    @Slot(object)
    def run(self, job: Job) -> None:
        error: BaseException | None = None
        if not job.cancelled.is_set():
            self.started.emit(job.id)
            try:
                self._consume(job)
            except BaseException as raised:  # a model's own exit() must not end the process
                error = raised
        self.ended.emit(job.id, error)

    def _consume(self, job: Job) -> None:
        items = job.make()
        try:
            for item in items:
                if job.cancelled.is_set():
                    return
                self.progressed.emit(job.id, item)
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()
