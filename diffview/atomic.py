"""Files appear whole or not at all: written beside their place as `.partial`, then renamed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

PARTIAL = ".partial"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a `.partial` path to write to; on success it replaces `path`, on any error it goes.

    The old file stays whole until the new one is on the disk.
    """
    partial = path.with_name(path.name + PARTIAL)
    try:
        yield partial
        _flush(partial)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
