"""Files appear whole or not at all: written beside their place as `.partial`, then renamed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

PARTIAL = ".partial"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a `.partial` path to write to; on success it replaces `path`, on any error it goes.

    The old file stays whole until the new one is on the disk. Raises OSError for what is there and
    no file: whoever may would put a file in place of a device.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EEXIST, "it is there and is no file", str(path))
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
