"""The models a person opened from elsewhere, newest first: paths in the data folder.

Without a home, or where nothing can be written, nothing is remembered and nothing breaks.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

from diffview import places
from diffview.atomic import replacing

log = logging.getLogger(__name__)

MOST = 20
FILE = "recent-models.json"


def paths() -> tuple[Path, ...]:
    """What was opened and is still there, newest first."""
    return tuple(path for path in _read() if path.exists())


def remember(path: Path) -> None:
    """Put `path` first."""
    place, path = _place(), path.absolute()
    if place is None:
        return
    kept = [path, *(other for other in _read() if other != path)][:MOST]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as partial:
            partial.write_text(json.dumps([str(one) for one in kept]), encoding="utf-8")
    except OSError as error:
        log.warning("the models opened last could not be noted in %s: %s", place, error)


def _read() -> list[Path]:
    place = _place()
    try:
        value = json.loads(place.read_text(encoding="utf-8")) if place is not None else []
    except (OSError, ValueError, RecursionError):
        return []
    found = value if isinstance(value, list) else []
    return [Path(one) for one in found if isinstance(one, str) and "\0" not in one]


def _place() -> Path | None:
    data = places.folder("data")
    return None if data is None else data / FILE
