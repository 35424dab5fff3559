"""DDIM inversion of a picture on a model, and what DDIM makes of the x_T that was found.

spec_for(card, ...) -> climb(model, spec, pictures) -> sampling.sample_into(...) -> errors(...)
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from diffview.engine.levels import NoiseLevel
from diffview.engine.options import Value
from diffview.engine.origin import checksum
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Float32, Trajectory
from diffview.errors import InputError, NonFiniteError
from diffview.models import conditions, sampling
from diffview.models.card import ModelCard
from diffview.models.sampling import Model

if TYPE_CHECKING:
    from diffview.engine.inversion import Ascent
    from diffview.engine.run import Guide

MAX_REFINE = 100


@dataclass(frozen=True, slots=True)
class State:
    """x_t (B, *D) on the way up, at step `i` of the grid: N is the picture, 0 is x_T."""

    i: int
    level: NoiseLevel
    x_t: Float32


@dataclass(frozen=True, slots=True)
class StepError:
    """How far the way back is from the way up at step `i`, over all samples, in the model's units.

    psnr is in dB, of the range of the data; inf where both are equal.
    """

    i: int
    t: float
    max_abs: float
    mean_abs: float
    psnr: float

    def to_json(self) -> dict[str, Any]:
        """A JSON object; null for an infinite psnr."""
        psnr = self.psnr if math.isfinite(self.psnr) else None
        return {
            "i": self.i,
            "t": self.t,
            "max_abs": self.max_abs,
            "mean_abs": self.mean_abs,
            "psnr_db": psnr,
        }


def spec_for(
    card: ModelCard, *, options: Mapping[str, Value] | None = None, **choices: Any
) -> RunSpec:
    """The recipe of the way back, and so of the way up: DDIM without noise.

    choices are those of `sampling.spec_for`. Nothing is clipped unless asked: what was cut off
    cannot be found again. Raises InputError.
    """
    asked = dict(options or {})
    spec = sampling.spec_for(
        card, sampler="ddim", options={"eta": 0.0, "clip": "none", **asked}, **choices
    )
    if spec.option("eta") != 0:
        raise InputError(
            f"eta = {asked['eta']} adds noise, which cannot be inverted: leave it out"
        )
    if "compat" in spec.declared() and spec.option("compat") != "none":
        raise InputError("inversion follows the grid of its levels: leave compat out")
    return spec


def checked_pictures(pictures: Float32, data_shape: Sequence[int]) -> Float32:
    """pictures as (B, *D) float32, one sample (*D) too. Raises InputError for another shape."""
    array = np.array(pictures, np.float32)
    if array.shape == tuple(data_shape):
        array = array[None]
    if array.shape[1:] != tuple(data_shape) or not len(array):
        raise InputError(
            f"the picture has shape {array.shape}, the model takes {tuple(data_shape)} or several"
        )
    if not np.isfinite(array).all():
        raise InputError("the picture has values that are NaN or infinite")
    return array


def climb(
    model: Model, spec: RunSpec, pictures: Float32, *, refine: int = 0, guide: Guide | None = None
) -> Generator[State, None, None]:
    """The N + 1 states from the pictures (B, *D) up to x_T, under the spec's condition and gamma.

    On a GPU the next state is queued before one is waited for.
    refine: see `engine.inversion`. Raises InputError before the first for what cannot be,
    NonFiniteError when the estimate is NaN or infinite.
    """
    if not 0 <= refine <= MAX_REFINE:
        raise InputError(f"refine = {refine} is outside 0 to {MAX_REFINE}")
    x_0 = checked_pictures(pictures, model.data_shape)
    if len(x_0) != spec.batch:
        raise InputError(f"{len(x_0)} pictures were given for {spec.batch} samples")
    with closing(_climb(model, spec, x_0, refine, guide)) as states:
        for state in states:
            if not np.isfinite(state.x_t).all():
                advice = "" if spec.guidance.kind == "none" else "; a smaller guidance γ may help"
                raise NonFiniteError(
                    f"x_t became NaN or infinite on the way up, at t = {state.level.t:g}{advice}"
                )
            yield state


def _climb(
    model: Model, spec: RunSpec, x_0: Float32, refine: int, guide: Guide | None
) -> Generator[State, None, None]:
    import torch

    from diffview.engine import host, inversion
    from diffview.engine.run import bound

    @torch.no_grad()
    def states() -> Generator[State, None, None]:
        condition = conditions.condition_of(model, spec)
        negative = conditions.negative_of(model, spec)
        scaled = conditions.at_distilled_scale(model, spec)
        denoise = bound(scaled, spec, condition, guide, negative)
        x = torch.tensor(x_0).to(model.device)
        levels = spec.levels(model.schedule)
        queued: deque[tuple[Ascent, Callable[[], torch.Tensor]]] = deque()
        for ascent in inversion.ascend(denoise, x, levels, refine=refine):
            queued.append((ascent, host.taken(ascent.x_t)))
            if len(queued) > host.AHEAD.get(x.device.type, 0):
                yield came(*queued.popleft())
        while queued:
            yield came(*queued.popleft())

    def came(ascent: Ascent, there: Callable[[], torch.Tensor]) -> State:
        return State(ascent.i, ascent.level, there().numpy())

    return states()


def about(card: ModelCard, pictures: Float32, refine: int, *, device: str = "") -> dict[str, Any]:
    """What a saved way back keeps beside its recipe: that x_T was found, and for which picture."""
    known = sampling.about(card, device=device, given_noise=True)
    return known | {"inversion": {"picture_sha256": checksum(pictures), "refine": refine}}


def errors(
    states: Sequence[State], back: Trajectory, value_range: tuple[float, float]
) -> tuple[StepError, ...]:
    """How far back is from up at each recorded step, the last against the picture itself."""
    up = {state.i: state.x_t for state in states}
    peak = value_range[1] - value_range[0]
    return tuple(
        _error(record.i, record.level.t, record.x_t, up[record.i], peak) for record in back
    )


def _error(i: int, t: float, back: Float32, up: Float32, peak: float) -> StepError:
    gap = np.abs(back.astype(np.float64) - up)
    mse = float(np.mean(gap**2))
    psnr = 10 * math.log10(peak**2 / mse) if mse > 0 else math.inf
    return StepError(i, t, float(gap.max()), float(gap.mean()), psnr)
