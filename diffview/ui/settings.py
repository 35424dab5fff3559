"""What is remembered between two launches: one JSON file, read with suspicion, written whole.

A damaged file is kept as `.bad` and defaults are used; keys this version does not know are kept. Two
windows may write at the same time: a lock file lets one wait for the other. Where nothing can be
written, settings live in memory and `trouble` says so.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from PySide6.QtCore import QLockFile

from diffview.atomic import replacing

LOCK_WAIT_MS = 2000

log = logging.getLogger(__name__)


class Settings:
    """Values by name; every `save` merges into what is in the file by then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.trouble = ""
        self._values = self._read()

    def get(self, name: str, default: Any) -> Any:
        """A value of the same type as `default`, else `default`."""
        value = self._values.get(name, default)
        return value if isinstance(value, type(default)) else default

    def save(self, **values: Any) -> None:
        """Remember values; other keys in the file stay."""
        self._values.update(values)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = QLockFile(str(self._path) + ".lock")
            lock.setStaleLockTime(10_000)
            if not lock.tryLock(LOCK_WAIT_MS):
                raise OSError("another window is writing it")
            try:
                self._write({**self._read(), **values})
            finally:
                lock.unlock()
        except OSError as error:
            self.trouble = f"Settings cannot be saved in {self._path}: {error}"
            log.warning(self.trouble)

    def _write(self, values: dict[str, Any]) -> None:
        with replacing(self._path) as partial:
            partial.write_text(json.dumps(values, indent=1, sort_keys=True), encoding="utf-8")

    def _read(self) -> dict[str, Any]:
        try:
            value = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(value, dict):
                return value
        except FileNotFoundError:
            return {}
        except OSError as error:
            self.trouble = f"Settings cannot be read from {self._path}: {error}"
            return {}
        except ValueError:
            pass
        self._set_aside()
        return {}

    def _set_aside(self) -> None:
        bad = self._path.with_name(self._path.name + ".bad")
        self.trouble = f"The settings file was damaged; defaults are used, it is kept as {bad}"
        try:
            self._path.replace(bad)
        except OSError as error:
            log.warning("cannot set aside %s: %s", self._path, error)
