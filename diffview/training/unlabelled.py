"""A folder of a person's own pictures, given to a recipe that needs its own data with labels."""

from __future__ import annotations

from pathlib import Path

from diffview.datasets import folder
from diffview.errors import InputError

RECIPE = "folder"
"""Which trains on any pictures."""


def instead(error: InputError, recipe: str, data: Path | None) -> InputError:
    """What to tell of data that a recipe cannot read: `error`, or that these have no labels."""
    if data is None or recipe == RECIPE or not _only_pictures(data):
        return error
    return InputError(
        f"{data} is a folder of pictures, which '{recipe}' cannot be trained on: it needs its own "
        f"data with their labels. Choose the recipe '{RECIPE}' for pictures of your own"
    )


def _only_pictures(place: Path) -> bool:
    try:
        return folder.holds_pictures(place)
    except InputError:
        return False
