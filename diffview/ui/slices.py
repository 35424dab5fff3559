"""Long work on a shared thread, an item at a time: others get their turn between two items.

A `Mailbox` keeps its runner until a job has ended; a training or ten thousand particles would keep
the picture under the scrubber waiting. Here each item of a generator is a job of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from diffview.ui.workers import JobRunner

Make = Callable[[], Iterator[Any]]


class Slices(QObject):
    """At most one generator goes on; `told` carries what it yields, `ended` follows the last."""

    told = Signal(object)
    failed = Signal(object)
    ended = Signal()

    def __init__(self, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner
        self._work: _Work | None = None
        self._running: tuple[int, _Work] | None = None
        runner.progressed.connect(self._on_progressed)
        runner.failed.connect(self._on_failed)
        runner.finished.connect(self._on_finished)
        runner.stopped.connect(self._on_stopped)

    @property
    def busy(self) -> bool:
        """Whether there is more to come."""
        return self._work is not None

    def start(self, make: Make) -> None:
        """Begin with this, in place of what was going on."""
        self._work = _Work(make)
        self._go_on()

    def stop(self) -> None:
        """Nothing more is told; what is being made is let end."""
        self._work = None

    def _go_on(self) -> None:
        if self._work is not None and self._running is None:
            job_id = self._runner.submit(self._work.one)
            self._running = (job_id, self._work) if job_id else None

    def _ours(self, job_id: int) -> _Work | None:
        return (
            self._running[1] if self._running is not None and self._running[0] == job_id else None
        )

    @Slot(int, object)
    def _on_progressed(self, job_id: int, item: object) -> None:
        work = self._ours(job_id)
        if work is not None and work is self._work:
            self.told.emit(item)

    @Slot(int)
    def _on_finished(self, job_id: int) -> None:
        work = self._ours(job_id)
        if work is None:
            return
        self._running = None
        if work is self._work and work.done:
            self._work = None
            self.ended.emit()
        self._go_on()

    @Slot(int, object)
    def _on_failed(self, job_id: int, error: object) -> None:
        work = self._ours(job_id)
        if work is None:
            return
        self._running = None
        if work is self._work:
            self._work = None
            self.failed.emit(error)
        self._go_on()

    @Slot(int)
    def _on_stopped(self, job_id: int) -> None:
        if self._ours(job_id) is not None:
            self._work = self._running = None


class _Work:
    """A generator that is made and advanced in the worker's thread."""

    def __init__(self, make: Make) -> None:
        self._make = make
        self._items: Iterator[Any] | None = None
        self.done = False

    def one(self) -> Iterator[Any]:
        """Its next item alone."""
        if self._items is None:
            self._items = self._make()
        for item in self._items:
            yield item
            return
        self.done = True
