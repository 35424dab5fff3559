"""From the steps a sampler yields to records on the host, with what went wrong named by step."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffview.engine import host, shortage
from diffview.engine.estimate import Stage, Step
from diffview.engine.levels import NoiseLevel
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Float32, StageRecord, StepRecord, keeps_raw
from diffview.errors import DiffviewError, NonFiniteError


def records(
    steps: Generator[Step, None, None],
    levels: Sequence[NoiseLevel],
    spec: RunSpec,
    nfe: Callable[[], int],
    device: torch.device,
    first: int = 0,
) -> Generator[StepRecord, None, None]:
    """One record for each of `steps`, which begin at level `first`; nfe() counts until now.

    On a GPU the next step is queued before one is waited for. Raises DiffviewError naming the step
    when a network fails, after the records of the steps before, and NonFiniteError.
    """
    queued: deque[_Queued] = deque()
    for i in range(first, len(levels)):
        try:
            with named(i, levels[i]):
                timed = host.Timed(device)
                queued.append(_Queued(i, levels[i], timed.take(next(steps)), nfe()))
        except DiffviewError:
            while queued:  # the steps before are whole: they are kept
                yield _finished(queued, spec)
            raise
        if len(queued) > host.AHEAD.get(device.type, 0):
            yield _finished(queued, spec)
    while queued:
        yield _finished(queued, spec)


@dataclass(frozen=True, slots=True)
class _Queued:
    """A step of which the device may still be at work."""

    i: int
    level: NoiseLevel
    timed: host.Timed
    nfe: int


@contextmanager
def named(i: int, level: NoiseLevel) -> Iterator[None]:
    """Whatever a network raises inside becomes a DiffviewError that names the step."""
    try:
        yield
    except DiffviewError:
        raise
    except Exception as error:
        where = f"the model failed at step {i} (t = {level.t:g})"
        if shortage.is_shortage(error):
            words = shortage.reason(error)
            shortage.let_go(error)
            raise DiffviewError(f"{where}: {words}") from None
        raise DiffviewError(f"{where}: {type(error).__name__}: {error}") from error


def _finished(queued: deque[_Queued], spec: RunSpec) -> StepRecord:
    oldest = queued.popleft()
    with named(oldest.i, oldest.level):  # what a GPU could not do is known only now
        step, seconds = oldest.timed.wait()
    record = _record(step, oldest.nfe, seconds, spec)
    check_finite(record)
    return record


def _record(step: Step, nfe: int, seconds: float, spec: RunSpec) -> StepRecord:
    x_t, x0_hat = _array(step.x_t), _array(step.estimate.x0_hat)
    base, direction = _maybe(step.estimate.base), _maybe(step.estimate.direction)
    raw = _maybe(step.estimate.x0_raw)
    if step.level.sigma == 0:  # the clean end: any scale gives the picture itself
        if spec.guidance.kind != "none":
            base, direction = x0_hat, np.zeros_like(x0_hat)
        raw = x0_hat if keeps_raw(spec) else None
    return StepRecord(
        i=step.i,
        level=step.level,
        x_t=x_t,
        x0_hat=x0_hat,
        base=base,
        direction=direction,
        move=step.move,
        nfe=nfe,
        seconds=seconds,
        x0_raw=raw,
        stages=tuple(_stage(stage) for stage in step.stages),
    )


def _stage(stage: Stage) -> StageRecord:
    estimate = stage.estimate
    if estimate is None:
        return StageRecord(stage.name, stage.level, _array(stage.x_t))
    return StageRecord(
        name=stage.name,
        level=stage.level,
        x_t=_array(stage.x_t),
        x0_hat=_array(estimate.x0_hat),
        base=_maybe(estimate.base),
        direction=_maybe(estimate.direction),
    )


def _maybe(tensor: Tensor | None) -> Float32 | None:
    return None if tensor is None else _array(tensor)


def _array(tensor: Tensor) -> Float32:
    array: Float32 = tensor.numpy()
    return array


def check_finite(record: StepRecord) -> None:
    """Raise NonFiniteError, naming tensor, step and samples, for NaN or infinity."""
    # One sum is NaN or infinite exactly when some value is (float32 pictures cannot overflow it).
    arrays = record.arrays()
    for stage in record.stages:
        arrays |= {f"{name} of the {stage.name}": a for name, a in stage.arrays().items()}
    for name, array in arrays.items():
        with np.errstate(invalid="ignore"):  # infinities of both signs add up to NaN
            total = np.sum(array, dtype=np.float64)
        if not np.isfinite(total):
            rows = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
            before = f"; the {record.i} steps before it are kept" if record.i else ""
            raise NonFiniteError(
                f"{name} became NaN or infinite at step {record.i} (t = {record.level.t:g}) in "
                f"sample {', '.join(map(str, rows[:8]))}{before}{_advice(record)}"
            )


def _advice(record: StepRecord) -> str:
    """What may help. At the first step no guidance has acted on what the network was given, so
    where its own estimates are none, the scale is not to blame."""
    if record.base is None or record.direction is None:
        return ""
    own = np.isfinite(record.base).all() and np.isfinite(record.direction).all()
    if record.i == 0 and not own:
        return "; the network itself gives no numbers: its weights may be damaged"
    return "; a smaller guidance γ may help"
