"""`points`: two moons of points, learned in seconds; see `training/points.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from diffview.training.points import PointsRecipe
from diffview.training.recipes import recipe


@recipe(
    name="points",
    title="Points in the plane: two moons",
    needs="nothing: the points are drawn",
    takes="some ten seconds on one CPU core",
    quick_to_judge=True,
)
@dataclass(frozen=True)
class PointsMoons(PointsRecipe):
    """A network of 51,000 numbers on draws of the model 'moons'."""

    toy_id: ClassVar[str] = "moons"
    name: ClassVar[str] = "points"
