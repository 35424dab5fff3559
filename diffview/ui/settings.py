"""What is remembered between two launches: one JSON file, read with suspicion, written whole.

A damaged file is kept as `.bad` and defaults are used; keys this version does not know are kept.
Two windows may write at the same time: a lock file lets one wait for the other. Where nothing can
be written, settings live in memory and `trouble` says so.
"""

from __future__ import annotations

import json
import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PySide6.QtCore import QLockFile

from diffview import places
from diffview.atomic import replacing

LOCK_WAIT = 3.0
"""Seconds."""
STALE_MS = 10_000
IN_MEMORY = "settings are kept until the window closes"

log = logging.getLogger(__name__)


class Settings:
    """Values by name; every `save` merges into what is in the file by then."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.trouble = ""
        self._values = self._read_or_nothing()
        if path is None:
            self.trouble = f"There is no home folder: {IN_MEMORY}"
        elif not places.writable(path.parent):
            self.trouble = f"Settings cannot be saved in {path}: {IN_MEMORY}"

    def get(self, name: str, default: Any) -> Any:
        """A value of the same type as `default`, else `default`."""
        value = self._values.get(name, default)
        return value if type(value) is type(default) else default

    def save(self, **values: Any) -> None:
        """Remember values; other keys in the file stay."""
        self._values.update(values)
        if self._path is None:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(Path(f"{self._path}.lock")):
                self._write(self._path, {**self._read(self._path), **values})
        except OSError as error:
            self.trouble = f"Settings cannot be saved in {self._path}: {error}"
            log.warning(self.trouble)

    def _write(self, path: Path, values: dict[str, Any]) -> None:
        with replacing(path) as partial:
            partial.write_text(json.dumps(values, indent=1, sort_keys=True), encoding="utf-8")

    def _read_or_nothing(self) -> dict[str, Any]:
        try:
            return {} if self._path is None else self._read(self._path)
        except OSError as error:
            self.trouble = f"Settings cannot be read from {self._path}: {error}"
            return {}

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(value, dict):
                return value
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError):
            pass
        self._set_aside(path)
        return {}

    def _set_aside(self, path: Path) -> None:
        bad = path.with_name(path.name + ".bad")
        self.trouble = f"The settings file was damaged; defaults are used, it is kept as {bad}"
        try:
            path.replace(bad)
        except OSError as error:
            log.warning("cannot set aside %s: %s", path, error)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file. Raises OSError where it cannot be had in time."""
    lock = QLockFile(str(path))
    lock.setStaleLockTime(STALE_MS)
    deadline = time.monotonic() + LOCK_WAIT
    # Waiting inside QLockFile naps longer and longer, so that a busy lock is never caught free.
    while not lock.tryLock(0):
        if lock.error() != QLockFile.LockError.LockFailedError:
            raise OSError(f"{path} cannot be written")
        if time.monotonic() > deadline:
            raise OSError("another window is writing it")
        time.sleep(random.uniform(0.002, 0.02))
    try:
        yield
    finally:
        lock.unlock()
