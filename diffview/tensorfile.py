"""safetensors files, read with suspicion: the header is checked before a byte is allocated.

Layout: 8 bytes little-endian header length, a JSON header (name -> dtype, shape, data_offsets, and
`__metadata__`), then the tensors' bytes without a hole. Files are read into memory, never
mapped: a mapped file that shrinks under us would kill the process.
"""

from __future__ import annotations

import hashlib
import json
import stat
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffview.atomic import replacing
from diffview.errors import InputError

MAX_HEADER = 16 * 1024**2
DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor as the header declares it; `start` and `end` count from the data's first byte."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Header:
    """What a safetensors file says of itself."""

    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]

    @property
    def parameters(self) -> int:
        """How many numbers all tensors hold."""
        return sum(prod(info.shape) for info in self.tensors.values())


def check_regular(path: Path) -> int:
    """The size of the file at `path`, in bytes.

    Raises InputError for a pipe or a device before it is opened: the one would wait for a writer
    for ever, the other might never end. A folder is left to the system, which refuses at once.
    Raises OSError where nothing is.
    """
    found = path.stat()
    if not stat.S_ISREG(found.st_mode) and not stat.S_ISDIR(found.st_mode):
        raise InputError(
            f"{path} is not a regular file but a pipe or a device: not opened. Put the file "
            "itself in its place"
        )
    return found.st_size


def read_header(path: Path) -> Header:
    """The checked header. Raises InputError naming the file and what is wrong with it."""
    try:
        size = check_regular(path)
        with path.open("rb") as file:
            first = file.read(64)
            _refuse_other_kinds(path, first)
            length = _header_length(path, first, size)
            file.seek(8)
            raw = file.read(length)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    return _parse(path, raw, size - 8 - length)


def read_bytes(path: Path) -> bytes:
    """The whole file, after its header was found sound."""
    read_header(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def read_numpy(path: Path) -> dict[str, NDArray[Any]]:
    """All tensors as NumPy arrays. Raises InputError when one is of a type NumPy lacks."""
    from safetensors.numpy import load

    try:
        return load(read_bytes(path))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read as tensors: {error}") from None


def write_numpy(
    path: Path, tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]
) -> None:
    """Write arrays and metadata as one file that appears whole or not at all."""
    from safetensors.numpy import save

    content = save({k: np.ascontiguousarray(v) for k, v in tensors.items()}, dict(metadata))
    with replacing(path) as partial:
        partial.write_bytes(content)


def sha256(path: Path) -> str:
    """The file's SHA-256 as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_OTHER_KINDS = {
    b"version https://git-lfs": "a git-lfs pointer, not the file itself: run 'git lfs pull'",
    b"PK\x03\x04": "a zip archive (a .pt or .ckpt, or an archive to unpack first)",
    b"\x80\x02": "a Python pickle, which can run code; convert it to safetensors elsewhere",
    b"\x80\x04": "a Python pickle, which can run code; convert it to safetensors elsewhere",
    b"\x89PNG": "a PNG picture",
    b"<": "a web page or XML, so the download went wrong: fetch the file again",
    b"{": "a JSON text, so the download went wrong: fetch the file again",
}


def _refuse_other_kinds(path: Path, first: bytes) -> None:
    # A header length of 640 begins like a pickle, one of 60 like a web page: what decides is
    # whether a JSON object follows a length that a header can have.
    if first[8:9] == b"{" and int.from_bytes(first[:8], "little") <= MAX_HEADER:
        return
    for start, what in _OTHER_KINDS.items():
        if first.startswith(start):
            raise InputError(f"{path} is not a safetensors file but {what}")


def _header_length(path: Path, first: bytes, size: int) -> int:
    if len(first) < 8:
        raise InputError(f"{path} is incomplete: {size} bytes are too few for a safetensors file")
    (length,) = struct.unpack("<Q", first[:8])
    if length > MAX_HEADER:
        raise InputError(f"{path} is not a safetensors file: its header would take {length} bytes")
    if length > size - 8:
        raise InputError(f"{path} is incomplete: its header is cut off (fetch it again)")
    return int(length)


def _parse(path: Path, raw: bytes, data_size: int) -> Header:
    try:
        value = json.loads(raw.decode("utf-8"), object_pairs_hook=_without_duplicates)
        metadata = value.pop("__metadata__", {})
        tensors = {name: _tensor_info(entry) for name, entry in value.items()}
        if not all(isinstance(text, str) for text in metadata.values()):
            raise ValueError("metadata that is not text")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{path} has a damaged safetensors header: {error}") from None
    _check_layout(path, tensors, data_size)
    return Header(tensors, metadata)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name occurs twice")
    return value


def _tensor_info(entry: dict[str, Any]) -> TensorInfo:
    dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        raise ValueError(f"unknown number type {dtype!r}")
    if not isinstance(shape, list):
        raise ValueError("a shape that is not a list")
    if not all(type(n) is int and n >= 0 for n in (*shape, start, end)):
        raise ValueError("a shape or an offset that is not a whole number")
    if end - start != prod(shape) * DTYPE_BYTES[dtype]:
        raise ValueError(f"shape {shape} does not take the {end - start} bytes it is given")
    return TensorInfo(dtype, tuple(shape), start, end)


def _check_layout(path: Path, tensors: Mapping[str, TensorInfo], data_size: int) -> None:
    """Tensors must follow one another without hole or overlap and end with the file."""
    position = 0
    for name, info in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if info.start != position:
            raise InputError(f"{path} is damaged: tensor '{name}' overlaps or leaves a hole")
        position = info.end
    if position > data_size:
        missing = position - data_size
        raise InputError(f"{path} is incomplete: the last {missing} bytes are missing")
    if position < data_size:
        raise InputError(f"{path} is damaged: {data_size - position} bytes follow the last tensor")
