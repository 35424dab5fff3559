"""A measurement in a process of its own: fresh interpreter, empty settings, JSON lines back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from diffview.errors import DiffviewError

WINDOW = "diffview.ui.bench"
"""The module that drives the real window; run, never imported: Qt stays out of this process."""

TIMEOUT = 1800
FOLDERS = ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME")


def window(job: str, **options: Any) -> Iterator[dict[str, Any]]:
    """What `diffview.ui.bench` says about `job`. Raises DiffviewError when it breaks down."""
    with tempfile.TemporaryDirectory(prefix="diffview-bench-") as folder:
        words = [sys.executable, "-m", WINDOW, job, json.dumps(options | {"folder": folder})]
        done = subprocess.run(
            words,
            env=_environment(Path(folder)),
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise DiffviewError(f"the window could not be measured ({job}): {last}")
    yield from (json.loads(line) for line in done.stdout.splitlines() if line.startswith("{"))


def _environment(folder: Path) -> dict[str, str]:
    """Ours, with every folder for settings pointing into `folder`, and a platform Qt can use."""
    environment = dict(os.environ) | {name: str(folder) for name in FOLDERS}
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the window's own launch does
    if offscreen():
        environment["QT_QPA_PLATFORM"] = "offscreen"
    return environment


def offscreen() -> bool:
    """Whether there is no display here, so that Qt draws into memory."""
    if os.environ.get("QT_QPA_PLATFORM"):
        return os.environ["QT_QPA_PLATFORM"] == "offscreen"
    known = ("DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform.startswith("linux") and not any(os.environ.get(name) for name in known)


def note() -> dict[str, str]:
    """What to say of a figure that was taken without a display."""
    return {"note": "offscreen platform, no display"} if offscreen() else {}
