"""What is noised and what a model makes of it: the state behind the forward process's panes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from diffview.datasets.emoji_sprite import emoji_sprite
from diffview.engine.levels import NoiseLevel
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.errors import InputError
from diffview.frames import picture_file
from diffview.frames.compose import at_scale
from diffview.frames.picture_file import Picture
from diffview.models import forward
from diffview.models.card import ModelCard
from diffview.ui.desk import Desk
from diffview.ui.guide_source import GuideSource
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox

Key = tuple[int, tuple[int, ...]]
"""Seed and shape of a noise."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is put to a model: x_0 and eps (*D), noised to `level`, as `spec` says.

    place: the device and the number type that the model is wanted with.
    """

    source: ModelSource
    place: tuple[str, str]
    x_0: Float32
    eps: Float32
    level: NoiseLevel
    spec: RunSpec
    guide: GuideSource | None
    who: str

    def is_but_for_gamma(self, other: Question) -> bool:
        """Whether the other's answer holds here too: only γ differs, or nothing at all."""
        if self.source is not other.source or self.place != other.place:
            return False
        if _card(self.guide) is not _card(other.guide):
            return False
        if self.x_0 is not other.x_0 or self.eps is not other.eps or self.level != other.level:
            return False
        scale = self.spec.guidance.scale
        same = replace(other.spec, guidance=replace(other.spec.guidance, scale=scale))
        return self.spec == same


def _card(guide: GuideSource | None) -> ModelCard | None:
    """What tells a guide: a model that guides is wrapped anew for every question."""
    return None if guide is None else guide.card


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the network made of it; the trajectory has one record, of the γ it was asked with.

    record: the same at the γ of the question; x0_hat (*D) its estimate, one array for good.
    """

    asked: Question
    trajectory: Trajectory
    record: StepRecord
    x0_hat: Float32


def answered(asked: Question, trajectory: Trajectory) -> Answer:
    """The answer to a question that is but for γ the one the trajectory was made for."""
    record = at_scale(trajectory, trajectory[0], asked.spec.guidance.scale)
    return Answer(asked, trajectory, record, record.x0_hat[0])


@dataclass(frozen=True, slots=True, eq=False)
class Taken:
    """A picture as x_0 (*D) of the models of one `forward.space`. done: how it became that."""

    name: str
    space: Hashable
    x_0: Float32
    done: tuple[str, ...] = ()


Get = Callable[[tuple[int, ...], float, float], Picture]
"""A picture in a shape, between a low and a high value."""


class Noising(QObject):
    """Holds a picture, a noise and the last answer; works in the desk's own thread."""

    noised = Signal()
    """x_0 or the noise is another."""
    answered = Signal(object)
    named = Signal(object)
    """The names of the bundled emoji."""
    read = Signal(object)
    failed = Signal(object)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self._source: ModelSource | None = None
        self.seed = 0
        self.x_0: Float32 | None = None
        self._drawn: tuple[Key, Float32] | None = None
        self.answer: Answer | None = None
        self._state: tuple[Float32, Float32, NoiseLevel, Float32] | None = None
        self._namer, self._reader, self._drawer, self._asker = (
            Mailbox(desk.jobs, self) for _ in range(4)
        )
        self._namer.told.connect(self.named)
        self._reader.told.connect(self.read)
        self._drawer.told.connect(self._on_drawn)
        self._asker.told.connect(self._on_answer)
        for box in (self._namer, self._reader, self._drawer, self._asker):
            box.failed.connect(self.failed)

    @property
    def busy(self) -> bool:
        """Whether anything is being read, drawn or asked."""
        return any(box.busy for box in (self._namer, self._reader, self._drawer, self._asker))

    @property
    def reading(self) -> bool:
        """Whether a picture is being read."""
        return self._reader.busy

    @property
    def asking(self) -> bool:
        """Whether the network is being asked."""
        return self._asker.busy

    @property
    def eps(self) -> Float32 | None:
        """The noise of the chosen seed, once it is drawn."""
        if self._drawn is None or self._drawn[0] != self._key():
            return None
        return self._drawn[1]

    def state(self, level: NoiseLevel) -> Float32 | None:
        """x_t (*D) at a level, the same array as long as it is the same; None while picture or
        noise are missing."""
        eps, x_0 = self.eps, self.x_0
        if x_0 is None or eps is None or eps.shape != x_0.shape:
            return None
        kept = self._state
        if kept is None or kept[0] is not x_0 or kept[1] is not eps or kept[2] != level:
            kept = self._state = x_0, eps, level, forward.noised(x_0, eps, level)
        return kept[3]

    def name(self) -> None:
        """Find the names of the bundled emoji."""

        def make() -> Iterator[tuple[str, ...]]:
            yield emoji_sprite().names

        self._namer.put(make)

    def read_file(self, path: Path) -> None:
        """Read a picture as the chosen model takes it; `read` tells it."""
        self._read(str(path), lambda *wanted: picture_file.read(path, *wanted))

    def read_emoji(self, place: int, name: str) -> None:
        """The same with a bundled emoji."""
        self._read(
            name, lambda *wanted: picture_file.of_levels(emoji_sprite().pictures[place], *wanted)
        )

    def _read(self, name: str, get: Get) -> None:
        source = self._desk.store.source

        def make() -> Iterator[Taken]:
            card = source.card
            picture = get(*_wanted(card))
            x_0 = picture.values
            if card.coded:
                x_0 = forward.latents(source.model(), x_0)
            yield Taken(name, forward.space(card), x_0, picture.done)

        self._reader.put(make)

    def begin(self, source: ModelSource) -> None:
        """Ask this model from now on; what another one answered is not its answer."""
        if source is not self._source:
            self._source, self.answer = source, None
            self._asker.clear()

    def use(self, x_0: Float32 | None) -> None:
        """Noise this picture from now on."""
        if x_0 is not None and x_0 is self.x_0 and self.eps is not None:
            return
        self.x_0 = x_0
        if x_0 is not None and self.eps is None:
            self._draw()
        self.noised.emit()

    def reseed(self, seed: int) -> None:
        """Take another noise."""
        self.seed = seed
        self._draw()

    def _key(self) -> Key:
        return self.seed, self._desk.store.card.data_shape

    def _draw(self) -> None:
        key = self._key()

        def make() -> Iterator[tuple[Key, Float32]]:
            yield key, forward.noise(*key)

        self._drawer.put(make)

    @Slot(object)
    def _on_drawn(self, drawn: tuple[Key, Float32]) -> None:
        if drawn[0] == self._key():
            self._drawn = drawn
            self.noised.emit()

    def ask(self, level: NoiseLevel) -> None:
        """Ask the network at this level; where only γ is another, the last answer will do."""
        asked = self._question(level)
        if asked is None:
            return
        if self.answer is not None and asked.is_but_for_gamma(self.answer.asked):
            self._asker.clear()
            self._on_answer(answered(asked, self.answer.trajectory))
            return

        def make() -> Iterator[Answer]:
            x_t, model = forward.noised(asked.x_0, asked.eps, asked.level), asked.source.model()
            guide = None if asked.guide is None else asked.guide.guide(model)
            yield answered(asked, forward.estimate(model, asked.spec, x_t, guide))

        self._asker.put(make)

    def _question(self, level: NoiseLevel) -> Question | None:
        store, eps = self._desk.store, self.eps
        if self.x_0 is None or eps is None or eps.shape != self.x_0.shape:
            return None
        try:
            spec = forward.one_step_spec(store.spec, level)
            guide = store.guide_of(spec)
        except InputError:  # the run says so, when it is asked for
            return None
        source, who = store.source, f"by {store.card.title}"
        return Question(source, source.place, self.x_0, eps, level, spec, guide, who)

    @Slot(object)
    def _on_answer(self, answer: Answer) -> None:
        if answer.asked.source is self._source:
            self.answer = answer
            self.answered.emit(answer)


def _wanted(card: ModelCard) -> tuple[tuple[int, ...], float, float]:
    """The shape and the range of the pictures that become x_0 of this model."""
    if card.coded:
        return card.shown_shape, -1.0, 1.0
    return card.data_shape, *card.value_range
