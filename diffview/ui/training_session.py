"""One training of the lab, driven from the window: what runs in the worker's thread, and when.

The lab itself lives in the worker's thread and is touched by its jobs alone, one after the other:
pausing stops the job that trains, going on submits another. So between two steps there is always
room to keep a checkpoint or to write a model, and nothing has a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from PySide6.QtCore import QObject, Signal, Slot

from diffview.training.events import Begun, Kept, Looked, NotKept, Published, Trained
from diffview.training.kept import KeptTraining, Order, fresh_folder
from diffview.ui.jobs import leave_a_core_to_the_window
from diffview.ui.notices import notice_of
from diffview.ui.state import Notice
from diffview.ui.workers import JobRunner

Phase = Literal["idle", "opening", "training", "waiting", "paused", "stopped", "done", "failed"]
OPEN, TRAIN, KEEP, LAST, PUBLISH, SURVEY = "open", "train", "keep", "last", "publish", "survey"
TOPIC, CHECKPOINT = "training", "checkpoint"
"""Topics of what is told: of a training, and of its last checkpoint."""
ONGOING = ("opening", "training", "waiting", "paused")
"""Phases in which a training would be lost if the window closed."""


class TrainingSession(QObject):
    """See the module. A training waits while a run is sampled: `give_way`."""

    phaseChanged = Signal(str)
    surveyed = Signal(object)
    begun = Signal(object)
    trained = Signal(object)
    looked = Signal(object)
    kept = Signal(object)
    published = Signal(object)
    settled = Signal(str)
    """What `keep` came to: "" where all is on the disk, else what went wrong."""
    noticed = Signal(object)

    def __init__(self, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runner = runner
        self._lab: Any = None  # a training.lab.Lab; only jobs call it
        self._jobs: dict[int, str] = {}
        self.phase: Phase = "idle"
        self.refused = False
        """Whether the last checkpoint could not be written."""
        runner.progressed.connect(self._on_progressed)
        runner.finished.connect(self._on_finished)
        runner.stopped.connect(self._on_stopped)
        runner.failed.connect(self._on_failed)

    @property
    def has_network(self) -> bool:
        """Whether there is something that can be made a model of."""
        return self._lab is not None and self.phase != "opening"

    @property
    def ongoing(self) -> bool:
        """Whether a training is under way, paused ones included."""
        return self.phase in ONGOING

    # -- wishes -------------------------------------------------------------------------------

    def survey(self) -> None:
        """Look for what can be begun."""
        self._submit(SURVEY, _survey)

    def start(self, order: Order) -> None:
        """Begin a new training."""
        folder = fresh_folder(order.recipe)
        self._open(lambda: _lab().start(order, folder))

    def go_on_with(self, kept: KeptTraining, samples: int) -> None:
        """Go on with one that was kept, to `samples` in all."""
        self._open(lambda: _lab().resume(kept, samples))

    def _open(self, make: Callable[[], Iterator[Any]]) -> None:
        if not self.ongoing:
            self._lab, self.refused = None, False
            self._set_phase("opening")
            self._submit(OPEN, make)

    def pause(self) -> None:
        """Stop after the step it is in; then look, and keep a checkpoint."""
        if self.phase in ("training", "waiting"):
            self._settle("paused")

    def resume(self) -> None:
        """Go on."""
        if self.phase == "paused":
            self._cancel(KEEP)
            self._train()

    def stop(self) -> None:
        """End it: what there is stays, and is kept to go on with later."""
        if self.phase == "opening":
            self._cancel(OPEN)
            self._set_phase("idle")
        elif self.ongoing:
            self._settle("stopped")

    def _settle(self, phase: Phase) -> None:
        lab = self._lab
        self._cancel(TRAIN)
        self._submit(KEEP, lambda: _settled(lab))
        self._set_phase(phase)

    def give_way(self, busy: bool) -> None:
        """Wait while another thread samples, and go on afterwards."""
        if busy and self.phase == "training":
            self._cancel(TRAIN)
            self._set_phase("waiting")
        elif not busy and self.phase == "waiting":
            self._train()

    def publish(self, path: Path, title: str) -> None:
        """Write a model's file between two steps."""
        if not self.has_network:
            return
        lab, training = self._lab, self.phase == "training"
        self._cancel(TRAIN)
        self._submit(PUBLISH, lambda: lab.publish(path, title))
        if training:
            self._train()

    def keep(self) -> None:
        """Stop and write a checkpoint; `settled` says what came of it."""
        lab = self._lab
        self._cancel(OPEN, TRAIN, KEEP)
        self._set_phase("paused")
        self._submit(LAST, lambda: iter([lab.keep()]))

    def drop(self) -> None:
        """Stop without keeping anything; checkpoints that were written stay."""
        self._cancel(OPEN, TRAIN, KEEP)
        self._lab = None
        self._set_phase("idle")

    # -- jobs ---------------------------------------------------------------------------------

    def _train(self) -> None:
        lab = self._lab

        def make() -> Iterator[Any]:
            leave_a_core_to_the_window()
            return lab.train()

        self._set_phase("training")
        self._submit(TRAIN, make)

    def _submit(self, kind: str, make: Callable[[], Iterator[Any]]) -> int:
        job_id = self._runner.submit(make)
        if job_id:
            self._jobs[job_id] = kind
        return job_id

    def _cancel(self, *kinds: str) -> None:
        for job_id in [one for one, kind in self._jobs.items() if kind in kinds]:
            self._runner.cancel(job_id)
            del self._jobs[job_id]

    def _set_phase(self, phase: Phase) -> None:
        if phase != self.phase:
            self.phase = phase
            self.phaseChanged.emit(phase)

    @Slot(int, object)
    def _on_progressed(self, job_id: int, item: object) -> None:
        kind = self._jobs.get(job_id)
        if kind == SURVEY:
            self.surveyed.emit(item)
        elif kind == OPEN:
            self._lab = item
        elif kind == LAST:
            self.settled.emit(item.text if isinstance(item, NotKept) else "")
        elif kind is not None:
            self._tell(item)

    def _tell(self, item: object) -> None:
        if isinstance(item, Trained):
            self.trained.emit(item)
        elif isinstance(item, Begun):
            self.begun.emit(item)
        elif isinstance(item, Looked):
            self.looked.emit(item.snapshot)
        elif isinstance(item, Kept):
            self.refused = False
            self.kept.emit(item)
        elif isinstance(item, NotKept):
            self.refused = True
            self.noticed.emit(Notice(item.text, "warning", topic=CHECKPOINT))
        elif isinstance(item, Published):
            self.published.emit(item.entry)

    @Slot(int)
    def _on_finished(self, job_id: int) -> None:
        kind = self._jobs.pop(job_id, None)
        if kind == OPEN:
            self._train()
        elif kind == TRAIN:
            self._set_phase("done")

    @Slot(int)
    def _on_stopped(self, job_id: int) -> None:
        self._jobs.pop(job_id, None)

    @Slot(int, object)
    def _on_failed(self, job_id: int, error: BaseException) -> None:
        kind = self._jobs.pop(job_id, None)
        if kind is None:
            return
        if kind == OPEN:
            self._set_phase("idle")
        elif kind == TRAIN:
            self._set_phase("failed")
        notice = notice_of(error, TOPIC)
        if kind == LAST:
            self.settled.emit(notice.text)
        else:
            self.noticed.emit(notice)


def _lab() -> Any:
    """The lab, which imports torch: called in the worker's thread."""
    leave_a_core_to_the_window()
    from diffview.training import lab

    return lab


def _survey() -> Iterator[Any]:
    from diffview.training.survey import survey

    return survey()


def _settled(lab: Any) -> Iterator[Any]:
    yield from lab.look_now()
    yield lab.begun()  # all of it: what was told of the last steps may have been dropped unheard
    yield lab.keep()
