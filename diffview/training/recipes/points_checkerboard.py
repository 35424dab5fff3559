"""`points-checkerboard`: a checkerboard of points, learned in seconds: `training/points.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from diffview.training.points import PointsRecipe
from diffview.training.recipes import recipe


@recipe(
    name="points-checkerboard",
    title="Points in the plane: a checkerboard",
    needs="nothing: the points are drawn",
    takes="some ten seconds on one CPU core",
    quick_to_judge=True,
)
@dataclass(frozen=True)
class PointsCheckerboard(PointsRecipe):
    """A network of 51,000 numbers on draws of the model 'checkerboard'."""

    toy_id: ClassVar[str] = "checkerboard"
    name: ClassVar[str] = "points-checkerboard"
