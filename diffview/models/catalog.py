"""What can be run: the bundled models, and any file with a card. Reads headers, never weights."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from diffview import resources, tensorfile
from diffview.errors import InputError
from diffview.models import card as cards
from diffview.models.card import ModelCard

log = logging.getLogger(__name__)

SUFFIX = ".safetensors"


@dataclass(frozen=True)
class Entry:
    """A model that can be opened: its card and the file with its weights."""

    card: ModelCard
    path: Path
    bundled: bool


@cache
def bundled() -> tuple[Entry, ...]:
    """The models that ship with diffview, by title; those that can be sampled first.

    A damaged one is left out and named in the log: it must not take the others with it.
    """
    entries = []
    for path in sorted(resources.path("models").glob(f"*{SUFFIX}")):
        try:
            entries.append(entry(path, bundled=True))
        except InputError as error:
            log.warning("%s (left out; install diffview again to mend it)", error)
    return tuple(sorted(entries, key=lambda e: (not e.card.samples, e.card.title)))


def entry(path: Path, *, bundled: bool = False) -> Entry:
    """The model in the file at `path`. Raises InputError when it cannot be one."""
    header = tensorfile.read_header(path)
    card = cards.from_metadata(header.metadata, str(path))
    known = replace(card, parameters=header.parameters, weights_sha256=tensorfile.sha256(path))
    return Entry(known, path, bundled)


def find(name: str) -> Entry:
    """The model with this id, or in this file. Raises InputError naming what there is."""
    by_id = {found.card.id: found for found in bundled()}
    if name in by_id:
        return by_id[name]
    path = _existing(name)
    if path is not None and path.is_dir():
        raise InputError(
            f"{path} is a folder: give a .safetensors file with a diffview card in it"
        )
    if path is not None:
        return entry(path)
    close = get_close_matches(name, by_id, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    known = ", ".join(by_id) or "none"
    if _means_a_file(name):
        raise InputError(f"{name} does not exist{hint}: give a model's file, or one of {known}")
    raise InputError(f"unknown model '{name}'{hint}: give one of {known}, or a model's file")


def _means_a_file(name: str) -> bool:
    return any(mark in name for mark in ("/", "\\", "~")) or name.endswith(SUFFIX)


def _existing(name: str) -> Path | None:
    """`name` as a path if something lies there; not every word can be a path."""
    try:
        path = Path(name).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long, no such home, a zero byte
        return None
