"""The recipes, one file each: what is trained, on what, and how the result is judged.

A file registers its class with `@recipe`; an instance, with its default settings or a test's own
tiny ones, is what `training.job` trains and `training.publish` makes a model's file of.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from diffview.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from diffview.frames.pixels import Uint8
    from diffview.models.card import ModelCard
    from diffview.training.evaluate import Evaluating
    from diffview.training.loop import Task, TrainSettings


class Recipe(Protocol):
    """All that is particular to one model. Made with the folder of its data, None for where they
    usually are."""

    @property
    def settings(self) -> TrainSettings:
        """How long and how fast to train."""

    def task(self, device: str, split: str = "train") -> Task:
        """What is trained; the pictures of split "test" are kept from training."""

    def card(self) -> ModelCard:
        """What the model will be; figures come later, from the finished file."""

    def config(self) -> Mapping[str, Any]:
        """The network's configuration, for the file's header."""

    def shipped(self, network: nn.Module) -> nn.Module:
        """What of the trained network goes into the model's file."""

    def sheet(self, network: nn.Module, device: str) -> Uint8 | None:
        """A picture (H, W, 3) of what the network can do by now; None where there is none."""

    def evaluate(
        self, path: Path, device: str, n: int
    ) -> Generator[Evaluating, None, dict[str, Any]]:
        """Judge the model's file as loaded; returns the card's figures. `n` samples each."""


Make = TypeVar("Make", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class RecipeInfo:
    """What the command line needs to know before anything is loaded."""

    name: str
    title: str
    needs: str
    takes: str
    quick_to_judge: bool
    make: Callable[..., Recipe]


_REGISTRY: dict[str, RecipeInfo] = {}


def recipe(
    *, name: str, title: str, needs: str, takes: str, quick_to_judge: bool = False
) -> Callable[[Make], Make]:
    """Register the decorated class. needs: the data; takes: how long, and on what.

    quick_to_judge: evaluated whenever it is published, not only when asked for.
    """

    def register(make: Make) -> Make:
        _REGISTRY[name] = RecipeInfo(name, title, needs, takes, quick_to_judge, make)
        return make

    return register


def find(name: str) -> RecipeInfo:
    """The recipe called `name`. Raises InputError naming the known ones."""
    known = every()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        hint = f" (did you mean '{close[0]}'?)" if close else ""
        raise InputError(f"unknown recipe '{name}'{hint}; known are {', '.join(known)}")
    return known[name]


@cache
def every() -> dict[str, RecipeInfo]:
    """All recipes by name, sorted."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))
