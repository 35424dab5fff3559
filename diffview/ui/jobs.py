"""What runs in the worker threads: generators, without Qt. torch is imported here, not earlier."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from diffview.engine import session
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.errors import DiffviewError
from diffview.frames import lens as lenses
from diffview.frames import picture_file
from diffview.frames.lens import Lens
from diffview.models import branching, catalog, editing, hf, inverting, sampling
from diffview.models.branching import Branch
from diffview.models.card import ModelCard
from diffview.models.facts import Facts
from diffview.models.inverting import State, StepError
from diffview.models.memory import Room
from diffview.ui.first_look import FirstLook
from diffview.ui.guide_source import GuideSource


class ModelSource:
    """A model that can be run: its card, and how to get it ready. Opened once, then kept.

    place: the device and the number type that are wanted; where they change, it is opened anew.
    numbers: the number types that can be chosen. facts: all that was read of it, where known.
    """

    numbers: tuple[str, ...] = ("auto",)

    def __init__(
        self,
        card: ModelCard,
        open_on: Callable[[str], Any],
        *,
        guidable: bool = True,
        facts: Facts = (),
    ) -> None:
        self.card, self.guidable, self.facts = card, guidable, facts
        self.place = ("auto", "auto")
        self._open_on = open_on
        self._model: Any = None
        self._placed = self.place
        self._opening = Lock()
        self._decoder: Lens | None = None
        self.device = ""

    def model(self) -> Any:
        """The denoiser, opened at the first call; any worker's thread may ask."""
        with self._opening:
            if self._model is None or self._placed != self.place:
                leave_a_core_to_the_window()
                self._placed = self.place
                self._model = self._decoder = None  # its memory may be needed by the next
                self._model = self._opened(*self._placed)
                self.device = str(self._model.device)
            return self._model

    def _opened(self, device: str, dtype: str) -> Any:
        return self._open_on(device)

    @property
    def ready(self) -> bool:
        """Whether it is open where it is wanted."""
        return self._model is not None and self._placed == self.place

    @property
    def room(self) -> Room | None:
        """What a sample takes, and what is free; None where that was not worth measuring."""
        return getattr(self._model, "room", None)

    def decoder(self) -> Lens | None:
        """What its samples are looked at through; None where they are pictures.

        Only a worker's thread may ask, and look through it.
        """
        if not self.card.coded:
            return None
        model = self.model()  # which may be another one than before
        if self._decoder is None:
            self._decoder = lenses.decoded(model, self.card.shown_shape)
        return self._decoder


def leave_a_core_to_the_window() -> None:
    """Give torch all cores but one, so that the window stays fluid while sampling."""
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))


def sample(
    source: ModelSource, trajectory: Trajectory, guide: GuideSource | None = None
) -> Iterator[int]:
    """Fill `trajectory` by its own spec; yields the number of records kept so far."""
    model = source.model()
    guiding = None if guide is None else guide.guide(model)
    for _ in sampling.sample_into(trajectory, model, guide=guiding):
        yield len(trajectory)


def sample_in_two(
    source: ModelSource, look: FirstLook, whole: Trajectory, guide: GuideSource | None = None
) -> Iterator[int]:
    """First the look as far as it goes, then `whole`; yields a count of both."""
    model, few = source.model(), look.run
    guiding = None if guide is None else guide.guide(model)
    for _ in sampling.sample_into(few, model, guide=guiding):
        yield len(few)
        if len(few) >= look.upto:
            break
    for _ in sampling.sample_into(whole, model, guide=guiding):
        yield len(few) + len(whole)


def go_on(source: ModelSource, branch: Branch, by: Mapping[str, GuideSource]) -> Iterator[int]:
    """Sample a run that has its beginning to its end; yields the number of records so far."""
    model = source.model()
    guiding = {name: guide.guide(model) for name, guide in by.items()}
    for _ in branching.continue_into(branch, model, guiding):
        yield len(branch.trajectory)


def renoised(record: StepRecord, seeds: Sequence[int], part: str) -> Iterator[Float32]:
    """The state of a record with new noise in a part of it."""
    yield editing.renoised(record, seeds, part)


def read_state(path: Path, spec: RunSpec, card: ModelCard) -> Iterator[Float32]:
    """The x_t in a file, for a run of `spec`."""
    yield sampling.read_init_noise(path, spec, card)


@dataclass(slots=True)
class Climb:
    """A picture on its way up to x_T, and what came of it; the sampling thread writes.

    picture: a file, or samples (B, *D). done: what was done to the file, in words. errors: of the
    way back, once it is there.
    """

    picture: Path | Float32
    name: str = ""
    refine: int = 0
    pictures: Float32 | None = None
    done: tuple[str, ...] = ()
    states: list[State] = field(default_factory=list)
    errors: tuple[StepError, ...] = ()


def invert(
    source: ModelSource, climb: Climb, back: Trajectory, guide: GuideSource | None = None
) -> Iterator[int]:
    """Follow the picture up to its x_T, then fill `back`; yields the states and records so far."""
    model = source.model()
    guiding = None if guide is None else guide.guide(model)
    pictures = _read(climb, model.card)
    for state in inverting.climb(model, back.spec, pictures, refine=climb.refine, guide=guiding):
        climb.states.append(state)
        yield len(climb.states)
    for _ in sampling.sample_into(back, model, climb.states[-1].x_t, guiding):
        yield len(climb.states) + len(back)
    climb.errors = inverting.errors(climb.states, back, model.card.value_range)


def _read(climb: Climb, card: ModelCard) -> Float32:
    if isinstance(climb.picture, Path):
        read = picture_file.read(climb.picture, card.data_shape, *card.value_range)
        climb.done, climb.pictures = read.done, read.values[None]
    else:
        climb.pictures = climb.picture
    return climb.pictures


class FileSource(ModelSource):
    """A model in a file or a folder."""

    def __init__(self, entry: catalog.Entry, facts: Facts = ()) -> None:
        super().__init__(entry.card, lambda device: self._opened(device, "auto"), facts=facts)
        self.entry = entry
        if entry.card.family == hf.FAMILY:
            self.numbers = hf.DTYPES

    def _opened(self, device: str, dtype: str) -> Any:
        return sampling.open_model(self.entry, device, dtype)


def bundled_sources() -> dict[str, ModelSource]:
    """The bundled models that can be sampled, by id."""
    return {e.card.id: source_of(e) for e in catalog.bundled() if e.card.samples}


def source_of(entry: catalog.Entry) -> ModelSource:
    """A model in a file or a folder."""
    return FileSource(entry)


def save_session(trajectory: Trajectory, path: Path, about: dict[str, Any]) -> Iterator[Path]:
    """Save a run; yields its path."""
    try:
        session.save(trajectory, path, about)
    except OSError as error:
        raise DiffviewError(f"{path} could not be written: {error.strerror or error}") from None
    yield path
