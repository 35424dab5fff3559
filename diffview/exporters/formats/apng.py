"""APNG: a PNG that moves; every pixel exact, every frame written, identical ones too.

The chunks are put together here: Pillow keeps all frames in memory until the end and merges
identical ones. Each frame's own PNG gives the compressed data (PNG specification, third edition,
W3C 2025, section 11.3.6).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from diffview.atomic import replacing
from diffview.exporters import Clip, Frames, exporter
from diffview.exporters.carriers import KEY
from diffview.exporters.formats.png import COMPRESSION, encode
from diffview.exporters.pool import in_order
from diffview.exporters.recipe import Recipe

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MILLISECONDS = 1000


@exporter(
    name="apng",
    title="Animated PNG",
    suffix=".apng",
    filename="run.apng",
    animated=True,
    lossless=True,
    help="Every pixel exact, plays in every browser; large files.",
    options=(COMPRESSION,),
)
def apng(frames: Frames, target: Path, recipe: Recipe, clip: Clip) -> Iterator[int]:
    """Write frames as one file `target`; it loops for ever."""
    level = int(clip.options[COMPRESSION.name])
    durations = clip.durations(len(frames), MILLISECONDS)

    def encoded(index: int) -> bytes:
        return encode(frames[index], None, level)

    with (
        replacing(target) as partial,
        partial.open("wb") as file,
        closing(in_order(len(frames), encoded)) as pictures,
    ):
        sequence = 0
        for index, picture in enumerate(pictures):
            if index == 0:
                _write_head(file, picture, len(frames), recipe)
            sequence = _write_frame(file, picture, durations[index], index, sequence)
            yield index + 1
        _write_chunk(file, b"IEND", b"")


def _write_head(file: BinaryIO, picture: bytes, count: int, recipe: Recipe) -> None:
    file.write(SIGNATURE)
    _write_chunk(file, b"IHDR", _header(picture))
    _write_chunk(file, b"acTL", struct.pack(">II", count, 0))
    # keyword, not compressed, no language, no translated keyword
    _write_chunk(file, b"iTXt", KEY.encode() + b"\0\0\0\0\0" + recipe.to_text().encode())


def _write_frame(
    file: BinaryIO, picture: bytes, milliseconds: int, index: int, sequence: int
) -> int:
    """One whole picture, placed over all; gives the next sequence number."""
    width, height = struct.unpack(">II", _header(picture)[:8])
    control = struct.pack(
        ">IIIIIHHBB", sequence, width, height, 0, 0, milliseconds, MILLISECONDS, 0, 0
    )
    _write_chunk(file, b"fcTL", control)
    sequence += 1
    for data in _image_data(picture):
        if index == 0:
            _write_chunk(file, b"IDAT", data)
        else:
            _write_chunk(file, b"fdAT", struct.pack(">I", sequence) + data)
            sequence += 1
    return sequence


def _write_chunk(file: BinaryIO, kind: bytes, data: bytes) -> None:
    check = zlib.crc32(data, zlib.crc32(kind))
    file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check))


def _header(picture: bytes) -> bytes:
    return picture[16:29]


def _image_data(picture: bytes) -> Iterator[bytes]:
    """The contents of a PNG file's IDAT chunks."""
    position = len(SIGNATURE)
    while position < len(picture):
        length, kind = struct.unpack(">I4s", picture[position : position + 8])
        if kind == b"IDAT":
            yield picture[position + 8 : position + 8 + length]
        position += length + 12
