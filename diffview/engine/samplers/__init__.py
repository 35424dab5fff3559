"""The samplers, one file each; a file registers its generator with `@sampler`.

A sampler is `(denoise, x, levels, noise, **options)` -> a generator of Step: levels are N + 1,
the last one CLEAN; it yields N evaluated steps, each with the state before its move, and the clean
end. It knows nothing of seeds, progress, cancelling or recording, and never writes in place.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from diffview.engine.options import Option
from diffview.errors import InputError

if TYPE_CHECKING:
    from diffview.engine.estimate import Step

Sampler = TypeVar("Sampler", bound=Callable[..., "Generator[Step, None, None]"])


@dataclass(frozen=True, slots=True)
class SamplerInfo:
    """What the panel, the command line and the tests need to know of a sampler."""

    name: str
    title: str
    order: int
    nfe_per_step: int
    stochastic: bool
    options: tuple[Option, ...]
    source: str
    generate: Callable[..., Generator[Step, None, None]]


_REGISTRY: dict[str, SamplerInfo] = {}


def sampler(
    *,
    name: str,
    title: str,
    order: int,
    nfe_per_step: int = 1,
    stochastic: bool,
    options: tuple[Option, ...] = (),
    source: str,
) -> Callable[[Sampler], Sampler]:
    """Register the decorated generator under `name` with the facts about it."""

    def register(generate: Sampler) -> Sampler:
        _REGISTRY[name] = SamplerInfo(
            name, title, order, nfe_per_step, stochastic, options, source, generate
        )
        return generate

    return register


def find(name: str) -> SamplerInfo:
    """The sampler called `name`. Raises InputError naming the known ones."""
    known = every()
    if name not in known:
        raise InputError(f"unknown sampler '{name}'; known are {', '.join(known)}")
    return known[name]


@cache
def every() -> dict[str, SamplerInfo]:
    """All samplers by name, sorted."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))
