"""A set of pictures and a network asked about the same states: the state behind their comparison.

The step that is looked at comes first, then, one by one, steps over the whole run for the curves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.levels import NoiseLevel
from diffview.engine.spacings import LIST
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.frames import compose
from diffview.models import forward
from diffview.models.card import ModelCard
from diffview.models.exact.reading import Reading
from diffview.ui.desk import Desk
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox

KINDS = ("all", "class", "guided")
SCALES = {"all": 0.0, "class": 1.0}
"""Kinds of sums, and the γ at which a guided network says the same: 0 knows no class, 1 only its
class. Guided is at a γ of its own."""
MOST_PLACES = 50
"""The curves have at most so many places, evenly chosen."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """What is compared on which states: a run's sample, a set, a class of it (None: no class), and
    a network (None: there is none). own: whether the network made the run."""

    run: Trajectory
    sample: int
    exact: ModelSource
    label: int | None
    network: ModelSource | None
    network_label: int | None
    own: bool

    def same_as(self, other: Subject | None) -> bool:
        """Whether what was said about the other holds here."""
        return other is not None and all(
            getattr(self, name) is getattr(other, name)
            or getattr(self, name) == getattr(other, name)
            for name in ("run", "sample", "exact", "label", "network", "network_label")
        )


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What both say of one state; beside is the network's record, of one sample, None if there is
    no network. Its x0_hat is at the γ that it was asked with."""

    subject: Subject
    index: int
    level: NoiseLevel
    reading: Reading
    beside: Trajectory | None

    def network_at(self, scale: float | None) -> StepRecord | None:
        """The network's record at a guidance scale."""
        if self.beside is None:
            return None
        return compose.at_scale(self.beside, self.beside[0], scale)


class Comparing(QObject):
    """Holds the answers about one subject; works in the desk's own thread."""

    answered = Signal(int)
    """There is one more, of this record."""
    failed = Signal(object)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.subject: Subject | None = None
        self.answers: dict[int, Answer] = {}
        self._index = 0
        self._paused = True
        self._box = Mailbox(desk.jobs, self)
        self._box.told.connect(self._on_told)
        self._box.failed.connect(self._on_failed)
        self._box.emptied.connect(self._next)

    @property
    def busy(self) -> bool:
        """Whether anything is being asked."""
        return self._box.busy

    @property
    def places(self) -> list[int]:
        """The records that the curves go through."""
        if self.subject is None:
            return []
        noisy = [k for k, record in enumerate(self.subject.run) if record.level.sigma > 0]
        if len(noisy) <= MOST_PLACES:
            return noisy
        chosen = np.linspace(0, len(noisy) - 1, MOST_PLACES).round().astype(int)
        return [noisy[k] for k in chosen]

    def ask(self, subject: Subject | None, index: int) -> None:
        """Ask about record `index`, and then about the others; None: about nothing."""
        if subject is None or not subject.same_as(self.subject):
            self.answers = {}
        self.subject, self._index, self._paused = subject, index, False
        self._next()

    def pause(self) -> None:
        """Ask nothing more until the next `ask`."""
        self._paused = True

    @Slot()
    def _next(self) -> None:
        subject, index = self.subject, self._wanted()
        if subject is None or index is None or self._paused or self._box.busy:
            return
        self._box.put(lambda: _answer(subject, index))

    def _wanted(self) -> int | None:
        """The present record, else the nearest to it that the curves lack."""
        subject = self.subject
        if subject is None:
            return None
        here, run = self._index, subject.run
        if here < len(run) and here not in self.answers and run[here].level.sigma > 0:
            return here
        missing = [k for k in self.places if k not in self.answers]
        return min(missing, key=lambda k: abs(k - here), default=None)

    @Slot(object)
    def _on_told(self, answer: Answer) -> None:
        if self.subject is not None and answer.subject.same_as(self.subject):
            self.answers[answer.index] = answer
            self.answered.emit(answer.index)

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self._paused = True
        self.failed.emit(error)


def _answer(subject: Subject, index: int) -> Iterator[Answer]:
    """Both asked; in a worker's thread."""
    from diffview.models.exact import reading

    record = subject.run[index]
    x_t, level = record.x_t[subject.sample], record.level
    beside = _own(subject, record) if subject.own else _asked(subject, x_t, level)
    estimates = None if beside is None else np.concatenate([_at(beside, k) for k in KINDS])
    model = subject.exact.model()
    told = reading.read(model, x_t, level, subject.label, estimates)
    yield Answer(subject, index, level, told, beside)


def _at(beside: Trajectory, kind: str) -> Float32:
    """The network's estimate (1, *D) as it goes with a kind of sums."""
    return compose.at_scale(beside, beside[0], SCALES.get(kind)).x0_hat


def _own(subject: Subject, record: StepRecord) -> Trajectory:
    """The run's own record, of the sample alone."""
    run = subject.run
    made = Trajectory(run.spec, run.data_shape)
    made.append(compose.one_sample(record, subject.sample))
    return made


def _asked(subject: Subject, x_t: Float32, level: NoiseLevel) -> Trajectory | None:
    """What the network says of the state, at the same noise in its own schedule."""
    if subject.network is None:
        return None
    card, source = subject.network.card, subject.network
    own = card.schedule.at_ratio(level.ratio)
    scaled = x_t if level.alpha == 0 else np.asarray(x_t * (own.alpha / level.alpha), np.float32)
    spec = _spec(card, subject, own, guidable=source.guidable)
    return forward.estimate(source.model(), spec, scaled)


def _spec(card: ModelCard, subject: Subject, own: NoiseLevel, *, guidable: bool) -> RunSpec:
    label = subject.network_label if card.classes else None
    guided = label is not None and guidable
    scale = subject.run.spec.guidance.scale if subject.run.guided else 1.0
    return RunSpec(
        card.id,
        n_steps=1,
        spacing=LIST,
        guidance=Guidance("cfg", scale) if guided else Guidance(),
        condition=label,
        options=(("times", repr(float(own.t))),),
    )
