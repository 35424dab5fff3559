"""Hashes of weight files, kept: a file of gigabytes is read once and not at every look.

What is kept is believed while the file has the same size, time and place on the disk.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from diffview import places, tensorfile
from diffview.atomic import replacing
from diffview.errors import InputError
from diffview.models import reading

log = logging.getLogger(__name__)

SMALL = 32 * 1024**2
"""Bytes that are hashed sooner than they are looked up."""
CHUNK = 4 * 1024**2
MOST = 500
FILE = "weight-hashes.json"


def sha256(path: Path) -> str:
    """The file's SHA-256. Raises InputError when it cannot be read."""
    try:
        stat = path.stat()
        if stat.st_size <= SMALL:
            return tensorfile.sha256(path)
        mark = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        kept, key = _read(), str(path.absolute())
        known = _known(kept, key, mark)
        if known is not None:
            return known
        found = _hash(path, stat.st_size)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    _write({**kept, key: [*mark, found]})
    return found


def _hash(path: Path, size: int) -> str:
    hasher = hashlib.sha256()
    with (
        path.open("rb") as file,
        reading.metered(f"{path.parent.name}/{path.name} for its hash", size) as count,
    ):
        while chunk := file.read(CHUNK):
            hasher.update(chunk)
            count(len(chunk))
    return hasher.hexdigest()


def is_known(path: Path) -> bool:
    """Whether the file's hash is told at once. Raises InputError when it cannot be looked at."""
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    mark = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
    return stat.st_size <= SMALL or _known(_read(), str(path.absolute()), mark) is not None


def _known(kept: dict[str, Any], key: str, mark: list[int]) -> str | None:
    known = kept.get(key)
    if isinstance(known, list) and known[:3] == mark and isinstance(known[-1], str):
        return known[-1]
    return None


def _read() -> dict[str, Any]:
    place = _place()
    try:
        value = json.loads(place.read_text(encoding="utf-8")) if place is not None else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _write(kept: dict[str, Any]) -> None:
    place = _place()
    if place is None:
        return
    newest = dict(list(kept.items())[-MOST:])
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as partial:
            partial.write_text(json.dumps(newest), encoding="utf-8")
    except OSError as error:
        log.warning("hashes could not be kept in %s: %s", place, error)


def _place() -> Path | None:
    cache = places.folder("cache")
    return None if cache is None else cache / FILE
