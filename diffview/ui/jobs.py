"""What runs in the worker threads: generators, without Qt. torch is imported here, not earlier."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from diffview import tensorfile
from diffview.engine import session
from diffview.engine.trajectory import Trajectory
from diffview.errors import DiffviewError, InputError
from diffview.exporters import carriers, recipe
from diffview.frames import lens as lenses
from diffview.frames import picture_file
from diffview.frames.lens import Lens
from diffview.models import catalog, sampling
from diffview.models.card import ModelCard
from diffview.ui import guide_source
from diffview.ui.guide_source import GuideSource


class ModelSource:
    """A model that can be run: its card, and how to get it ready. Opened once, then kept."""

    def __init__(
        self, card: ModelCard, open_on: Callable[[str], Any], *, guidable: bool = True
    ) -> None:
        self.card, self.guidable = card, guidable
        self._open_on = open_on
        self._model: Any = None
        self._opening = Lock()
        self._decoder: Lens | None = None
        self.device = ""

    def model(self) -> Any:
        """The denoiser, opened at the first call; any worker's thread may ask."""
        with self._opening:
            if self._model is None:
                leave_a_core_to_the_window()
                self._model = self._open_on("auto")
                self.device = str(self._model.device)
            return self._model

    def decoder(self) -> Lens | None:
        """What its samples are looked at through; None where they are pictures.

        Only a worker's thread may ask, and look through it.
        """
        if self._decoder is None and self.card.coded:
            self._decoder = lenses.decoded(self.model(), self.card.shown_shape)
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
    source: ModelSource,
    few: Trajectory,
    upto: int,
    whole: Trajectory,
    guide: GuideSource | None = None,
) -> Iterator[int]:
    """First `few` as far as record `upto`, then `whole`; yields a count of both."""
    model = source.model()
    guiding = None if guide is None else guide.guide(model)
    for _ in sampling.sample_into(few, model, guide=guiding):
        yield len(few)
        if len(few) > upto:
            break
    for _ in sampling.sample_into(whole, model, guide=guiding):
        yield len(few) + len(whole)


def bundled_sources() -> dict[str, ModelSource]:
    """The bundled models that can be sampled, and after them a person's own, by id."""
    sources = {e.card.id: source_of(e) for e in catalog.bundled() if e.card.samples}
    own = {e.card.id: source_of(e) for e in catalog.own() if e.card.samples}
    return {**sources, **{id: source for id, source in own.items() if id not in sources}}


def source_of(entry: catalog.Entry) -> ModelSource:
    """A model in a file."""
    return ModelSource(entry.card, lambda device: sampling.open_model(entry, device))


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A sound picture without a recipe."""

    path: Path


def open_file(path: Path) -> Iterator[Any]:
    """What is in `path`: a saved run (Trajectory, about), a ModelSource, a Recipe, a picture."""
    if path.is_dir():
        path = path / recipe.FILENAME
    if not (path.is_file() and carriers.is_safetensors(path)):
        if _is_plain_picture(path):
            picture_file.check(path)
            yield PictureFile(path)
        else:
            yield recipe.read(path)
    elif session.METADATA_KEY in tensorfile.read_header(path).metadata:
        yield session.load(path)
    else:
        entry = catalog.entry(path)
        yield source_of(entry) if entry.card.samples else guide_source.of_entry(entry)


def _is_plain_picture(path: Path) -> bool:
    """Whether it is a picture, sound or not, that carries no recipe."""
    if not (path.is_file() and picture_file.is_picture(path)):
        return False
    try:
        return carriers.text_of(path) is None
    except InputError:  # of a kind that carries none, or broken
        return True


def save_session(trajectory: Trajectory, path: Path, about: dict[str, Any]) -> Iterator[Path]:
    """Save a run; yields its path."""
    try:
        session.save(trajectory, path, about)
    except OSError as error:
        raise DiffviewError(f"{path} could not be written: {error.strerror or error}") from None
    yield path
