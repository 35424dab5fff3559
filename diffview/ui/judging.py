"""The guidance bench's state: two runs from the same noise, each guided by another classifier."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from diffview.engine.options import Value
from diffview.engine.spec import Guidance
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.errors import DiffviewError, InputError
from diffview.frames import compose
from diffview.models import sampling
from diffview.models.judging import Verdicts
from diffview.ui.desk import Desk
from diffview.ui.guide_source import GuideSource
from diffview.ui.jobs import ModelSource
from diffview.ui.runs import FRAME_MS

MODEL = "fashion"
GUIDES = ("fashion-classifier-clean", "fashion-classifier-noisy")
"""Left and right: the one that saw clean pictures only, and the one that saw noisy ones too."""
SIDES = (0, 1)


@dataclass(frozen=True, slots=True)
class Asked:
    """What both runs are asked for: a class by its number, the weight, the seeds.

    clip: the estimate is kept within the data's range, and eps follows it.
    """

    label: int = 7
    weight: float = 1.0
    n_steps: int = 25
    seeds: tuple[int, ...] = tuple(range(6))
    clip: bool = True


@dataclass(slots=True, eq=False)
class Pair:
    """Two runs of one question, and what the judges say of each of their records so far."""

    asked: Asked
    runs: tuple[Trajectory, Trajectory]
    verdicts: tuple[list[Verdicts], list[Verdicts]] = field(default_factory=lambda: ([], []))

    @property
    def available(self) -> int:
        """How many records both have, judged."""
        return min(len(found) for found in self.verdicts)

    @property
    def complete(self) -> bool:
        """Whether both are at their end."""
        return self.available == self.runs[0].expected

    def record(self, side: int, index: int, weight: float | None = None) -> StepRecord:
        """A record of one side; at another weight it is recombined, without a network."""
        run = self.runs[side]
        return compose.at_scale(run, run[index], weight)


class Judging(QObject):
    """The shown pair and the one under way; a redo leaves the shown one until it has caught up."""

    replaced = Signal()
    """Another pair is shown."""
    advanced = Signal()
    ended = Signal()
    failed = Signal(object)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self.asked = Asked()
        self.shown: Pair | None = None
        self.coming: Pair | None = None
        self.error = ""
        self._job = 0
        self._index = 0
        self._timer = QTimer(self, singleShot=True, interval=FRAME_MS)
        self._timer.timeout.connect(self._on_timer)
        jobs = desk.jobs
        jobs.progressed.connect(self._on_progressed)
        jobs.failed.connect(self._on_failed)
        jobs.finished.connect(self._on_ended)
        jobs.stopped.connect(self._on_ended)

    @property
    def running(self) -> bool:
        """Whether a pair is being sampled."""
        return self._job != 0

    @property
    def share(self) -> float:
        """How much of the pair under way is done."""
        return 0.0 if self.coming is None else self.coming.available / self.coming.runs[0].expected

    @property
    def previewing(self) -> float | None:
        """The weight that the shown pair is recombined to; None where it was made with it."""
        if self.shown is None or self.shown.asked.weight == self.asked.weight:
            return None
        return self.asked.weight

    def lacking(self) -> str:
        """What is not here of the model and its two classifiers, in words."""
        shelf = self._desk.store.shelf
        gone = [name for name in (MODEL,) if name not in shelf.sources]
        gone += [name for name in GUIDES if name not in shelf.guides]
        if not gone:
            return ""
        names = " and ".join(f"'{name}'" for name in gone)
        return (
            f"{names} {'is' if len(gone) == 1 else 'are'} not here, which this comparison needs: "
            f"install diffview again, or train: diffview train {gone[0]}"
        )

    @property
    def source(self) -> ModelSource | None:
        """The model that is guided."""
        return self._desk.store.shelf.sources.get(MODEL)

    def start(self, asked: Asked, *, index: int | None = None) -> None:
        """Sample both anew. With `index` the shown pair stays until both reached that record."""
        self.asked = asked
        self.error = self.lacking()
        if self.error or self.source is None:
            self.advanced.emit()
            return
        try:
            pair = self._pair(self.source)
        except InputError as error:
            self.error = str(error)
            self.advanced.emit()
            return
        self.cancel()
        self.coming, self._index = pair, 0 if index is None else index
        if index is None:
            self._show()
        guides = tuple(self._desk.store.shelf.guides[name] for name in GUIDES)
        source = self.source
        self._job = self._desk.jobs.submit(lambda: sample_judged(source, guides, pair))
        self.advanced.emit()

    def _pair(self, source: ModelSource) -> Pair:
        asked, budget = self.asked, self._desk.store.budget // 2
        options: dict[str, Value] = {"clip": "clamp", "rederive_eps": True} if asked.clip else {}
        specs = [
            sampling.spec_for(
                source.card,
                sampler="ddim",
                steps=asked.n_steps,
                spacing="trailing",
                guidance=Guidance("classifier", asked.weight, guide),
                label=asked.label,
                seeds=asked.seeds,
                options=options,
            )
            for guide in GUIDES
        ]
        left, right = (sampling.trajectory_for(source.card, spec, budget) for spec in specs)
        if left.stride > 1:
            raise InputError("that is more than fits into memory: draw fewer samples or steps")
        return Pair(asked, (left, right))

    def cancel(self) -> None:
        """Stop after the step it is in; the shown pair stays as far as it is."""
        if self._job:
            self._desk.jobs.cancel(self._job)
            self._job, self.coming = 0, None

    def stop(self) -> None:
        """Stop, and tell it."""
        self.cancel()
        self.ended.emit()

    def _show(self) -> None:
        self.shown = self.coming
        self.replaced.emit()

    @Slot(int, object)
    def _on_progressed(self, job: int, told: Any) -> None:
        if job != self._job or self.coming is None:
            return
        place, made = told
        if isinstance(made, DiffviewError):
            self.error = str(made)
            self.failed.emit(made)
        else:
            self.coming.verdicts[place].append(made)
        if not self._timer.isActive():
            self._timer.start()

    @Slot()
    def _on_timer(self) -> None:
        coming = self.coming
        caught_up = coming is not None and (coming.available > self._index or coming.complete)
        if caught_up and self.shown is not coming:
            self._show()
        self.advanced.emit()

    @Slot(int, object)
    def _on_failed(self, job: int, error: object) -> None:
        if job == self._job:
            self.error = str(error)
            self.failed.emit(error)
            self._on_ended(job)

    @Slot(int)
    def _on_ended(self, job: int) -> None:
        if job != self._job:
            return
        self._timer.stop()
        self._on_timer()
        self._job, self.coming = 0, None
        self.ended.emit()


def sample_judged(
    source: ModelSource, guides: tuple[GuideSource, ...], pair: Pair
) -> Iterator[tuple[int, Verdicts | DiffviewError]]:
    """In a worker's thread: which run went on, and what both judges say of it."""
    from diffview.models.judging import judged
    from diffview.models.together import Runner

    model = source.model()
    clean, noisy = (guide.guide(model) for guide in guides)
    runners = [
        Runner(run, model, guide) for run, guide in zip(pair.runs, (clean, noisy), strict=True)
    ]
    yield from judged(runners, clean, noisy, pair.asked.label)
