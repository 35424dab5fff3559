"""A person's own folders: home, settings, data, logs; none of them where there is no home.

Without a home `~` stays as it is in a path, and would be made as a folder of that name.
"""

from __future__ import annotations

import os
from pathlib import Path

from diffview.errors import InputError

KINDS = ("config", "data", "cache", "log")


def home() -> Path | None:
    """The home folder; None where HOME is empty, or unset and the system knows no such user."""
    if os.environ.get("HOME") == "":  # which Python takes for the root folder
        return None
    try:
        found = Path.home()
    except RuntimeError:
        return None
    return found if found.is_absolute() else None


def folder(kind: str) -> Path | None:
    """Where diffview keeps its `kind` (of KINDS) for this person; it need not be there yet."""
    import platformdirs

    dirs = platformdirs.PlatformDirs("diffview", appauthor=False)
    try:
        found = Path(getattr(dirs, f"user_{kind}_dir"))
    except RuntimeError:  # older ones give a path that begins with ~
        return None
    return found if found.is_absolute() else None


def expanded(path: str | Path) -> Path:
    """The path with its ~ resolved. Raises InputError where there is no such home."""
    ours = Path(path).parts[:1] == ("~",)
    try:
        if not (ours and home() is None):
            return Path(path).expanduser()
    except RuntimeError:
        pass
    raise InputError(f"{path} names a home that is not there: give the whole path")


def writable(path: Path) -> bool:
    """Whether `path` can be made or written in: its nearest folder that is there says so."""
    there = next((one for one in (path, *path.parents) if one.exists()), None)
    return there is not None and there.is_dir() and os.access(there, os.W_OK)
