"""Going on from a recorded step: the sampler takes up its state and the history it still needs.

What follows is bit for bit what an uninterrupted run has there. A record's x_t is the state the
network was asked at, so with churn it lies after it, at the record's own level; where churn was
not applied, that level is the grid's.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from diffview.engine.estimate import Denoise, Estimate, Noise, Step
from diffview.engine.levels import NoiseLevel
from diffview.engine.samplers import SamplerInfo
from diffview.engine.trajectory import Float32, StepRecord

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Start:
    """A state to go on from: x_t (B, *D) of step `i`, at `level`, before its evaluation.

    past: the steps before, oldest first, as far as a multistep sampler needs them. nfe: the
    evaluations of one sample before step i.
    """

    i: int
    level: NoiseLevel
    x_t: Float32
    past: tuple[StepRecord, ...] = ()
    nfe: int = 0


def resumed(
    info: SamplerInfo,
    denoise: Denoise,
    start: Start,
    began: int,
    levels: Sequence[NoiseLevel],
    noise: Noise,
    x: Tensor,
    **options: Any,
) -> Generator[Step, None, None]:
    """The steps from `start` on; x is its x_t on the model's device.

    began is the step at which this sampler took over: its history, and with it the order of its
    first steps, counts from there.
    """
    seen = list(levels)
    for record in start.past:
        seen[record.i] = record.level
    seen[start.i] = start.level
    if info.off_grid:  # churn has been applied to x already
        options["start"] = start.level
    steps = info.generate(
        denoise,
        x,
        seen[began:],
        lambda i: noise(i + began),
        past=_past(start, began, x),
        **options,
    )
    return _renumbered(steps, began) if began else steps


def _past(start: Start, began: int, x: Tensor) -> tuple[Step, ...]:
    import torch

    def tensor(array: Float32) -> Tensor:
        return torch.tensor(array).to(x.device, x.dtype)

    steps = tuple(
        Step(record.i - began, record.level, tensor(record.x_t), Estimate(tensor(record.x0_hat)))
        for record in start.past
        if record.i >= began
    )
    if steps or start.i == began:
        return steps
    # A sampler without a history only reads from the last of them how far it has come.
    return (Step(start.i - 1 - began, start.level, x, Estimate(x)),)


def _renumbered(steps: Generator[Step, None, None], began: int) -> Generator[Step, None, None]:
    with closing(steps):
        for step in steps:
            yield replace(step, i=step.i + began)
