"""Where files keep a recipe's text: what kind a file is, and how to get the text out of it.

A dropped file may be anything, so: the first bytes decide what it is, not the suffix; sizes are
checked before anything is read or decoded; no pixel is ever decoded here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from diffview.errors import InputError
from diffview.frames.picture_file import MAX_PIXELS

KEY = "diffview"
"""The name under which a file keeps its recipe, where its kind has names."""

MAX_TEXT = 1_000_000
"""Bytes a recipe may take; one of 4096 samples takes about 80,000."""

IMAGE_DESCRIPTION = 0x010E
KINDS = "PNG, APNG, GIF, WebP, MP4, recipe.json, .dvsession and .safetensors"


def text_of(path: Path) -> str | None:
    """The recipe's text in a picture, an animation, a video or a JSON file; None if it has none.

    Raises InputError saying what is wrong with the file, OSError when it cannot be read.
    """
    with path.open("rb") as file:
        carrier = _carrier(file.read(64))
        if carrier is None:
            raise InputError(f"such a file carries no recipe; those that do are {KINDS}")
        file.seek(0)
        text = carrier(file)
    if text is not None:
        check_length(len(text))
    return text


def is_safetensors(path: Path) -> bool:
    """Whether the file begins, or at least is called, like a safetensors file."""
    with path.open("rb") as file:
        first = file.read(9)
    return path.suffix in (".dvsession", ".safetensors") or first[8:9] == b"{"


def check_length(length: int) -> None:
    """Raises InputError when a text is too long to be a recipe."""
    if not 0 <= length <= MAX_TEXT:
        raise InputError(f"its text of {length} bytes is too long for a recipe ({MAX_TEXT})")


TextOf = Callable[[BinaryIO], "str | None"]


def _carrier(first: bytes) -> TextOf | None:
    """What gets the text out of a file that begins with these bytes."""
    if first.startswith(b"\x89PNG\r\n\x1a\n"):
        return _text_of_png
    if first.startswith((b"GIF87a", b"GIF89a")):
        return _text_of_gif
    if first[:4] == b"RIFF" and first[8:12] == b"WEBP":
        return _text_of_webp
    if first[4:8] == b"ftyp":
        return _text_of_mp4
    if first.lstrip().startswith(b"{"):
        return _text_of_json
    return None


def _text_of_json(file: BinaryIO) -> str:
    return _decoded(file.read(MAX_TEXT + 1))


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("its text is not UTF-8, so it is no recipe") from None


def _text_of_png(file: BinaryIO) -> str | None:
    """From iTXt, or from tEXt or zTXt if another program wrote the picture anew."""
    _check_pixels(*_unpacked(">II", _at(file, 16, 8)))
    text = _pillow_info(file, "PNG").get(KEY)
    return None if text is None else str(text)


def _text_of_gif(file: BinaryIO) -> str | None:
    _check_pixels(*_unpacked("<HH", _at(file, 6, 4)))
    comment = _pillow_info(file, "GIF").get("comment")
    return _decoded(comment) if isinstance(comment, bytes) and comment else None


def _at(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _unpacked(form: str, raw: bytes) -> tuple[int, ...]:
    if len(raw) != struct.calcsize(form):
        raise InputError("it is incomplete")
    return struct.unpack(form, raw)


def _check_pixels(width: int, height: int) -> None:
    # Before Pillow sees it: its own limit is three times as high and warns before it refuses.
    if width * height > MAX_PIXELS:
        raise InputError(
            f"a picture of {width} x {height} pixels is too large "
            f"(at most {MAX_PIXELS // 1_000_000} million)"
        )


def _pillow_info(file: BinaryIO, kind: str) -> dict[str | tuple[int, int], object]:
    """What Pillow finds before the pixels; it refuses text that unpacks to more than 1 MB."""
    file.seek(0)
    try:
        with Image.open(file, formats=(kind,)) as image:
            return dict(image.info)
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError) as error:
        raise InputError(f"it is not a sound {kind} file: {error}") from None


def _text_of_webp(file: BinaryIO) -> str | None:
    """From EXIF. Pillow would set aside memory for the whole canvas at once, so not by Pillow."""
    for kind, start, length in _riff_chunks(file):
        if kind == b"VP8X":
            canvas = _at(file, start + 4, 6)
            _check_pixels(
                int.from_bytes(canvas[:3], "little") + 1, int.from_bytes(canvas[3:], "little") + 1
            )
        if kind == b"EXIF":
            return _image_description(_limited(file, start, length))
    return None


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """(kind, where its data start, how long they are) of each chunk."""
    position = 12
    while len(head := _at(file, position, 8)) == 8:
        kind, length = struct.unpack("<4sI", head)
        yield kind, position + 8, length
        position += 8 + length + length % 2


def _limited(file: BinaryIO, start: int, length: int) -> bytes:
    check_length(length)
    raw = _at(file, start, length)
    if len(raw) < length:
        raise InputError("it is incomplete")
    return raw


def _image_description(raw: bytes) -> str | None:
    exif = Image.Exif()
    try:
        exif.load(raw)
        text = exif.get(IMAGE_DESCRIPTION)
    except (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError) as error:
        raise InputError(f"its EXIF is damaged: {error}") from None
    return text if isinstance(text, str) else None


def _text_of_mp4(file: BinaryIO) -> str | None:
    """From moov/udta/meta: names in `keys`, texts in `ilst` (QuickTime file format, metadata).

    By hand, so that a video opens without the extra `video` too.
    """
    end = os.fstat(file.fileno()).st_size
    span: tuple[int, int] | None = (0, end)
    for kind in (b"moov", b"udta", b"meta"):
        span = span and _boxes(file, *span).get(kind)
    if span is None:
        return None
    boxes = _boxes(file, span[0] + 4, span[1])  # version and flags come first in `meta`
    if b"keys" not in boxes or b"ilst" not in boxes:
        return None
    keys = _keys(_limited(file, boxes[b"keys"][0], boxes[b"keys"][1] - boxes[b"keys"][0]))
    if KEY.encode() not in keys:
        return None
    number = struct.pack(">I", keys.index(KEY.encode()) + 1)
    item = _boxes(file, *boxes[b"ilst"]).get(number)
    data = item and _boxes(file, *item).get(b"data")
    if not data:
        return None
    return _decoded(_limited(file, data[0] + 8, data[1] - data[0] - 8))


def _boxes(file: BinaryIO, start: int, end: int) -> dict[bytes, tuple[int, int]]:
    """The boxes between two places, each kind's first one: where its content starts and ends."""
    found: dict[bytes, tuple[int, int]] = {}
    while start + 8 <= end:
        length, kind = _box_head(_at(file, start, 8))
        head = 8
        if length == 1:
            (length,) = _unpacked(">Q", _at(file, start + 8, 8))
            head = 16
        length = length or end - start
        if length < head or start + length > end:
            raise InputError("it is damaged or incomplete: an MP4 box does not fit")
        found.setdefault(kind, (start + head, start + length))
        start += length
    return found


def _box_head(raw: bytes) -> tuple[int, bytes]:
    (length,) = _unpacked(">I", raw[:4])
    return length, raw[4:]


def _keys(raw: bytes) -> list[bytes]:
    """The names in a `keys` box."""
    names, position = [], 8
    while position + 8 <= len(raw):
        (length,) = struct.unpack(">I", raw[position : position + 4])
        if length < 8:
            raise InputError("it is damaged: an MP4 key is too short")
        names.append(raw[position + 8 : position + length])
        position += length
    return names
