"""Points drawn by hand, with classes: strokes that can be taken back. Values, without a widget."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffview.models.exact.mixture import Mixture, points

APART = 0.03
"""Points of a stroke lie so far apart, in data units."""
MOST_POINTS = 2_000
CLASSES = 3
SHAPES = ("circle", "heart", "waves")


@dataclass(frozen=True, slots=True, eq=False)
class DrawnPoints:
    """places (n, 2) and labels (n,) of what was drawn; `strokes` are its lengths, in order."""

    places: NDArray[np.float64]
    labels: NDArray[np.int64]
    strokes: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.places)

    @property
    def full(self) -> bool:
        """Whether there is no room for more."""
        return len(self) >= MOST_POINTS

    def begun(self, x: float, y: float, label: int) -> DrawnPoints:
        """With a new stroke that begins here."""
        if self.full:
            return self
        return replace(self._with(np.array([[x, y]]), label), strokes=(*self.strokes, 1))

    def drawn_to(self, x: float, y: float, label: int) -> DrawnPoints:
        """With the last stroke led on to here, a point every APART."""
        if not self.strokes:
            return self.begun(x, y, label)
        last, here = self.places[-1], np.array([x, y])
        count = int(np.linalg.norm(here - last) / APART)
        count = min(count, MOST_POINTS - len(self))
        if count < 1:
            return self
        direction = (here - last) / np.linalg.norm(here - last)
        more = last + APART * np.arange(1, count + 1)[:, None] * direction
        strokes = (*self.strokes[:-1], self.strokes[-1] + count)
        return replace(self._with(more, label), strokes=strokes)

    def with_shape(self, name: str, label: int) -> DrawnPoints:
        """With one of SHAPES as a stroke."""
        more = shape(name)[: MOST_POINTS - len(self)]
        if not len(more):
            return self
        return replace(self._with(more, label), strokes=(*self.strokes, len(more)))

    def undone(self) -> DrawnPoints:
        """Without the last stroke."""
        if not self.strokes:
            return self
        kept = len(self) - self.strokes[-1]
        return DrawnPoints(self.places[:kept], self.labels[:kept], self.strokes[:-1])

    def erased(self, x: float, y: float, radius: float) -> DrawnPoints:
        """Without the points within `radius` of a place; what is left is one stroke."""
        kept = np.hypot(self.places[:, 0] - x, self.places[:, 1] - y) > radius
        if kept.all():
            return self
        left = int(kept.sum())
        return DrawnPoints(self.places[kept], self.labels[kept], (left,) if left else ())

    def mixture(self, width: float) -> Mixture:
        """Gaussians of standard deviation `width` on the points, a class for each label used.

        Points of one class alone have none. Raises InputError without points.
        """
        used = np.unique(self.labels)
        if len(used) < 2:
            return points(self.places, std=width)
        labels = np.searchsorted(used, self.labels)
        return points(
            self.places, std=width, labels=labels, classes=[f"Class {k + 1}" for k in used]
        )

    def _with(self, more: NDArray[np.float64], label: int) -> DrawnPoints:
        labels = np.full(len(more), label)
        return replace(
            self,
            places=np.concatenate([self.places, more]),
            labels=np.concatenate([self.labels, labels]),
        )


NOTHING = DrawnPoints(np.empty((0, 2)), np.empty(0, np.int64))


def shape(name: str) -> NDArray[np.float64]:
    """Points (n, 2) on a curve of SHAPES, APART from one another."""
    u = np.linspace(0, 2 * np.pi, 4000)
    if name == "circle":
        curve = 0.75 * np.stack([np.cos(u), np.sin(u)], axis=1)
    elif name == "heart":
        across = 16 * np.sin(u) ** 3
        up = 13 * np.cos(u) - 5 * np.cos(2 * u) - 2 * np.cos(3 * u) - np.cos(4 * u)
        curve = np.stack([across, up + 2.5], axis=1) / 19
    else:
        curve = np.stack([(u / np.pi - 1) * 0.95, 0.45 * np.sin(3 * u)], axis=1)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
    places = np.arange(0, along[-1] - APART / 2, APART)
    return np.stack([np.interp(places, along, curve[:, k]) for k in (0, 1)], axis=1)
