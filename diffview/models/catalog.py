"""What can be run: the bundled models, any file with a card, any folder of pictures.

Reads headers, never weights; exact models have none (`diffview.models.exact`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from diffview import places, resources, tensorfile
from diffview.datasets import folder, picture_sets
from diffview.errors import InputError
from diffview.models import card as cards
from diffview.models import hf, pickled
from diffview.models import recent as recents
from diffview.models.card import ModelCard
from diffview.models.exact import sets
from diffview.models.exact.toys import toys
from diffview.models.hf import hub, mistaken
from diffview.models.hf.folder import INDEX

log = logging.getLogger(__name__)

SUFFIX = ".safetensors"
FIRST = "fashion"
"""The window opens with it: small, quick, and what its ten classes are everybody sees."""
MARK = "@"
"""Between a card's id and the beginning of the weights' hash, where two models have one id."""


@dataclass(frozen=True)
class Entry:
    """A model that can be opened: its card and the file with its weights.

    Of an exact model path is the file that defines it, or the folder of its pictures.
    """

    card: ModelCard
    path: Path
    bundled: bool


@cache
def bundled() -> tuple[Entry, ...]:
    """The models that ship with diffview: FIRST, trained by title, exact, then those that judge.

    A damaged one is left out and named in the log: it must not take the others with it.
    """
    entries = []
    for path in sorted(resources.path("models").glob(f"*{SUFFIX}")):
        try:
            entries.append(entry(path, bundled=True))
        except InputError as error:
            log.warning("%s (left out; install diffview again to mend it)", error)
    entries.sort(key=lambda e: (e.card.id != FIRST, e.card.title))
    judges = [e for e in entries if not e.card.samples]
    return (*[e for e in entries if e.card.samples], *exact(), *judges)


def exact() -> tuple[Entry, ...]:
    """The models that are computed from their data: distributions of points, sets of pictures."""
    points = [Entry(toy.card(), toy.path, bundled=True) for toy in toys().values()]
    pictures = [sets.set_card(known) for known in picture_sets().values()]
    return (*points, *(Entry(card, Path(card.id), bundled=True) for card in pictures))


def models_folder() -> Path | None:
    """Where this person's own models are kept, trained or fetched; None without a home."""
    data = places.folder("data")
    return None if data is None else data / "models"


def checked_models_folder() -> Path:
    """The same. Raises InputError without a home."""
    found = models_folder()
    if found is None:
        raise InputError("there is no home folder to keep models in: set HOME")
    return found


def own() -> tuple[Entry, ...]:
    """The models in the models folder, by title; what cannot be one is named in the log."""
    place = models_folder()
    entries: list[Entry] = []
    for path in sorted(place.glob("*")) if place is not None else []:
        if path.suffix == SUFFIX or hf.is_folder(path):
            entries += _entries(path)
    return tuple(sorted(entries, key=lambda e: e.card.title))


def recent() -> tuple[Entry, ...]:
    """The models that were opened from elsewhere, newest first; what is gone is left out."""
    kept = {found.path.absolute() for found in own()}
    return tuple(e for path in recents.paths() if path not in kept for e in _entries(path))


def by_hash(sha256: str) -> Entry | None:
    """The model with these weights among all that are known here, None if there is none."""
    if not sha256:
        return None
    groups = (bundled, own, recent)
    same = (e for group in groups for e in group() if e.card.weights_sha256 == sha256)
    return next(same, None)


def _entries(path: Path) -> tuple[Entry, ...]:
    """The model at `path`; none, and a line in the log, where it cannot be one."""
    try:
        return (at(path),)
    except (InputError, OSError) as error:
        log.warning("%s (left out)", error)
        return ()


def is_model(path: Path) -> bool:
    """Whether a folder could be one: of diffusers, or of pictures."""
    return hf.is_folder(path) or folder.holds_pictures(path)


def at(path: Path) -> Entry:
    """The model in this file or folder. Raises InputError when there is none."""
    if path.name == INDEX and hf.is_folder(path.parent):
        path = path.parent
    if hf.is_folder(path):
        return Entry(hf.card(path), path, bundled=False)
    if path.is_dir():
        return _of_folder(path)
    if pickled.is_pickle(path):
        raise InputError(
            f"{path} is a Python pickle, which can run code: 'diffview convert {path}' reads its "
            "tensors alone and makes a .safetensors of them"
        )
    if path.suffix == SUFFIX and hf.is_single(path):
        return Entry(hf.card(path), path, bundled=False)
    whole = path.absolute().parent.parent
    if hf.is_folder(whole):
        raise InputError(f"{path} is one part of a model: open the folder {whole}")
    return entry(path)


def entry(path: Path, *, bundled: bool = False) -> Entry:
    """The model in the file at `path`. Raises InputError when it cannot be one."""
    header = tensorfile.read_header(path)
    told = "" if cards.KEY in header.metadata else mistaken.file_told(header.tensors)
    if told:
        raise InputError(f"{path} is {told}")
    card = cards.from_metadata(header.metadata, str(path))
    known = replace(card, parameters=header.parameters, weights_sha256=tensorfile.sha256(path))
    return Entry(known, path, bundled)


def find(name: str) -> Entry:
    """The model with this id, in this file, or of the pictures in this folder.

    Raises InputError naming what there is.
    """
    by_id = {found.card.id: found for found in bundled()}
    if name not in by_id:
        by_id = {found.card.id: found for found in own()} | by_id
    if name in by_id:
        return by_id[name]
    if name.startswith(sets.PREFIX):
        rest = name.removeprefix(sets.PREFIX)
        pictures = _existing(rest) if rest and sets.set_of(name) is None else None
        if pictures is not None and pictures.is_dir():
            return _of_folder(pictures)
        known_set, place = sets.parse(name)
        return Entry(sets.set_card(known_set), place or Path(name), bundled=place is None)
    path = _existing(name)
    if path is not None:
        return at(path)
    close = get_close_matches(name, by_id, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    known = ", ".join(by_id) or "none"
    if hub.is_id(name) and not name.endswith(SUFFIX):
        raise InputError(
            f"{name} is not here{hint}: if it is a model of the Hugging Face hub, fetch it first "
            f"with 'diffview fetch {name}'; else give a model's file or folder"
        )
    if _means_a_file(name):
        raise InputError(f"{name} does not exist{hint}: give a model's file, or one of {known}")
    raise InputError(f"unknown model '{name}'{hint}: give one of {known}, or a model's file")


def _of_folder(path: Path) -> Entry:
    if not folder.holds_pictures(path):
        raise InputError(f"{path} is {mistaken.folder_told(path)}")
    return Entry(sets.folder_card(path), path, bundled=False)


def _means_a_file(name: str) -> bool:
    return any(mark in name for mark in ("/", "\\", "~")) or name.endswith(SUFFIX)


def told_apart(card: ModelCard, others: Iterable[ModelCard]) -> ModelCard:
    """The card, under a name of its own where another has its id and is of other weights."""
    same = [other for other in others if other.id == card.id]
    if all(card.weights_sha256 in ("", other.weights_sha256) for other in same):
        return card
    mark = card.weights_sha256[:8]
    return replace(card, id=f"{card.id}{MARK}{mark}", title=f"{card.title} ({mark})")


def plain_id(model_id: str) -> str:
    """The id that the model's own card has."""
    return model_id.partition(MARK)[0]


def _existing(name: str) -> Path | None:
    """`name` as a path if something lies there; not every word can be a path."""
    try:
        path = Path(name).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long, no such home, a zero byte
        return None
