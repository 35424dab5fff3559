"""What the training lab can begin: the recipes, weights to begin with, trainings to go on with."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass

from diffview import tensorfile
from diffview.errors import InputError
from diffview.models import catalog
from diffview.training import recipes
from diffview.training.kept import KeptTraining, kept_trainings
from diffview.training.recipes import RecipeInfo

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Offer:
    """What can be done with one recipe; `samples` is how long its training is."""

    info: RecipeInfo
    samples: int
    learning_rate: float
    models: tuple[catalog.Entry, ...]
    kept: tuple[KeptTraining, ...]


def survey() -> Iterator[tuple[Offer, ...]]:
    """All recipes with what is there for each; no data are read. Quick ones come first."""
    kept, models = kept_trainings(), _models()
    offers = []
    for name, info in recipes.every().items():
        settings = info.make(folder=None).settings
        offers.append(
            Offer(
                info,
                settings.samples,
                settings.learning_rate,
                tuple(entry for recipe, entry in models if recipe == name),
                tuple(one for one in kept if one.order.recipe == name),
            )
        )
    yield tuple(offers)


def _models() -> list[tuple[str, catalog.Entry]]:
    """The models that a recipe made, with its name; bundled ones first."""
    found = []
    for entry in (*catalog.bundled(), *catalog.own()):
        recipe = recipe_of(entry)
        if recipe:
            found.append((recipe, entry))
    return found


def recipe_of(entry: catalog.Entry) -> str:
    """The name of the recipe that made a model; "" where it was none of ours."""
    if entry.path.suffix != catalog.SUFFIX or not entry.path.is_file():
        return ""
    try:
        text = tensorfile.read_header(entry.path).metadata.get("diffview.recipe", "{}")
        value = json.loads(text)
        return str(value["recipe"]) if isinstance(value, dict) and "recipe" in value else ""
    except (InputError, ValueError, RecursionError) as error:
        log.warning("%s: %s", entry.path, error)
        return ""
