"""The trajectory itself: every kept x_t and x̂₀ as numbers, in the form that diffview opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from diffview.engine import session
from diffview.engine.trajectory import Trajectory
from diffview.exporters import Clip, trajectory_exporter
from diffview.exporters.recipe import Recipe


@trajectory_exporter(
    name="safetensors",
    title="Trajectory (safetensors)",
    suffix=".safetensors",
    filename="trajectory.safetensors",
    help="The numbers behind the pictures, float32, all samples and steps; diffview opens it, "
    "and so does any program that reads safetensors.",
)
def safetensors(trajectory: Trajectory, target: Path, recipe: Recipe, clip: Clip) -> Iterator[int]:
    """Write the run as one file `target`."""
    session.save(trajectory, target, recipe.about)
    yield 1
