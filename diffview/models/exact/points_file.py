"""A set of points from a file, as the density to explore that it is: a Gaussian on each point.

    p(x_0) = (1 / n) sum_i N(x_0; x_i, std^2)

A text has a point a line, "x, y" or "x, y, class", with commas, semicolons, tabs or spaces between
and a line of names above if one likes; an array of NumPy has the shape (n, 2), or (n, 3) with the
numbers of classes in its last column.
"""

from __future__ import annotations

import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from diffview.errors import InputError
from diffview.models.exact.mixture import Float64, Int64, Mixture, points

TEXT, ARRAY = ".csv", ".npy"
SUFFIXES = (TEXT, ARRAY)
MAX_TEXT = 32 * 1024**2
MAX_ROWS = 20_000_000
MOST_POINTS = 2_000
"""More are thinned out: every step of every particle asks all of them."""
MOST_CLASSES = 64
MOST_WHOLE = 2**53
"""Beyond it numbers of 64 bits are no longer whole numbers one by one."""
LEAST_REACH, REACH = 0.25, 1.0
"""The noise of the lab has a width of 1, so the data reach about as far from their middle."""
NARROWEST, WIDEST = 0.005, 0.1
WANTED = "give (n, 2), or (n, 3) with the number of a class in the last column"
LINE = "a line is 'x, y' or 'x, y, class'"


@dataclass(frozen=True, slots=True, eq=False)
class PointSet:
    """places (n, 2) in data units; labels (n,) count `classes`, or there are none of either.

    std: the width of each point. done: what was done to the file's numbers, in words.
    """

    places: Float64
    labels: Int64 | None
    classes: tuple[str, ...]
    std: float
    done: tuple[str, ...] = ()

    def mixture(self) -> Mixture:
        """The density."""
        return points(self.places, std=self.std, labels=self.labels, classes=self.classes)


def read(path: Path) -> PointSet:
    """The points in a file. Raises InputError naming the line or the shape, and what to do."""
    try:
        places, names = _read_array(path) if path.suffix.lower() == ARRAY else _read_text(path)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    labels, classes = _classes(names, path)
    chosen, thinned = _thinned(np.zeros(len(places), np.int64) if labels is None else labels)
    labels = None if labels is None else labels[chosen]
    placed, moved = _placed(np.array(places[chosen], np.float64))
    std = _width(placed)
    done = (*thinned, *moved, f"a Gaussian of width {std:.3g} on each")
    return PointSet(placed, labels, classes, std, done)


# ---- what is in a file --------------------------------------------------------------------------

Read = tuple[NDArray[Any], NDArray[Any] | None]
"""Places (n, 2) as they are, and the class of each (n,), if there are any."""


def _read_text(path: Path) -> Read:
    if path.stat().st_size > MAX_TEXT:
        raise InputError(f"{path} is larger than {MAX_TEXT >> 20} MB: keep some of its points")
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text in UTF-8: save it as one") from None
    rows: list[tuple[float, float]] = []
    names: list[str] = []
    for number, line in enumerate(lines, 1):
        values = _values(line)
        if not values or (not rows and not names and _is_header(values)):
            continue
        rows.append(_place(values, f"{path}:{number}"))
        names.append(values[2] if len(values) > 2 else "")
        if bool(names[0]) != bool(names[-1]):
            raise InputError(f"{path}:{number}: some lines have a class and some have none")
    if not rows:
        raise InputError(f"{path} holds no points: {LINE}")
    # As objects: an array of texts gives each as much room as the longest.
    return np.array(rows), np.array(names, dtype=object) if names[0] else None


def _values(line: str) -> list[str]:
    """The values of a line; of a remark there are none."""
    plain = line.split("#", 1)[0].strip()
    if not plain:
        return []
    split = next((mark for mark in ",;\t" if mark in plain), None)
    parts = plain.split(split) if split else re.split(r"\s+", plain)
    return [part.strip().strip("\"'") for part in parts]


def _is_header(values: list[str]) -> bool:
    return not any(_is_float(value) for value in values[:2])


def _is_number(text: str) -> bool:
    return _is_float(text) and "_" not in text  # 1_000 is a number in programs alone


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _place(values: list[str], where: str) -> tuple[float, float]:
    if not 2 <= len(values) <= 3 or (len(values) == 3 and not values[2]):
        raise InputError(f"{where}: {len(values)} values; {LINE}")
    wrong = next((value for value in values[:2] if not _is_number(value)), None)
    if wrong is not None:
        raise InputError(f"{where}: '{wrong[:40]}' is no number; {LINE}")
    x, y = float(values[0]), float(values[1])
    if not (math.isfinite(x) and math.isfinite(y)):
        raise InputError(f"{where}: NaN or infinite: leave this line out, or mend it")
    return x, y


def _read_array(path: Path) -> Read:
    with path.open("rb") as file:
        array = _array(file, path)
    _check_finite(array, path)
    return array[:, :2], array[:, 2] if array.shape[1] == 3 else None


def _array(file: BinaryIO, path: Path) -> NDArray[Any]:
    """The array in an open file, checked against the file's size before it is read.

    Read, not mapped: where a mapped file is cut short, the whole program dies.
    """
    shape, by_column, dtype = _header(file, path)
    if len(shape) != 2 or shape[1] not in (2, 3) or dtype.kind not in "fiu":
        raise InputError(f"{path} holds {dtype} of shape {_short(shape)}: {WANTED}")
    if not 1 <= shape[0] <= MAX_ROWS:
        raise InputError(f"{path} holds {_short(shape[0])} points: give 1 to {MAX_ROWS:,}")
    size = shape[0] * shape[1] * dtype.itemsize
    there = os.fstat(file.fileno()).st_size - file.tell()
    content = file.read(size) if there >= size else b""
    if len(content) < size:
        raise InputError(
            f"{path} is cut off: {size:,} bytes of numbers belong to it, {there:,} are there. "
            "Save it again"
        )
    return np.frombuffer(content, dtype).reshape(shape, order="F" if by_column else "C")


def _header(file: BinaryIO, path: Path) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The shape, whether numbers lie column by column, and the kind of numbers."""
    if file.read(2) == b"PK":
        raise InputError(f"{path} holds several arrays: save one of them by numpy.save")
    file.seek(0)
    try:
        version = npy.read_magic(file)
        if version == (1, 0):
            return npy.read_array_header_1_0(file)
        if version == (2, 0):
            return npy.read_array_header_2_0(file)
        raise ValueError(f"of version {version[0]}.{version[1]}")
    except OSError:
        raise
    except Exception as error:  # a header is parsed as Python, and whatever may stand in it
        raise InputError(
            f"{path} is no array of NumPy ({_short(error)}): save one by numpy.save"
        ) from None


def _short(value: object) -> str:
    """In words that fit a message, whatever a file says."""
    words = f"{value:,}" if isinstance(value, int) and abs(value) < 10**15 else str(value)
    return words if len(words) <= 80 else f"{words[:79]}…"


def _check_finite(array: NDArray[Any], path: Path, rows: int = 1 << 16) -> None:
    for start in range(0, len(array), rows):
        with np.errstate(over="ignore"):  # a wider kind may hold what is infinite in this one
            values = array[start : start + rows].astype(np.float64)
        bad = ~np.isfinite(values).all(axis=1)
        if bad.any():
            row = start + int(bad.argmax())
            raise InputError(f"{path}: row {row} holds NaN or infinite values: leave it out")


# ---- what is made of it -------------------------------------------------------------------------


def _classes(names: NDArray[Any] | None, path: Path) -> tuple[Int64 | None, tuple[str, ...]]:
    if names is None:
        return None, ()
    if names.dtype.kind == "f":
        if (names != np.round(names)).any() or np.abs(names).max() > MOST_WHOLE:
            raise InputError(
                f"{path}: the last column holds no whole numbers, so no classes: {WANTED}"
            )
        names = names.astype(np.int64)
    known, labels = np.unique(names, return_inverse=True)
    if len(known) > MOST_CLASSES:
        raise InputError(
            f"{path} has {len(known)} classes: the third column names at most {MOST_CLASSES}, or "
            "leave it out"
        )
    if len(known) < 2:
        return None, ()
    return labels.astype(np.int64), tuple(str(name)[:40] for name in known)


def _thinned(labels: Int64) -> tuple[Int64, tuple[str, ...]]:
    """Which rows are kept: all, or as many as there may be, drawn at random, always the same.

    labels (n,): each class keeps its share, and one point at least.
    """
    if len(labels) <= MOST_POINTS:
        return np.arange(len(labels)), ()
    random, counts = np.random.default_rng(0), np.bincount(labels).tolist()
    spare, others = MOST_POINTS - len(counts), len(labels) - len(counts)
    drawn = [
        random.choice(
            np.flatnonzero(labels == k), 1 + (count - 1) * spare // others, replace=False
        )
        for k, count in enumerate(counts)
    ]
    kept = np.sort(np.concatenate(drawn))
    how = "drawn at random" if len(counts) == 1 else "drawn at random in each class"
    return kept, (f"{len(kept):,} of {len(labels):,} points, {how}",)


def _placed(places: Float64) -> tuple[Float64, tuple[str, ...]]:
    """Within -1 to 1: as they are if they lie so already, else moved and scaled as a whole."""
    if LEAST_REACH <= np.abs(places).max() <= REACH:
        return places, ()
    low, high = places.min(axis=0), places.max(axis=0)
    middle = low / 2 + high / 2
    half = float((high / 2 - low / 2).max())
    placed = (places - middle) / (half or 1.0)
    return placed, (f"({middle[0]:.3g}, {middle[1]:.3g}) is the middle now, {half:.3g} is 1",)


def _width(places: Float64) -> float:
    """The median distance to the nearest other point, within reason: a row becomes a curve."""
    if len(places) < 2:
        return WIDEST
    squared = ((places[:, None] - places) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    nearest = float(np.sqrt(np.median(squared.min(axis=1))))
    return min(max(nearest, NARROWEST), WIDEST)
