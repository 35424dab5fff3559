"""GIF: one palette for all frames, no dithering, every frame written, identical ones too.

Up to 256 different colours in all frames together (so, every grey run) are kept exactly. More are
reduced to 256 by median cut (Heckbert 1982), refined by k-means (Lloyd 1982).
Dithering stays off: it would add noise to pictures whose noise is the subject.

The blocks are put together here: Pillow's own writer keeps all frames in memory and merges
identical ones (GIF89a specification, CompuServe 1990).
"""

from __future__ import annotations

import struct
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image

from diffview.atomic import replacing
from diffview.exporters import Clip, Frames, exporter
from diffview.exporters.pool import in_order
from diffview.exporters.recipe import Recipe
from diffview.frames.pixels import Uint8

CENTISECONDS = 100
COLOURS = 256
SAMPLED_PIXELS = 20_000
K_MEANS_ROUNDS = 8


@exporter(
    name="gif",
    title="GIF",
    suffix=".gif",
    filename="run.gif",
    animated=True,
    lossless=False,
    # Browsers slow anything faster than 1/50 s a frame down to 1/10 s.
    max_fps=50,
    help="Plays everywhere. Exact for grey pictures; colours are reduced to 256.",
)
def gif(frames: Frames, target: Path, recipe: Recipe, clip: Clip) -> Iterator[int]:
    """Write frames as one file `target`; it loops for ever. Yields 0 while colours are counted."""
    durations = clip.durations(len(frames), CENTISECONDS)
    palette = yield from _palette_of(frames)

    def reduced(index: int) -> Uint8:
        return palette.indices(frames[index])

    with (
        replacing(target) as partial,
        partial.open("wb") as file,
        closing(in_order(len(frames), reduced)) as pictures,
    ):
        file.write(_head(frames[0], palette, recipe))
        for index, picture in enumerate(pictures):
            # Compressed here: Pillow's LZW holds the interpreter's lock, threads bring nothing.
            file.write(_image_block(picture, durations[index]))
            yield index + 1
        file.write(b";")


@dataclass(frozen=True, slots=True)
class _Palette:
    """256 colours (256, 3) uint8, and a table from a colour's number to its place among them.

    A colour's number has the upper `bits` of red, green and blue.
    """

    colours: Uint8
    table: Uint8
    bits: int

    def indices(self, frame: Uint8) -> Uint8:
        """(H, W, 3) -> (H, W)."""
        places: Uint8 = self.table[_numbers(frame, self.bits)]
        return places


def _numbers(colours: Uint8, bits: int) -> NDArray[np.int32]:
    """(..., 3) uint8 -> (...,): red, green and blue, `bits` of each, in one number."""
    red, green, blue = ((colours[..., c] >> (8 - bits)).astype(np.int32) for c in range(3))
    numbers: NDArray[np.int32] = (red << 2 * bits) | (green << bits) | blue
    return numbers


def _palette_of(frames: Frames) -> Generator[int, None, _Palette]:
    """The palette for all frames; yields 0 after each frame seen, so that it can be cancelled."""
    seen = np.zeros(2**24, bool)
    samples = []
    generator = np.random.default_rng(0)
    each = max(1, SAMPLED_PIXELS // len(frames))
    for index in range(len(frames)):
        frame = frames[index]
        seen[_numbers(frame, 8)] = True
        pixels = frame.reshape(-1, 3)
        samples.append(pixels[generator.integers(0, len(pixels), each)])
        yield 0
    numbers = np.flatnonzero(seen)
    if len(numbers) <= COLOURS:
        return _exact(numbers)
    return _reduced(np.concatenate(samples))


def _exact(numbers: NDArray[np.intp]) -> _Palette:
    colours = np.zeros((COLOURS, 3), np.uint8)
    for channel, shift in enumerate((16, 8, 0)):
        colours[: len(numbers), channel] = numbers >> shift & 255
    table = np.zeros(2**24, np.uint8)
    table[numbers] = np.arange(len(numbers))
    return _Palette(colours, table, 8)


def _reduced(samples: Uint8) -> _Palette:
    """256 colours for (K, 3) pixels; each of 64^3 cells takes the one nearest to its centre."""
    # Pillow's own k-means (kmeans=1) is as good, but holds the interpreter's lock for seconds.
    cut = Image.fromarray(samples[None]).quantize(COLOURS, Image.Quantize.MEDIANCUT)
    found = np.array(cut.getpalette(), np.float32).reshape(-1, 3)[:COLOURS]
    for _ in range(K_MEANS_ROUNDS):
        found = _moved(found, samples.astype(np.float32))
    colours = np.zeros((COLOURS, 3), np.uint8)
    colours[: len(found)] = np.rint(found)
    centres = np.arange(2, 256, 4, dtype=np.float32)
    table = [_nearest(_cells(centres, red), found).astype(np.uint8) for red in centres]
    return _Palette(colours, np.concatenate(table), 6)


def _moved(found: NDArray[np.float32], samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each colour moved to the mean of the samples nearest to it; without any, it stays."""
    nearest = _nearest(samples, found)
    counts = np.bincount(nearest, minlength=len(found))[:, None]
    sums = [np.bincount(nearest, samples[:, c], minlength=len(found)) for c in range(3)]
    means = np.stack(sums, axis=1) / np.maximum(counts, 1)
    return np.where(counts > 0, means, found).astype(np.float32)


def _cells(centres: NDArray[np.float32], red: np.float32) -> NDArray[np.float32]:
    """All (red, green, blue) with this red and the others from `centres`: (64 * 64, 3)."""
    green, blue = np.meshgrid(centres, centres, indexing="ij")
    return np.stack([np.full(green.size, red), green.ravel(), blue.ravel()], axis=1)


def _nearest(colours: NDArray[np.float32], found: NDArray[np.float32]) -> NDArray[np.intp]:
    """For each of `colours` (K, 3), the place of the nearest in `found`: (K,)."""
    # |a - b|^2 without |a|^2, which is the same for every b
    distance = (found**2).sum(axis=1) - 2 * colours @ found.T
    nearest: NDArray[np.intp] = distance.argmin(axis=1)
    return nearest


def _head(frame: Uint8, palette: _Palette, recipe: Recipe) -> bytes:
    height, width = frame.shape[:2]
    screen = struct.pack("<HHBBB", width, height, 0b1111_0111, 0, 0)
    forever = b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    text = recipe.to_text().encode()
    parts = [text[start : start + 255] for start in range(0, len(text), 255)]
    comment = b"!\xfe" + b"".join(bytes([len(part)]) + part for part in parts) + b"\0"
    return b"GIF89a" + screen + palette.colours.tobytes() + forever + comment


def _image_block(indices: Uint8, centiseconds: int) -> bytes:
    """One whole picture with its duration; Pillow does the LZW."""
    control = b"!\xf9\x04" + struct.pack("<BHB", 0, centiseconds, 0) + b"\0"
    picture = Image.fromarray(indices, "L")
    return control + b"".join(GifImagePlugin.getdata(picture))
