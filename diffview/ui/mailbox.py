"""Work of which only the newest matters, such as what a dragged slider asks for: latest wins.

What runs is let end and told of, so that something is seen while the slider moves; what waits is
replaced by what comes. So nothing ever queues up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from diffview.ui.workers import JobRunner

Make = Callable[[], Iterator[Any]]


class Mailbox(QObject):
    """Room for one running and one waiting job; `told` carries what the running one yields."""

    told = Signal(object)
    failed = Signal(object)
    emptied = Signal()
    """Nothing runs or waits any more."""

    def __init__(self, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner
        self._running = 0
        self._waiting: Make | None = None
        runner.progressed.connect(self._on_progressed)
        runner.failed.connect(self._on_failed)
        runner.finished.connect(self._on_ended)
        runner.stopped.connect(self._on_ended)

    @property
    def busy(self) -> bool:
        """Whether a job of this mailbox is running."""
        return self._running != 0

    def put(self, make: Make) -> None:
        """Run this next, in place of what waits."""
        if self._running:
            self._waiting = make
        else:
            self._running = self._runner.submit(make)

    def clear(self) -> None:
        """Forget what waits, and stop what runs after the step it is in."""
        self._waiting = None
        self._runner.cancel(self._running)

    @Slot(int, object)
    def _on_progressed(self, job_id: int, item: object) -> None:
        if job_id == self._running:
            self.told.emit(item)

    @Slot(int, object)
    def _on_failed(self, job_id: int, error: object) -> None:
        if job_id == self._running:
            self.failed.emit(error)
            self._on_ended(job_id)

    @Slot(int)
    def _on_ended(self, job_id: int) -> None:
        if job_id != self._running:
            return
        self._running, make, self._waiting = 0, self._waiting, None
        if make is not None:
            self.put(make)
        else:
            self.emptied.emit()
