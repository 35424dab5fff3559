"""An export from beginning to end: formats into one folder, whole or not at all.

`export(run, about, DIR, ("png", "gif", "safetensors"))` makes

    DIR/recipe.json                  what reproduces the run; also what marks the folder as ours
    DIR/frame_0000.png ...           png
    DIR/run.gif  run.webp  run.apng  run.mp4  trajectory.safetensors

Everything is written into DIR.partial and renamed when whole.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffview.engine.options import Value
from diffview.engine.trajectory import Trajectory
from diffview.errors import DiffviewError, InputError
from diffview.exporters import Clip, ExporterInfo, every, find, place
from diffview.exporters.recipe import FILENAME, Recipe
from diffview.exporters.sequence import Selection, Sheets
from diffview.frames.lens import Lens

MIN_FPS, MAX_FPS = 0.1, 240.0

MAX_STILL = 60.0
"""Seconds a picture may stand; an APNG's frame cannot last longer than 65."""

FRAME_NAME = re.compile(r"frame_\d{4,}\.png")


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
    lens: Lens | None = None,
) -> Iterator[Progress]:
    """Write the run into `folder` in every format of `formats`; a generator, so a job.

    `about` is what is known of the model beside the RunSpec, as `models.sampling.about` gives it.
    `options` by format, such as {"mp4": {"quality": "exact"}}. `hold`: how many frames longer
    animations stay on the last picture. An existing folder is replaced only if it is empty, or
    with `overwrite` if it holds nothing but an earlier export; files are never mixed. `lens` is
    what latents are looked at through: the model's decoder, or its preview.

    Nothing is written before the first `next()`. Raises InputError for what cannot be asked for,
    DiffviewError with the number of frames written when the disk refuses. After an error or
    `close()` neither `folder` nor DIR.partial is there, and an older export is untouched.
    """
    folder = place.located(folder)
    wanted = selection or Selection()
    parts = _parts(formats, fps, hold, options or {})
    sheets = Sheets(trajectory, wanted, lens)
    recipe = Recipe(trajectory.spec, dict(about), shown=_shown(wanted, lens))
    total = sum(_size(info, sheets) for info, _ in parts)
    with (
        _told(folder, total) as count,
        place.staged(folder, is_ours, overwrite=overwrite) as partial,
    ):
        for info, clip in parts:
            before = count.done
            for written in _write(info, trajectory, sheets, partial / info.filename, recipe, clip):
                count.done = before + written
                yield Progress(count.done, total, folder / info.filename)
        (partial / FILENAME).write_text(recipe.to_text() + "\n", encoding="ascii")
    yield Progress(total, total, folder)


def _shown(selection: Selection, lens: Lens | None) -> dict[str, Any]:
    return asdict(selection) | ({} if lens is None else {"lens": lens.name})


def check(
    folder: Path,
    formats: Sequence[str],
    *,
    fps: float = 12.0,
    hold: int = 0,
    options: Mapping[str, Mapping[str, Value]] | None = None,
    overwrite: bool = False,
) -> None:
    """Raises InputError for what `export` would refuse, before a long run is sampled for it."""
    _parts(formats, fps, hold, options or {})
    place.check_folder(place.located(folder), is_ours, overwrite=overwrite)


def is_ours(name: str) -> bool:
    """Whether an export could have written a file of this name into its folder."""
    single = {info.filename for info in every().values() if info.filename}
    return name == FILENAME or name in single or bool(FRAME_NAME.fullmatch(name))


def _parts(
    formats: Sequence[str], fps: float, hold: int, options: Mapping[str, Mapping[str, Value]]
) -> list[tuple[ExporterInfo, Clip]]:
    """Every format once, with how it shall play. Raises InputError for what cannot be."""
    if not formats:
        raise InputError(f"no format is given: choose from {', '.join(every())}")
    _check_timing(fps, hold)
    for name in options:
        if name not in formats:
            raise InputError(f"options for {name} are given, which is not among the formats")
    infos = [find(name) for name in dict.fromkeys(formats)]
    return [(info, Clip(fps, hold, info.check(fps, options.get(info.name, {})))) for info in infos]


def _check_timing(fps: float, hold: int) -> None:
    if not MIN_FPS <= fps <= MAX_FPS:
        raise InputError(f"{fps:g} frames/s is outside {MIN_FPS:g} to {MAX_FPS:g}")
    if hold < 0 or (1 + hold) / fps > MAX_STILL:
        raise InputError(
            f"holding the last picture for {hold} frames is not possible: at {fps:g} frames/s "
            f"give 0 to {int(MAX_STILL * fps) - 1}"
        )


def _size(info: ExporterInfo, sheets: Sheets) -> int:
    """How many frames a format writes; the trajectory counts as one."""
    return len(sheets) if info.write_frames else 1


def _write(
    info: ExporterInfo,
    trajectory: Trajectory,
    sheets: Sheets,
    target: Path,
    recipe: Recipe,
    clip: Clip,
) -> Iterator[int]:
    if info.write_frames:
        yield from info.write_frames(sheets, target, recipe, clip)
    elif info.write_trajectory:
        yield from info.write_trajectory(trajectory, target, recipe, clip)


@dataclass(slots=True)
class _Count:
    done: int = 0


@contextmanager
def _told(target: Path, total: int) -> Iterator[_Count]:
    """What the system refuses while writing, said with how far the export had come."""
    count = _Count()
    try:
        yield count
    except OSError as error:
        what = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}
        reason = what.get(error.errno or 0, error.strerror or str(error))
        raise DiffviewError(
            f"{target} could not be written: {reason}. {count.done} of {total} frames were "
            "written and removed again; make room or choose another place"
        ) from error
