"""A set of points from a file, as the density to explore that it is: a Gaussian on each point.

    p(x_0) = (1 / n) sum_i N(x_0; x_i, std^2)

A text has a point a line, "x, y" or "x, y, class", with commas, semicolons, tabs or spaces between
and a line of names above if one likes; an array of NumPy has the shape (n, 2), or (n, 3) with the
numbers of classes in its last column.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
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
    chosen, thinned = _thinned(len(places))
    places = np.array(places[chosen], np.float64)
    names = None if names is None else np.array(names[chosen])
    labels, classes = _classes(names, path)
    placed, moved = _placed(places)
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
    return np.array(rows), np.array(names) if names[0] else None


def _values(line: str) -> list[str]:
    """The values of a line; of a remark there are none."""
    plain = line.split("#", 1)[0].strip()
    if not plain:
        return []
    split = next((mark for mark in ",;\t" if mark in plain), None)
    parts = plain.split(split) if split else re.split(r"\s+", plain)
    return [part.strip().strip("\"'") for part in parts]


def _is_header(values: list[str]) -> bool:
    return not any(_is_number(value) for value in values[:2])


def _is_number(text: str) -> bool:
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
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(
            f"{path} is no array of NumPy ({error}): save one by numpy.save"
        ) from None
    if not isinstance(array, np.ndarray):
        raise InputError(f"{path} holds several arrays: save one of them by numpy.save")
    if array.ndim != 2 or array.shape[1] not in (2, 3) or array.dtype.kind not in "fiu":
        raise InputError(f"{path} holds {array.dtype} of shape {array.shape}: {WANTED}")
    if not 1 <= len(array) <= MAX_ROWS:
        raise InputError(f"{path} holds {len(array):,} points: give 1 to {MAX_ROWS:,}")
    _check_finite(array, path)
    return array[:, :2], array[:, 2] if array.shape[1] == 3 else None


def _check_finite(array: NDArray[Any], path: Path, rows: int = 1 << 16) -> None:
    for start in range(0, len(array), rows):
        bad = ~np.isfinite(array[start : start + rows]).all(axis=1)
        if bad.any():
            row = start + int(bad.argmax())
            raise InputError(f"{path}: row {row} holds NaN or infinite values: leave it out")


# ---- what is made of it -------------------------------------------------------------------------


def _thinned(count: int) -> tuple[slice | Int64, tuple[str, ...]]:
    """Which rows are kept: all, or as many as there may be, drawn at random, always the same."""
    if count <= MOST_POINTS:
        return slice(None), ()
    drawn = np.random.default_rng(0).choice(count, MOST_POINTS, replace=False)
    return np.sort(drawn), (f"{MOST_POINTS:,} of {count:,} points, drawn at random",)


def _classes(names: NDArray[Any] | None, path: Path) -> tuple[Int64 | None, tuple[str, ...]]:
    if names is None:
        return None, ()
    if names.dtype.kind == "f":
        if (names != np.round(names)).any():
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
