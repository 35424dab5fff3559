"""Frames per second into PNG and MP4, and PNG beside a plain Pillow loop on the same frames.

Frames are half noise, half picture, as a run's are; small pixels magnified four times. Ours and
Pillow's take turns in blocks, at the same compression, and what ours wrote is read back and
compared with what went in.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

from diffview import exporters
from diffview.bench.measures import Plan, Reading, reading, skipped
from diffview.engine.spec import RunSpec
from diffview.errors import DiffviewError
from diffview.exporters import Clip
from diffview.exporters.recipe import Recipe
from diffview.frames.pixels import Uint8

FRAMES, BLOCK = 1000, 100
QUICK_FRAMES, QUICK_BLOCK = 16, 8
SIDE, PIXEL, DIFFERENT = 512, 4, 32


def measure(plan: Plan) -> Iterator[Reading]:
    """The ratio and the two speeds."""
    count, block = (QUICK_FRAMES, QUICK_BLOCK) if plan.quick else (FRAMES, BLOCK)
    drawn = _drawn()
    with tempfile.TemporaryDirectory(prefix="diffview-bench-") as folder:
        yield from _png(drawn, count // block, block, Path(folder))
        yield from _mp4(drawn, count // block, block, Path(folder))


@dataclass(frozen=True, slots=True)
class _Clip:
    """`count` frames, the same few drawn ones over and over."""

    drawn: Sequence[Uint8]
    count: int

    @property
    def steps(self) -> Sequence[int]:
        return range(self.count)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int, /) -> Uint8:
        return self.drawn[index % len(self.drawn)]


def _drawn() -> list[Uint8]:
    """Frames on the way from noise to a picture of smooth rings."""
    rng = np.random.default_rng(0)
    axis = np.linspace(-1, 1, SIDE // PIXEL)
    rings = 128 + 100 * np.cos(9 * np.hypot(axis[:, None], axis[None, :]))
    frames = []
    for sigma in np.linspace(1, 0, DIFFERENT):
        values = (1 - sigma) * rings + sigma * rng.normal(128, 64, rings.shape)
        grey = np.clip(values, 0, 255).astype(np.uint8)
        large = grey.repeat(PIXEL, axis=0).repeat(PIXEL, axis=1)
        frames.append(np.ascontiguousarray(large[:, :, None].repeat(3, axis=2)))
    return frames


def _png(drawn: Sequence[Uint8], blocks: int, block: int, folder: Path) -> Iterator[Reading]:
    frames = _Clip(drawn, block)
    ours, theirs = [], []
    _ours("png", frames, folder / "warm-up")
    for index in range(blocks):
        target = folder / f"png{index}"
        ours.append(_timed(partial(_ours, "png", frames, target)))
        _check_same(frames, target)
        theirs.append(_timed(partial(_pillow_loop, frames, folder)))
    ratios = [other / own for own, other in zip(ours, theirs, strict=True)]
    facts = {"frames": blocks * block, "compression": _level(), "pixels": "identical"}
    yield reading("export.png.ratio", ratios, **facts)
    yield reading("export.png", [block / seconds for seconds in ours], **facts)


def _mp4(drawn: Sequence[Uint8], blocks: int, block: int, folder: Path) -> Iterator[Reading]:
    if not exporters.find("mp4").available:
        yield skipped("export.mp4", "PyAV is not installed (pip install av)")
        return
    frames = _Clip(drawn, block)
    seconds = [
        _timed(partial(_ours, "mp4", frames, folder / f"{index}.mp4"))
        for index in range(min(blocks, 3))
    ]
    yield reading("export.mp4", [block / one for one in seconds], frames=block * len(seconds))


def _timed(work: Callable[[], None]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def _ours(name: str, frames: _Clip, target: Path) -> None:
    info = exporters.find(name)
    if info.write_frames is None:
        raise DiffviewError(f"{name} takes no frames")
    recipe = Recipe(RunSpec("bench"))
    for _ in info.write_frames(frames, target, recipe, Clip(options=info.check(12, {}))):
        pass


def _level() -> int:
    """The compression that the exporter uses unless told otherwise."""
    return int(exporters.find("png").check(12, {})["compression"])


def _pillow_loop(frames: _Clip, folder: Path) -> None:
    """What anyone would write; the files are written over from block to block."""
    target, level = folder / "pillow", _level()
    target.mkdir(exist_ok=True)
    for index in range(len(frames)):
        image = Image.fromarray(frames[index])
        image.save(target / f"frame_{index:04d}.png", compress_level=level)


def _check_same(frames: _Clip, folder: Path) -> None:
    """Read every file back and remove it. Raises DiffviewError where a pixel differs."""
    paths = sorted(folder.iterdir())
    if len(paths) != len(frames):
        raise DiffviewError(f"the export wrote {len(paths)} files for {len(frames)} frames")
    for index, path in enumerate(paths):
        with Image.open(path) as image:
            if not np.array_equal(np.asarray(image), frames[index]):
                raise DiffviewError(f"the export changed pixels of frame {index}")
        path.unlink()
