"""Particles through a run's own recipe: sampler, options, steps, spacing, condition, guidance.

They go as the run's samples go, with random numbers of one generator for all of a chunk in place
of a seed for each.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, cast

import torch

from diffview.engine import compat, samplers
from diffview.engine.run import bound
from diffview.engine.spec import Condition, RunSpec
from diffview.errors import InputError
from diffview.models import conditions
from diffview.models.exact.particles import Particles

CHUNKS = (1_000, 4_000, 5_000)
"""Few first, so that there is soon something to see; then as many as there are already."""


@torch.no_grad()
def follow(model: Any, into: Particles, guide: Any = None) -> Generator[int, None, None]:
    """Fill `into`, chunk after chunk; yields the number that is ready, after every step.

    guide is what the spec's guidance names, if anything. Raises InputError for a model whose
    samples are no points in the plane, and for samplers that write tokens.
    """
    if tuple(model.data_shape) != (2,) or into.spec.by_token:
        raise InputError("particles are followed where samples are points in the plane")
    for start, stop in _chunks(into.count):
        with closing(_steps(model, into.spec, start, stop - start, guide)) as steps:
            for step in steps:
                into.paths[step.i, start:stop] = step.x_t.float().numpy(force=True)
                if step.i == into.spec.n_steps:
                    into.ready = stop
                yield into.ready


def _chunks(count: int) -> Iterator[tuple[int, int]]:
    start = 0
    for size in CHUNKS:
        if start < count:
            yield start, min(start + size, count)
            start += size
    while start < count:
        yield start, min(start + start, count)
        start *= 2


def _steps(
    model: Any, spec: RunSpec, seed: int, size: int, guide: Any
) -> Generator[Any, None, None]:
    mine = replace(spec, seeds=tuple(range(size)), condition=_dealt(spec.condition, size))
    condition = conditions.condition_of(model, mine)
    denoise = bound(model, mine, condition, guide)
    info, levels = samplers.find(spec.sampler), spec.levels(model.schedule)
    schedule = spec.schedule(model.schedule)
    random = torch.Generator().manual_seed(seed)

    def noise(i: int) -> torch.Tensor:
        return torch.randn(size, 2, generator=random).to(model.device)

    x = noise(0) * compat.initial_std(mine, schedule, levels[0])
    options = spec.sampler_options() | info.lent(schedule)
    return info.generate(denoise, x, levels, noise, **options)


def _dealt(condition: Condition, size: int) -> Condition:
    """Several classes are dealt out in turn, over and over."""
    if not isinstance(condition, tuple):
        return condition
    return cast(Condition, tuple(condition[k % len(condition)] for k in range(size)))
