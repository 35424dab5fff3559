"""Opening by what is there: a run, a recipe, a picture, or a model in a file or a folder.

What runs in the worker threads: generators, without Qt.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from diffview import tensorfile
from diffview.engine import session
from diffview.errors import InputError
from diffview.exporters import carriers, recipe
from diffview.frames import picture_file
from diffview.lessons import lesson
from diffview.models import catalog, facts, hf, memory, pickled, sampling
from diffview.models.catalog import Entry
from diffview.models.exact import points_file
from diffview.models.exact.toys import mixture_card
from diffview.models.hf import folder, hub
from diffview.models.hf.hub import Found, Progress
from diffview.ui import guide_source
from diffview.ui.guide_source import GuideSource
from diffview.ui.jobs import FileSource, ModelSource

TOLD_EVERY = 0.1
"""Seconds."""


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A sound picture without a recipe."""

    path: Path


@dataclass(frozen=True, slots=True)
class PickleFile:
    """A checkpoint, or a folder of such, that can only be opened by making another of it: ask."""

    path: Path

    def words(self) -> tuple[str, str]:
        """What it is, and what would be made of it."""
        if self.path.is_dir():
            size = sum(file.stat().st_size for file in self.path.glob("*/*.bin"))
            what, made = "has weights that are Python pickles", f"a folder {self.path.name}"
        else:
            size = self.path.stat().st_size
            what, made = "is a Python pickle", f"{self.path.stem}.safetensors"
        return what, f"{made} to your models, {memory.gigabytes(size)}"


@dataclass(frozen=True, slots=True)
class OpenedPoints:
    """Points in the plane as the exact model that they are; told: what was done to them."""

    source: ModelSource
    told: str


@dataclass(frozen=True, slots=True)
class Offered:
    """A model to be listed beside the others, and not chosen."""

    source: ModelSource


def open_file(path: Path) -> Iterator[Any]:
    """What is in `path`: a saved run (Trajectory, about), a ModelSource, a Recipe, a picture, ...

    Before a run or a recipe comes its model, where it is among the models kept here. Raises
    InputError for all else, naming the path and the reason.
    """
    if path.name == folder.INDEX and path.is_file():
        path = path.parent
    if path.is_dir():
        yield from _folder(path)
    elif path.is_file() and carriers.is_safetensors(path):
        yield from _tensors(path)
    elif path.is_file() and pickled.is_pickle(path):
        yield PickleFile(path)
    elif path.suffix == lesson.SUFFIX and path.is_file():
        yield lesson.read(path)
    elif path.suffix.lower() in points_file.SUFFIXES and path.is_file():
        yield point_set(path)
    elif _is_plain_picture(path):
        picture_file.check(path)
        yield PictureFile(path)
    else:
        yield from _with_model(recipe.read(path))


def _folder(path: Path) -> Iterator[Any]:
    if (path / recipe.FILENAME).is_file():
        yield from _with_model(recipe.read(path / recipe.FILENAME))
    elif hf.is_folder(path) and hf.is_pickled(path):
        yield PickleFile(path)
    else:
        yield of_entry(catalog.at(path))


def point_set(path: Path) -> OpenedPoints:
    """A Gaussian on each of the points in a file. Raises InputError as `points_file.read`."""
    read = points_file.read(path)
    data = read.mixture()
    count = len(read.places)
    words = f"{count:,} {'point' if count == 1 else 'points'} of {path.name}: "
    words += f"{'; '.join(read.done)}."
    # Two files of one name, and one file that was edited, are two models.
    content = hashlib.sha256(repr((data.sha256, data.classes)).encode()).hexdigest()[:8]
    card = mixture_card(data, f"points-{path.stem}-{content}", path.stem, words)

    def make(device: str) -> Any:
        from diffview.models.exact.mixture_denoiser import MixtureDenoiser

        return MixtureDenoiser(card, data)

    return OpenedPoints(ModelSource(card, make, guidable=bool(card.classes)), words)


def _tensors(path: Path) -> Iterator[Any]:
    if session.METADATA_KEY in tensorfile.read_header(path).metadata:
        run, about = session.load(path)
        yield from _kept(sampling.weights_of(about))
        yield run, about
    else:
        yield of_entry(catalog.at(path))


def _with_model(found: recipe.Recipe) -> Iterator[Any]:
    yield from _kept(found.weights_sha256)
    yield found


def _kept(sha256: str) -> Iterator[Offered]:
    """The model with these weights among a person's own."""
    entry = catalog.by_hash(sha256)
    if entry is not None and not entry.bundled and entry.card.samples:
        yield Offered(source_of(entry))


def of_entry(entry: Entry) -> ModelSource | GuideSource:
    """A model to be chosen, or one that only guides. Raises InputError where the packages that it
    needs are not installed."""
    if not entry.card.samples:
        return guide_source.of_entry(entry)
    if entry.card.family == hf.FAMILY:
        hf.require()
    return source_of(entry, facts.checked(entry))


def source_of(entry: Entry, unusual: Sequence[str] = ()) -> ModelSource:
    """A model with all that was read of it, and notes of what is unusual besides."""
    notes = tuple(("note", note) for note in unusual)
    return FileSource(entry, (*facts.of_entry(entry), *notes))


def own() -> Iterator[Offered]:
    """A person's own models: those in the models folder, one after the other.

    Slow the first time: hashes of large files are not known yet.
    """
    for entry in catalog.own():
        if entry.card.samples:
            yield Offered(source_of(entry))


def converted(path: Path) -> Iterator[Any]:
    """The tensors of a pickled checkpoint or folder among the models, and that model."""
    convert = hf.convert if path.is_dir() else pickled.convert
    made = convert(path, catalog.checked_models_folder())
    yield of_entry(catalog.at(made))


@dataclass(frozen=True, slots=True)
class Lookup:
    """A model on the hub, where it would go, whether it is there, bytes an earlier try left."""

    found: Found
    target: Path
    whole: bool
    there: int


def looked_up(model_id: str) -> Iterator[Lookup]:
    """What the hub has of this name. Raises as `hub.look`."""
    models = catalog.checked_models_folder()
    found = hub.look(model_id)
    target = models / found.folder_name
    yield Lookup(found, target, target.exists(), hub.there(found, models))


def fetched(found: Found) -> Iterator[Any]:
    """Bring a model of the hub: its Progress at most every TOLD_EVERY seconds, then the model."""
    models = catalog.checked_models_folder()
    told = 0.0
    with closing(cast("Generator[Progress]", hub.fetch(found, models))) as steps:
        for step in steps:
            # The cancel is looked for wherever something is told.
            if time.monotonic() - told > TOLD_EVERY or step.done == step.total:
                told = time.monotonic()
                yield step
    yield of_entry(catalog.at(models / found.folder_name))


def _is_plain_picture(path: Path) -> bool:
    """Whether it is a picture, sound or not, or at least named like one, without a recipe."""
    named = path.suffix.lower() in picture_file.SUFFIXES
    if not (path.is_file() and (named or picture_file.is_picture(path))):
        return False
    try:
        return carriers.text_of(path) is None
    except InputError:  # of a kind that carries none, or broken
        return True
