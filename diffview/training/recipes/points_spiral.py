"""`points-spiral`: a spiral of points, learned in seconds; see `training/points.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from diffview.training.points import PointsRecipe
from diffview.training.recipes import recipe


@recipe(
    name="points-spiral",
    title="Points in the plane: a spiral",
    needs="nothing: the points are drawn",
    takes="some ten seconds on one CPU core",
    quick_to_judge=True,
)
@dataclass(frozen=True)
class PointsSpiral(PointsRecipe):
    """A network of 51,000 numbers on draws of the model 'spiral'."""

    toy_id: ClassVar[str] = "spiral"
    name: ClassVar[str] = "points-spiral"
