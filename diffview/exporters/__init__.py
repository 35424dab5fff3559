"""Frames -> files, without Qt and without torch: one format, one file in `formats/`.

A format registers its writer with `@exporter` (it takes frames) or `@trajectory_exporter` (it
takes the run itself). A writer is a generator: it yields how many frames it has written, so it can
be a job with progress; closing it, like any exception, leaves nothing at its target.
`job.export` puts formats together in one folder, `recipe.read` gets the recipe back out of a file.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from diffview.engine.options import Option, Value
from diffview.errors import InputError
from diffview.frames.pixels import Uint8

if TYPE_CHECKING:
    from diffview.engine.trajectory import Trajectory
    from diffview.exporters.recipe import Recipe


class Frames(Protocol):
    """Pictures by index, each (H, W, 3) uint8 and all of one size; drawn when asked for.

    Any thread may ask, so that writers can draw and compress several at once.
    """

    @property
    def steps(self) -> Sequence[int]:
        """The run's step i that each picture shows."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Uint8: ...


@dataclass(frozen=True, slots=True)
class Clip:
    """How an animation plays: fps frames/s, the last one longer by `hold` frames; options by name.

    Formats with a duration per frame write every frame once and the last one with a longer
    duration; video repeats the last frame. Formats that do not move ignore both.
    """

    fps: float = 12.0
    hold: int = 0
    options: Mapping[str, Value] = field(default_factory=dict)

    def durations(self, count: int, per_second: int) -> list[int]:
        """`count` durations in 1/per_second s; rounding never adds up over the frames."""
        ends = [round(k * per_second / self.fps) for k in range(count)]
        ends.append(round((count + self.hold) * per_second / self.fps))
        return [end - start for start, end in itertools.pairwise(ends)]


FrameWriter = Callable[[Frames, Path, "Recipe", Clip], Iterator[int]]
TrajectoryWriter = Callable[["Trajectory", Path, "Recipe", Clip], Iterator[int]]


@dataclass(frozen=True, slots=True)
class ExporterInfo:
    """What the dialog, the command line and the tests need to know of a format.

    Exactly one of `write_frames` and `write_trajectory` is there. `filename` is the file a format
    makes in an export's folder; "" where it fills the folder with many. `max_fps` 0 is no limit.
    """

    name: str
    title: str
    suffix: str
    filename: str
    animated: bool
    lossless: bool
    help: str
    options: tuple[Option, ...]
    max_fps: float
    needs: str
    extra: str
    write_frames: FrameWriter | None = None
    write_trajectory: TrajectoryWriter | None = None

    @property
    def available(self) -> bool:
        """Whether the package this format needs is installed; imports nothing."""
        return not self.needs or importlib.util.find_spec(self.needs) is not None

    def check(self, fps: float, options: Mapping[str, Value]) -> dict[str, Value]:
        """The options, complete and in their own types. Raises InputError for what cannot be."""
        if not self.available:
            raise InputError(
                f"{self.name} needs the package '{self.needs}', which is not installed: "
                f'run  pip install "diffview[{self.extra}]"'
            )
        if self.animated and self.max_fps and fps > self.max_fps:
            raise InputError(
                f"{self.name} plays at most {self.max_fps:g} frames/s, not {fps:g}: "
                "lower the frame rate or choose another format"
            )
        declared = {option.name: option for option in self.options}
        for name in options:
            if name not in declared:
                known = ", ".join(declared) or "none"
                raise InputError(f"{self.name} has no option '{name}'; it has {known}")
        return {
            name: option.checked(options[name]) if name in options else option.default
            for name, option in declared.items()
        }


_REGISTRY: dict[str, ExporterInfo] = {}


def exporter(
    *,
    name: str,
    title: str,
    suffix: str,
    filename: str,
    animated: bool,
    lossless: bool,
    help: str,
    options: tuple[Option, ...] = (),
    max_fps: float = 0,
    needs: str = "",
    extra: str = "",
) -> Callable[[FrameWriter], FrameWriter]:
    """Register the decorated writer of frames under `name` with the facts about it."""

    def register(write: FrameWriter) -> FrameWriter:
        _add(
            ExporterInfo(
                name, title, suffix, filename, animated, lossless, help, options, max_fps,
                needs, extra, write_frames=write,
            )
        )  # fmt: skip
        return write

    return register


def trajectory_exporter(
    *, name: str, title: str, suffix: str, filename: str, help: str
) -> Callable[[TrajectoryWriter], TrajectoryWriter]:
    """Register the decorated writer of whole runs; such a file holds numbers, not pictures."""

    def register(write: TrajectoryWriter) -> TrajectoryWriter:
        _add(
            ExporterInfo(
                name, title, suffix, filename, animated=False, lossless=True, help=help,
                options=(), max_fps=0, needs="", extra="", write_trajectory=write,
            )
        )  # fmt: skip
        return write

    return register


def _add(info: ExporterInfo) -> None:
    if info.name in _REGISTRY:
        raise ValueError(f"two exporters are called '{info.name}'")
    _REGISTRY[info.name] = info


def find(name: str) -> ExporterInfo:
    """The format called `name`. Raises InputError naming the known ones."""
    known = every()
    if name not in known:
        raise InputError(f"unknown format '{name}'; known are {', '.join(known)}")
    return known[name]


@cache
def every() -> dict[str, ExporterInfo]:
    """All formats by name, sorted."""
    from diffview.exporters import formats

    for module in pkgutil.iter_modules(formats.__path__):
        importlib.import_module(f"{formats.__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))
