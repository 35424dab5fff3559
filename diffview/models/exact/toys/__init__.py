"""Distributions of points in the plane, one file each; each registers itself with `@toy`.

They lie within about -1 .. 1, so the schedules made for pictures fit them too.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from diffview.engine import schedules
from diffview.engine.schedules import Schedule
from diffview.models.card import ModelCard
from diffview.models.exact.mixture import Mixture


@dataclass(frozen=True)
class Toy:
    """A distribution that ships as a model: `make` builds it, `path` is the file that says how."""

    id: str
    title: str
    description: str
    make: Callable[[], Mixture]
    path: Path

    @cached_property
    def mixture(self) -> Mixture:
        """The distribution."""
        return self.make()

    def card(self, schedule: Schedule | None = None) -> ModelCard:
        """What the model is; the schedule is DDPM's unless given."""
        return mixture_card(self.mixture, self.id, self.title, self.description, schedule)


_REGISTRY: dict[str, Toy] = {}


def toy(id: str, title: str, description: str) -> Callable[[Callable[[], Mixture]], Toy]:
    """Register what the decorated function makes as the model called `id`."""

    def register(make: Callable[[], Mixture]) -> Toy:
        path = Path(inspect.getfile(make))
        _REGISTRY[id] = Toy(id, title, description, make, path)
        return _REGISTRY[id]

    return register


@cache
def toys() -> dict[str, Toy]:
    """The registered distributions by id."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))


def mixture_card(
    data: Mixture, id: str, title: str, description: str = "", schedule: Schedule | None = None
) -> ModelCard:
    """The card of an exact model of `data`, drawn by hand or ours."""
    return ModelCard(
        id=id,
        title=title,
        family="mixture",
        data_shape=(data.dims,),
        prediction="x0",
        schedule=schedule or schedules.named("linear"),
        classes=data.classes,
        description=description,
        limits="Not trained: x̂₀, score and log p are computed from the distribution itself.",
        source=f"a mixture of {len(data.weights)} Gaussians in {data.dims} dimensions",
        licence="MIT",
        weights_sha256=data.sha256,
        defaults={"sampler": "ddim", "steps": 50, "guidance": 1.0},
    )
