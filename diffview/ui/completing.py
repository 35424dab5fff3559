"""Completions of one state in the background: the state behind "what could this become"."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.levels import NoiseLevel
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.frames import completions, compose
from diffview.frames.completions import Summary
from diffview.models import branching, chance
from diffview.ui.desk import Desk
from diffview.ui.guide_source import GuideSource
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox

FALLBACK = "ddpm"
"""What completes a run whose own sampler adds no noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """Complete `sample` of a run from record `index` on `count` times; scale: γ, or None."""

    run: Trajectory
    index: int
    sample: int
    count: int
    scale: float | None
    source: ModelSource
    guide: GuideSource | None


@dataclass(frozen=True, slots=True, eq=False)
class Completed:
    """How far it is: done of total steps, the estimates or ends (K, *D), of which record they are.

    x0_hat (*D) is the estimate at the state they came from, under the same γ. summary is there
    at the end.
    """

    wish: Wish
    sampler: str
    level: NoiseLevel
    done: int
    total: int
    record: StepRecord
    x0_hat: Float32
    summary: Summary | None = None


class Completing(QObject):
    """Holds the last completions; works in the desk's own thread."""

    changed = Signal()
    failed = Signal(object)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self.made: Completed | None = None
        self._wish: Wish | None = None
        self._box = Mailbox(desk.jobs, self)
        self._box.told.connect(self._on_told)
        self._box.failed.connect(self._on_failed)
        self._box.emptied.connect(self.changed)

    @property
    def busy(self) -> bool:
        """Whether completions are being made."""
        return self._box.busy

    def start(self, wish: Wish) -> None:
        """Complete as wished, in place of what is being made."""
        self._box.clear()
        self.made, self._wish = None, wish
        self._box.put(lambda: completed(wish))
        self.changed.emit()

    def keep_to(self, run: Trajectory) -> None:
        """Stop what is of another run."""
        if self._wish is not None and self._wish.run is not run:
            self._wish = None
            self.stop()

    def stop(self) -> None:
        """Leave them as they are."""
        self._box.clear()

    @Slot(object)
    def _on_told(self, made: Completed) -> None:
        self.made = made
        self.changed.emit()

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self.made = None
        self.failed.emit(error)
        self.changed.emit()


def completed(wish: Wish) -> Iterator[Completed]:
    """Each step of the completions; the last has their summary. In a worker's thread."""
    run, index = wish.run, wish.index
    start = run[index]
    branch = _branch(wish)
    spec = branch.trajectory.spec
    total = spec.n_steps - start.i
    model = wish.source.model()
    by = {} if wish.guide is None else {spec.guidance.guide: wish.guide.guide(model)}
    x0_hat = _estimate(run, start, wish.scale)[wish.sample]
    with closing(branching.continue_into(branch, model, by)) as records:
        for record in records:
            done = record.i - start.i
            if done < 0:
                continue
            made = Completed(wish, spec.sampler, start.level, done, total, record, x0_hat)
            if done == total:
                made = replace(made, summary=completions.summary(record.x_t, x0_hat))
            yield made


def _branch(wish: Wish) -> branching.Branch:
    """With the run's own sampler where that adds noise, or must say why it cannot."""
    run, card = wish.run, wish.source.card
    i, scale = run[wish.index].i, wish.scale if run.guided else None
    own = run.spec.by_token or chance.adds_noise(run.spec, card)
    return branching.complete(
        run, card, i, wish.count, sample=wish.sample, guidance=scale,
        sampler=None if own else FALLBACK, guidable=wish.source.guidable,
    )  # fmt: skip


def _estimate(run: Trajectory, record: StepRecord, scale: float | None) -> Float32:
    return np.asarray(compose.at_scale(run, record, scale).x0_hat)
