"""An export from beginning to end: formats into one folder, whole or not at all.

`export(run, about, DIR, ("png", "gif", "safetensors"))` makes

    DIR/recipe.json                  what reproduces the run; also what marks the folder as ours
    DIR/frame_0000.png ...           png
    DIR/run.gif  run.webp  run.apng  run.mp4  trajectory.safetensors

Everything is written into DIR.partial and renamed when whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffview.engine.options import Value
from diffview.engine.trajectory import Trajectory
from diffview.exporters.sequence import Selection

MAX_FPS = 240.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an export is: `done` of `total` frames over all formats, and the file in work.

    `path` is the final name, not the partial one; in the last Progress, the finished target.
    """

    done: int
    total: int
    path: Path


def export(
    trajectory: Trajectory,
    about: Mapping[str, Any],
    folder: Path,
    formats: Sequence[str],
    selection: Selection | None = None,
    *,
    fps: float = 12.0,
    hold: int = 0,
    options: Mapping[str, Mapping[str, Value]] | None = None,
    overwrite: bool = False,
) -> Iterator[Progress]:
    """Write the run into `folder` in every format of `formats`; a generator, so a job.

    `about` is what is known of the model beyond the RunSpec, JSON with at least
    `weights_sha256`. `options` by format, such as {"mp4": {"quality": "exact"}}. `hold`: how many
    frames longer animations stay on the last picture. An existing folder is replaced only if
    it is empty, or with `overwrite` if it holds nothing but an earlier export; never merged.

    Nothing is written before the first `next()`. Raises InputError for what cannot be asked for,
    DiffviewError with the number of frames written when the disk refuses. After an error or
    `close()` neither `folder` nor DIR.partial is there, and an older export is untouched.
    """
    raise NotImplementedError
    yield


def export_file(
    trajectory: Trajectory,
    about: Mapping[str, Any],
    file: Path,
    format: str,
    selection: Selection | None = None,
    *,
    fps: float = 12.0,
    hold: int = 0,
    options: Mapping[str, Value] | None = None,
    overwrite: bool = False,
) -> Iterator[Progress]:
    """Write the run as one file: any format but png, which makes a folder. Else as `export`."""
    raise NotImplementedError
    yield
