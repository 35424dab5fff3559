"""Animated WebP, lossless; every frame written, identical ones too.

The chunks are put together here: libwebp's own animation encoder merges identical frames and hands
the file over only at the end. Each frame's own lossless WebP gives the compressed data (WebP
container specification, developers.google.com/speed/webp/docs/riff_container).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from diffview.atomic import replacing
from diffview.errors import InputError
from diffview.exporters import Clip, Frames, exporter
from diffview.exporters.carriers import IMAGE_DESCRIPTION
from diffview.exporters.pool import in_order
from diffview.exporters.recipe import Recipe
from diffview.frames.pixels import Uint8

MAX_SIDE = 16_383
MAX_FILE = 2**32 - 10
MILLISECONDS = 1000
HAS_EXIF, IS_ANIMATED = 0x08, 0x02
DO_NOT_BLEND = 0x02

# Effort of the lossless coder: with noise more brings nothing, and takes several times longer.
METHOD, EFFORT = 1, 20


@exporter(
    name="webp",
    title="Animated WebP",
    suffix=".webp",
    filename="run.webp",
    animated=True,
    lossless=True,
    help="Every pixel exact, plays in every browser, the smallest exact animation.",
)
def webp(frames: Frames, target: Path, recipe: Recipe, clip: Clip) -> Iterator[int]:
    """Write frames as one file `target`; it loops for ever. Raises InputError over 16383 px."""
    durations = clip.durations(len(frames), MILLISECONDS)
    size = _checked_size(frames[0])

    def encoded(index: int) -> bytes:
        return _lossless(frames[index])

    with (
        replacing(target) as partial,
        partial.open("wb") as file,
        closing(in_order(len(frames), encoded)) as pictures,
    ):
        _write_head(file, size)
        for index, picture in enumerate(pictures):
            _write_chunk(file, b"ANMF", _placed(size, durations[index]) + picture)
            yield index + 1
        _write_chunk(file, b"EXIF", _exif(recipe))
        _write_length(file)


def _checked_size(frame: Uint8) -> tuple[int, int]:
    """(width, height) of a picture."""
    height, width = frame.shape[:2]
    if max(width, height) > MAX_SIDE:
        raise InputError(
            f"WebP takes at most {MAX_SIDE} pixels a side, not {width} x {height}: "
            "choose a smaller scale or another format"
        )
    return width, height


def _lossless(frame: Uint8) -> bytes:
    """One picture's VP8L chunk: a still file without its 12 bytes of RIFF header."""
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "webp", lossless=True, quality=EFFORT, method=METHOD)
    return buffer.getvalue()[12:]


def _write_head(file: BinaryIO, size: tuple[int, int]) -> None:
    file.write(b"RIFF\0\0\0\0WEBP")
    flags = struct.pack("<I", HAS_EXIF | IS_ANIMATED)
    _write_chunk(file, b"VP8X", flags + _uint24(size[0] - 1) + _uint24(size[1] - 1))
    _write_chunk(file, b"ANIM", struct.pack("<IH", 0, 0))


def _placed(size: tuple[int, int], milliseconds: int) -> bytes:
    """The head of a frame that covers all."""
    numbers = (0, 0, size[0] - 1, size[1] - 1, milliseconds)
    return b"".join(map(_uint24, numbers)) + bytes([DO_NOT_BLEND])


def _write_chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    file.write(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2))


def _write_length(file: BinaryIO) -> None:
    length = file.tell() - 8
    if length > MAX_FILE:
        raise InputError("a WebP file holds at most 4 GB: choose fewer steps or a smaller scale")
    file.seek(4)
    file.write(struct.pack("<I", length))


def _exif(recipe: Recipe) -> bytes:
    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION] = recipe.to_text()
    return exif.tobytes().removeprefix(b"Exif\0\0")


def _uint24(number: int) -> bytes:
    return number.to_bytes(3, "little")
