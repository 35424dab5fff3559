"""What the 2-D lab knows: the model and run it looks at, the field at this step, the particles.

The state behind the planes, without a widget. Fields are computed for what is seen of the plane at
the scrubbed level; both ends of guidance are kept, so that γ only recombines them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.engine.options import SCHEDULE
from diffview.engine.schedules import OWN, Schedule
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.errors import InputError
from diffview.frames.compose import at_scale
from diffview.frames.plane import Window
from diffview.frames.points import are_points
from diffview.models import forward
from diffview.ui.desk import Desk
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox
from diffview.ui.slices import Slices

if TYPE_CHECKING:
    from diffview.frames.plane_field import Drawn
    from diffview.models.exact.particles import Particles

COUNTS = (1_000, 10_000, 100_000)
KEPT_FIELDS, KEPT_ANSWERS = 8, 64
"""Fields for γ to recombine, and what was drawn of them for scrubbing back."""
START_LAM = 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """A field that is asked for: whose, where, and under what."""

    source: ModelSource
    level: NoiseLevel
    label: int | None
    gamma: float
    window: Window
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Undrawn:
    """Why there is no field."""

    asked: Question
    reason: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A field, and what was asked."""

    asked: Question
    drawn: Drawn


@dataclass(frozen=True, slots=True)
class Place:
    """What a model says at one place: x_t and x0_hat (2,), score (2,) per unit, log p in nats."""

    level: NoiseLevel
    gamma: float
    x_t: NDArray[np.float64]
    x0_hat: NDArray[np.float64]
    score: NDArray[np.float64]
    log_p: float | None


class Fields:
    """Computes fields in a worker's thread, and keeps the last ones."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self._answers: OrderedDict[Question, Answer] = OrderedDict()

    def guided(self, asked: Question, grid: Any) -> Any:
        """The guided field that is asked about; a known one is not computed again."""
        from diffview.models.exact.plane import guided_field

        source, about = asked.source, (asked.level, asked.label, asked.schedule)
        key = (source, grid, *about)  # itself: the id of one that is gone is used again
        if key not in self._kept:
            self._kept[key] = guided_field(source.model(), grid, *about)
            while len(self._kept) > KEPT_FIELDS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def known(self, asked: Question) -> Answer | None:
        """The answer, if it was drawn before; any thread may ask."""
        return self._answers.get(asked)

    def draw(self, asked: Question) -> Iterator[Answer | Undrawn]:
        """The answer to a question."""
        from diffview.frames.plane_field import draw, grid_of

        if asked in self._answers:
            self._answers.move_to_end(asked)
            yield self._answers[asked]
            return
        try:
            field = self.guided(asked, grid_of(asked.window))
            answer = self._answers[asked] = Answer(asked, draw(field, asked.gamma))
            while len(self._answers) > KEPT_ANSWERS:
                self._answers.popitem(last=False)
            yield answer
        except InputError as error:
            yield Undrawn(asked, str(error))

    def place(self, asked: Question) -> Iterator[Place]:
        """What the model says in the middle of the window that was asked about."""
        from diffview.models.exact.grid import Grid
        from diffview.models.exact.plane import guided_field

        grid = Grid(asked.window.low, asked.window.high, (1, 1))
        try:
            field = guided_field(asked.source.model(), grid, asked.level, asked.label)
        except InputError:
            return
        part = field.at(asked.gamma)
        yield Place(
            asked.level,
            asked.gamma,
            field.places[0, 0],
            field.x0_hat(asked.gamma)[0, 0],
            part.score[0, 0],
            None if part.log_p is None else float(part.log_p[0, 0]),
        )


class PlaneLab(QObject):
    """Follows the controller while its workspace is in front; `answer` and `place` hold facts."""

    stepped = Signal()
    """Another run, step, condition or γ is looked at."""
    answered = Signal()
    placed = Signal(object)
    particlesChanged = Signal()
    particlesEnded = Signal()
    modelChanged = Signal()
    failed = Signal(object)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self.fields = Fields()
        self.window: Window | None = None
        self.answer: Answer | Undrawn | None = None
        self._wanted: Question | None = None
        self.particles: Particles | None = None
        self._coming: Particles | None = None
        self.count = COUNTS[1]
        self._source: ModelSource | None = None
        self._field_box, self._place_box = Mailbox(desk.jobs, self), Mailbox(desk.jobs, self)
        self._slices = Slices(desk.jobs, self)
        self._field_box.told.connect(self._on_drawn)
        self._place_box.told.connect(self.placed)
        self._slices.told.connect(self._on_followed)
        self._slices.ended.connect(self._on_all_followed)
        for work in (self._field_box, self._place_box, self._slices):
            work.failed.connect(self.failed)

    # -- what is looked at ------------------------------------------------------------------------

    @property
    def source(self) -> ModelSource | None:
        """The chosen model, if its samples are points in the plane."""
        source = self._desk.store.source
        return source if are_points(source.card.data_shape) and source.card.samples else None

    @property
    def run(self) -> Trajectory | None:
        """The shown run, if it is the chosen model's."""
        run, source = self._desk.store.run, self.source
        if run is None or source is None or not are_points(run.data_shape) or not len(run):
            return None
        return run if run.spec.model_id == source.card.id else None

    @property
    def spec(self) -> RunSpec | None:
        """What is sampled: the shown run's recipe, at the slider's γ."""
        run, source = self.run, self.source
        if source is None:
            return None
        if run is None:
            try:
                return self._desk.store.spec
            except InputError:
                return None
        scale = self._desk.store.look.guidance_scale
        if scale is None or run.spec.guidance.kind == "none":
            return run.spec
        return replace(run.spec, guidance=replace(run.spec.guidance, scale=scale))

    @property
    def record(self) -> StepRecord | None:
        """The shown step, recombined at the slider's γ."""
        run, look = self.run, self._desk.store.look
        if run is None:
            return None
        record = run[max(0, min(look.index, len(run) - 1))]
        return at_scale(run, record, look.guidance_scale)

    @property
    def step(self) -> int:
        """i of N."""
        record = self.record
        return 0 if record is None else record.i

    @property
    def level(self) -> NoiseLevel:
        """The scrubbed level; before there is a run, one as noisy as it is clear."""
        record, source = self.record, self.source
        if record is not None:
            return record.level
        if source is None:
            return CLEAN
        levels = forward.places(source.card.schedule)
        return min(levels, key=lambda level: abs(level.lam - START_LAM))

    def question(self, source: ModelSource, window: Window) -> Question:
        """What is asked of a model about a part of the plane, as things are."""
        own, spec = source.card.schedule, self.spec
        schedule = own if spec is None else spec.schedule(own)
        return Question(source, self.level, self.label, self.gamma, window, schedule)

    @property
    def foreign(self) -> bool:
        """Whether the run goes by another schedule than the model's own."""
        return self.spec is not None and self.spec.option(SCHEDULE.name) != OWN

    @property
    def own_level(self) -> NoiseLevel:
        """The level of this noise in the model's own schedule."""
        if self.source is None or not self.foreign:
            return self.level
        return self.source.card.schedule.at_ratio(self.level.ratio)

    @property
    def label(self) -> int | None:
        """The class, where there is one for all samples."""
        spec = self.spec
        if spec is None or not isinstance(spec.condition, int):
            return None
        return spec.condition

    @property
    def gamma(self) -> float:
        """γ at the scrubbed level: 0 without a class, 1 without guidance."""
        spec = self.spec
        if spec is None or self.label is None:
            return 0.0
        if spec.guidance.kind != "cfg":
            return 1.0
        return spec.gamma(self.level)

    @property
    def guided(self) -> bool:
        """Whether a class steers, so that γ means something."""
        return self.label is not None

    @property
    def by_another(self) -> bool:
        """Whether a second model guides: its part in the score is not drawn."""
        spec = self.spec
        return spec is not None and spec.guidance.kind in spec.guidance.NEED_GUIDE

    # -- fields -----------------------------------------------------------------------------------

    def see(self, window: Window) -> None:
        """Another part of the plane is seen."""
        if window != self.window:
            self.window = window
            self.ask()

    def ask(self) -> None:
        """Have the field drawn for what is looked at, if it is not there already."""
        source = self.source
        if source is None or self.window is None:
            return
        asked = self.question(source, self.window)
        self._wanted = asked
        known = self.fields.known(asked)
        if self.answer is not None and self.answer.asked == asked:
            return
        if known is not None:
            self._on_drawn(known)
        else:
            self._field_box.put(lambda: self.fields.draw(asked))

    @Slot(object)
    def _on_drawn(self, answer: Answer | Undrawn) -> None:
        there = self.answer is not None and self.answer.asked == self._wanted
        late = there and answer.asked != self._wanted
        if self.source is answer.asked.source and not late:
            self.answer = answer
            self.answered.emit()

    def probe(self, x: float, y: float) -> None:
        """Ask what the model says at a place."""
        source = self.source
        if source is None:
            return
        reach = 1e-6
        window = Window((x - reach, y - reach), (x + reach, y + reach))
        asked = self.question(source, window)
        self._place_box.put(lambda: self.fields.place(asked))

    # -- particles --------------------------------------------------------------------------------

    def choose_count(self, count: int) -> None:
        """Follow so many particles."""
        if count != self.count:
            self.count = count
            self._follow()

    @property
    def following(self) -> bool:
        """Whether particles are still on their way."""
        return self._slices.busy

    @property
    def progress(self) -> tuple[int, int]:
        """How many particles are there, and how many there will be."""
        of = self._coming or self.particles
        return (0, 0) if of is None else (of.ready, of.count)

    def _follow(self) -> None:
        """Follow particles by the present recipe, unless they are there or on their way."""
        source, spec = self.source, self.spec
        if source is None or spec is None:
            self._slices.stop()
            self.particles = self._coming = None
            self.particlesChanged.emit()
            return
        from diffview.models.exact.particles import particles, room_for

        plain = replace(spec, seeds=(0,), origin=None)
        wanted = (plain, room_for(plain, self.count))
        if self._coming is not None and (self._coming.spec, self._coming.count) == wanted:
            return
        there = self.particles
        if there is not None and (there.spec, there.count, there.ready) == (*wanted, wanted[1]):
            self._slices.stop()
            self._coming = None
            return
        try:
            guide = self._desk.store.guide_of(spec)
        except InputError:
            return
        coming = self._coming = particles(plain, self.count)

        def make() -> Iterator[Any]:
            from diffview.models.exact.follow import follow

            model = source.model()
            yield from follow(model, coming, None if guide is None else guide.guide(model))

        self._slices.start(make)

    @Slot(object)
    def _on_followed(self, ready: int) -> None:
        if self._coming is not None and ready and self.particles is not self._coming:
            self.particles = self._coming
        self.particlesChanged.emit()

    @Slot()
    def _on_all_followed(self) -> None:
        self._coming = None
        self.particlesChanged.emit()
        self.particlesEnded.emit()

    # -- from the controller ----------------------------------------------------------------------

    def refresh(self) -> None:
        """Take over what is chosen and shown now."""
        if self.source is not self._source:
            self._source = self.source
            self.answer = self.particles = self._coming = None
            self._slices.stop()
            self.modelChanged.emit()
        self._follow()
        self.ask()
        self.stepped.emit()
