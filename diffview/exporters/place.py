"""Where an export goes: names that every system takes, and folders that appear whole or not.

A folder is written as DIR.partial and renamed when whole. A process that is killed leaves only
DIR.partial, which the next export to the same place recognises and replaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from diffview.atomic import PARTIAL
from diffview.errors import InputError
from diffview.exporters.carriers import KEY, MAX_TEXT
from diffview.exporters.recipe import FILENAME

REPLACED = ".replaced"
MARK = ".diffview-export"
MAX_NAME = 255
MAX_PROPOSED = 120

_RESERVED = {
    "con", "prn", "aux", "nul", "conin$", "conout$",
    *(f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"),
}  # fmt: skip

IsOurs = Callable[[str], bool]
"""Whether an export could have written a file of this name."""


def safe_name(proposed: str, fallback: str = "export") -> str:
    """A file name made of `proposed` that Linux, macOS and Windows all take, at most 120 bytes.

    Letters of every script stay. Separators and what Windows forbids become "_"; control and
    direction characters go.
    """
    text = unicodedata.normalize("NFC", proposed)
    text = "".join(" " if c in "\t\n\r" else c for c in text)
    text = "".join(c for c in text if not unicodedata.category(c).startswith("C"))
    text = re.sub(r'[<>:"/\\|?*]+', "_", text)
    text = re.sub(r"\s+", " ", text).strip(" .").lstrip("-")
    text = _cut(text, MAX_PROPOSED).rstrip(" .")
    if _is_reserved(text):
        text = "_" + text
    return text or fallback


def _cut(text: str, limit: int) -> str:
    """At most `limit` bytes of UTF-8, no character cut in two."""
    return text.encode()[:limit].decode(errors="ignore")


def _is_reserved(name: str) -> bool:
    return name.split(".")[0].rstrip(" ").lower() in _RESERVED


def check_name(path: Path, *, windows: bool = sys.platform == "win32") -> None:
    """Raises InputError when the system cannot have a file or folder of this name."""
    name = path.name
    length = len(name.encode(errors="surrogateescape")) + max(len(PARTIAL), len(REPLACED))
    if not name or name == ".." or "\0" in str(path):
        raise InputError(f"{str(path)!r} is not a name that can be written to")
    if length > MAX_NAME:
        raise InputError(
            f"the name '{name[:40]}…' is {length - MAX_NAME} bytes too long: shorten it"
        )
    if windows and (_is_reserved(name) or re.search(r'[<>:"|?*]|[. ]$', name)):
        raise InputError(f"Windows takes no name such as '{name}': try '{safe_name(name)}'")


def located(path: Path) -> Path:
    """`path` with a name of its own: links, "." and ".." followed, where they come last."""
    if path.is_symlink() or path.name in ("", ".."):
        return Path(os.path.realpath(path))
    return path


class AlreadyThere(InputError):
    """An earlier export is in the way; it can be replaced by asking for it."""


def check_folder(folder: Path, is_ours: IsOurs, *, overwrite: bool) -> None:
    """Raises InputError when an export must not go to `folder`."""
    check_name(folder)
    if folder.is_dir():
        _check_existing(folder, is_ours, overwrite=overwrite)
    elif folder.exists():
        raise InputError(f"{folder} is a file, not a folder: choose another name")
    for suffix in (PARTIAL, REPLACED):
        left = folder.with_name(folder.name + suffix)
        if left.exists() and not _is_left_over(left, is_ours):
            raise InputError(
                f"{left} is in the way and was not left by an export: move it or choose another "
                "folder"
            )


def _check_existing(folder: Path, is_ours: IsOurs, *, overwrite: bool) -> None:
    names = _names(folder)
    if not names:
        return
    foreign = sorted(name for name in names if not is_ours(name))
    if foreign or not _is_manifest(folder / FILENAME):
        example = f" (such as '{foreign[0]}')" if foreign else ""
        raise InputError(
            f"{folder} exists and holds what no export wrote{example}: choose another or an "
            "empty folder"
        )
    if not overwrite:
        raise AlreadyThere(
            f"{folder} exists and holds an earlier export: choose another folder, or replace it"
        )


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}") from None


def _is_manifest(path: Path) -> bool:
    """Whether this is a recipe.json that some version of diffview wrote."""
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(MAX_TEXT))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(value, dict) and KEY in value and "recipe" in value


def _is_left_over(partial: Path, is_ours: IsOurs) -> bool:
    if not partial.is_dir() or partial.is_symlink():
        return False
    names = [name.removesuffix(PARTIAL) for name in _names(partial)]
    marked = not names or MARK in names or FILENAME in names
    return marked and all(name == MARK or is_ours(name) for name in names)


@contextlib.contextmanager
def staged(folder: Path, is_ours: IsOurs, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty DIR.partial; renamed to `folder` on success, removed on any error.

    Raises InputError when the export must not or cannot go there.
    """
    check_folder(folder, is_ours, overwrite=overwrite)
    with _parents(folder):
        partial = _emptied(folder)
        try:
            with (partial / MARK).open("w") as mark:
                _lock(mark.fileno())
                yield partial
            (partial / MARK).unlink()
            _rename(partial, folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextlib.contextmanager
def _parents(folder: Path) -> Iterator[None]:
    """The folders above, made where they are missing; on an error those made here go again."""
    missing = [parent for parent in folder.parents if not parent.exists()]
    try:
        with _said(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for parent in missing:
            with contextlib.suppress(OSError):
                parent.rmdir()
        raise


def _emptied(folder: Path) -> Path:
    """An empty DIR.partial; one that a killed process left goes first."""
    partial = folder.with_name(folder.name + PARTIAL)
    with _said(folder):
        if partial.exists():
            _check_idle(partial)
            shutil.rmtree(partial)
        partial.mkdir()
    return partial


def _check_idle(partial: Path) -> None:
    """Raises InputError while another export is writing there."""
    with (partial / MARK).open("a") as file:
        if not _lock(file.fileno()):
            raise InputError(f"another export is being written to {partial}: wait, or stop it")


def _lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; says whether nobody else has."""
    if sys.platform == "win32":
        return True  # there a file that is open elsewhere cannot be removed in the first place
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


@contextlib.contextmanager
def _said(folder: Path) -> Iterator[None]:
    """What the system refuses before anything is written is the fault of the place chosen."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written: {error.strerror or error}; choose another folder"
        ) from None


def _rename(partial: Path, folder: Path) -> None:
    """Put `partial` in the place of `folder`, which comes back if that fails."""
    if not folder.is_dir():
        partial.rename(folder)
        return
    replaced = folder.with_name(folder.name + REPLACED)
    if replaced.exists():
        shutil.rmtree(replaced)
    folder.rename(replaced)
    try:
        partial.rename(folder)
    except BaseException:
        replaced.rename(folder)
        raise
    shutil.rmtree(replaced, ignore_errors=True)
