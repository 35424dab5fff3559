"""The samplers, one file each; a file registers its generator with `@sampler`.

A sampler is `(denoise, x, levels, noise, *, past=(), **options)` -> a generator of Step: levels
are N + 1, the last one CLEAN; it yields N evaluated steps, each with the state before its move,
and the clean end. To go on from step k it is given that step's x and in `past` the steps before
(`history` of them, at least one). It knows nothing of seeds, progress, cancelling or recording,
and never writes in place.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from diffview.engine.options import Option
from diffview.errors import InputError

if TYPE_CHECKING:
    from diffview.engine.estimate import Step
    from diffview.engine.schedules import Schedule

Sampler = TypeVar("Sampler", bound=Callable[..., "Generator[Any, None, None]"])


@dataclass(frozen=True, slots=True)
class SamplerInfo:
    """What the panel, the command line and the tests need to know of a sampler.

    order: how the error falls with N where no noise is added, with the default options.
    nfe_per_step: evaluations in every step but the last, which always takes one.
    stages: further points kept with every step but the last; stage_estimates says whether each
        has an estimate of its own. history: how many steps before it the next one depends on.
    off_grid: it evaluates at levels of its own and is given `at_ratio`, the schedule's method.
    by_time: it may move to other times than the grid's and is given the `schedule`.
    uses_eps: it takes eps apart from x0_hat, so that one of before clipping makes a difference.
    pure_noise: whether it can start where no signal is left (alpha = 0).
    by_token: it moves no noise, it writes the tokens of a model that predicts the next one, and
        its generator is called otherwise: see `samplers/autoregressive.py`.
    weights: how those of its update follow from the levels, by their names (w0, w1, s, w_raw,
        w_past, w_stage), level to target as in alpha to alpha'. no_sum: why there is no such sum.
    """

    name: str
    title: str
    order: int
    nfe_per_step: int
    stochastic: bool
    options: tuple[Option, ...]
    source: str
    generate: Callable[..., Generator[Step, None, None]]
    stages: int = 0
    stage_estimates: bool = True
    history: int = 0
    off_grid: bool = False
    by_time: bool = False
    uses_eps: bool = False
    pure_noise: bool = True
    by_token: bool = False
    weights: Mapping[str, str] = field(default_factory=dict)
    no_sum: str = ""

    def lent(self, schedule: Schedule) -> dict[str, Any]:
        """What of the model's schedule goes to the generator, as keywords."""
        lent: dict[str, Any] = {"at_ratio": schedule.at_ratio} if self.off_grid else {}
        return lent | ({"schedule": schedule} if self.by_time else {})

    def nfe(self, n_steps: int) -> int:
        """Network evaluations of one sample in a run of `n_steps`, without guidance."""
        return self.nfe_per_step * (n_steps - 1) + 1


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
    stages: int = 0,
    stage_estimates: bool = True,
    history: int = 0,
    off_grid: bool = False,
    by_time: bool = False,
    uses_eps: bool = False,
    pure_noise: bool = True,
    by_token: bool = False,
    weights: Mapping[str, str] | None = None,
    no_sum: str = "",
) -> Callable[[Sampler], Sampler]:
    """Register the decorated generator under `name` with the facts about it."""

    def register(generate: Sampler) -> Sampler:
        _REGISTRY[name] = SamplerInfo(
            name=name,
            title=title,
            order=order,
            nfe_per_step=nfe_per_step,
            stochastic=stochastic,
            options=options,
            source=source,
            generate=generate,
            stages=stages,
            stage_estimates=stage_estimates,
            history=history,
            off_grid=off_grid,
            by_time=by_time,
            uses_eps=uses_eps,
            pure_noise=pure_noise,
            by_token=by_token,
            weights=weights or {},
            no_sum=no_sum,
        )
        return generate

    return register


def find(name: str) -> SamplerInfo:
    """The sampler called `name`, of either kind. Raises InputError naming the known ones."""
    known = every() | by_token()
    if name not in known:
        raise InputError(f"unknown sampler '{name}'; known are {', '.join(known)}")
    return known[name]


@cache
def every() -> dict[str, SamplerInfo]:
    """All samplers that lead from noise to a picture, by name, sorted."""
    return {name: info for name, info in _registered().items() if not info.by_token}


@cache
def by_token() -> dict[str, SamplerInfo]:
    """All samplers that write token by token, by name, sorted."""
    return {name: info for name, info in _registered().items() if info.by_token}


def _registered() -> dict[str, SamplerInfo]:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_REGISTRY.items()))
