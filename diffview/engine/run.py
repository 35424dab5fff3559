"""The run: a generator that samples as a RunSpec says and yields what happened, step by step.

The consumer holds the reins: it pauses by not calling next(), cancels by close().
"""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import cast

import numpy as np
import torch
from torch import Tensor

from diffview.engine import compat, guidance, noise, samplers
from diffview.engine.denoiser import Denoiser, LearnsVariance
from diffview.engine.estimate import Denoise, Stage, Step
from diffview.engine.levels import NoiseLevel
from diffview.engine.spec import RunSpec, checked
from diffview.engine.trajectory import Float32, StageRecord, StepRecord, keeps_raw
from diffview.errors import DiffviewError, InputError, NonFiniteError

Guide = Denoiser | guidance.Classifier
"""What guides a run beside its model: a weaker model, or a classifier of x_t and t."""


@torch.no_grad()
def run(
    denoiser: Denoiser,
    spec: RunSpec,
    condition: Tensor | None = None,
    init_noise: Tensor | None = None,
    guide: Guide | None = None,
    negative: Tensor | None = None,
) -> Generator[StepRecord, None, None]:
    """Sample as `spec` says; yields N + 1 records, the last one the clean end.

    condition (B, ...) is spec.condition as the denoiser takes it; init_noise (B, *D) replaces the
    seeded x_T. guide is what spec.guidance names: a classifier (x_t, t) -> logits, or the weaker
    denoiser, whose evaluations count too. negative (B, ...) is spec.negative as the denoiser takes
    it. Raises InputError before the first step for what cannot
    be run, DiffviewError naming the step when the network raises, NonFiniteError when it yields
    NaN or infinity.
    """
    spec = checked(spec)
    levels = spec.levels(denoiser.schedule)
    counted = _Counted(denoiser, spec.batch)
    denoise = _bind(counted, spec, condition, guide, negative)
    x = _initial(denoiser, spec, levels[0], init_noise)
    path = str(spec.option("noise_path"))
    draw = noise.source(path, spec.seeds, denoiser.data_shape, levels)

    def fresh_noise(i: int) -> Tensor:
        return draw(i).to(x.device, x.dtype)

    info, options = samplers.find(spec.sampler), spec.sampler_options()
    lent = info.lent(denoiser.schedule)
    steps = info.generate(denoise, x, levels, fresh_noise, **lent, **options)
    try:
        yield from _records(steps, levels, counted, spec)
    finally:
        steps.close()


def _records(
    steps: Generator[Step, None, None],
    levels: tuple[NoiseLevel, ...],
    counted: _Counted,
    spec: RunSpec,
) -> Generator[StepRecord, None, None]:
    for i, level in enumerate(levels):
        start = time.perf_counter()
        try:
            step = next(steps)
        except DiffviewError:
            raise
        except Exception as error:
            raise DiffviewError(
                f"the model failed at step {i} (t = {level.t:g}): {type(error).__name__}: {error}"
            ) from error
        record = _record(step, counted.nfe, start, spec)
        _check_finite(record)
        yield record


def _record(step: Step, nfe: int, start: float, spec: RunSpec) -> StepRecord:
    x_t, x0_hat = _host(step.x_t), _host(step.estimate.x0_hat)
    host_base, host_direction = _maybe(step.estimate.base), _maybe(step.estimate.direction)
    raw = _maybe(step.estimate.x0_raw)
    if step.level.sigma == 0:  # the clean end: any scale gives the picture itself
        if spec.guidance.kind != "none":
            host_base, host_direction = x0_hat, np.zeros_like(x0_hat)
        raw = x0_hat if keeps_raw(spec) else None
    return StepRecord(
        i=step.i,
        level=step.level,
        x_t=x_t,
        x0_hat=x0_hat,
        base=host_base,
        direction=host_direction,
        move=step.move,
        nfe=nfe,
        seconds=time.perf_counter() - start,
        x0_raw=raw,
        stages=tuple(_stage(stage) for stage in step.stages),
    )


def _stage(stage: Stage) -> StageRecord:
    estimate = stage.estimate
    if estimate is None:
        return StageRecord(stage.name, stage.level, _host(stage.x_t))
    return StageRecord(
        name=stage.name,
        level=stage.level,
        x_t=_host(stage.x_t),
        x0_hat=_host(estimate.x0_hat),
        base=_maybe(estimate.base),
        direction=_maybe(estimate.direction),
    )


def _maybe(tensor: Tensor | None) -> Float32 | None:
    return None if tensor is None else _host(tensor)


def _host(tensor: Tensor) -> Float32:
    array: Float32 = tensor.detach().to("cpu", torch.float32).numpy()
    return array


def _check_finite(record: StepRecord) -> None:
    # One sum is NaN or infinite exactly when some value is (float32 pictures cannot overflow it).
    arrays = record.arrays()
    for stage in record.stages:
        arrays |= {f"{name} of the {stage.name}": a for name, a in stage.arrays().items()}
    for name, array in arrays.items():
        with np.errstate(invalid="ignore"):  # infinities of both signs add up to NaN
            total = np.sum(array, dtype=np.float64)
        if not np.isfinite(total):
            rows = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
            advice = "" if record.base is None else "; a smaller guidance γ may help"
            raise NonFiniteError(
                f"{name} became NaN or infinite at step {record.i} (t = {record.level.t:g}) in "
                f"sample {', '.join(map(str, rows[:8]))}; the {record.i} steps before it are "
                f"kept{advice}"
            )


def _bind(
    denoiser: _Counted,
    spec: RunSpec,
    condition: Tensor | None,
    guide: Guide | None,
    negative: Tensor | None,
) -> Denoise:
    """Condition, guidance, rescaling and clipping around the denoiser."""
    for given in (condition, negative):
        if given is not None and len(given) != spec.batch:
            raise InputError(
                f"{len(given)} conditions were given for {spec.batch} samples; give one for each"
            )
    denoise = _guided(denoiser, spec, condition, guide, negative)
    how = spec.finish()
    if how.clip == "none" and how.rescale == 0:
        return denoise
    return guidance.finish(denoise, how, rederive_eps=bool(spec.option("rederive_eps")))


def _guided(
    denoiser: _Counted,
    spec: RunSpec,
    condition: Tensor | None,
    guide: Guide | None,
    negative: Tensor | None,
) -> Denoise:
    kind = spec.guidance.kind
    if kind == "none":
        return guidance.unguided(denoiser, condition)
    if kind in spec.guidance.NEED_GUIDE and guide is None:
        raise InputError(
            f"guidance '{kind}' needs a second model to guide by: open one and give it to the run"
        )
    if kind == "autoguidance":
        weak = denoiser.counting(cast(Denoiser, guide))
        return guidance.autoguided(denoiser, weak, condition, spec.gamma)
    if condition is None:
        raise InputError(
            "guidance needs a condition: choose a class (or a prompt), or turn guidance off"
        )
    if kind == "classifier":
        classifier = cast(guidance.Classifier, guide)
        return guidance.classifier_guided(denoiser, condition, classifier, spec.gamma)
    if (negative is None) != (spec.negative is None):
        raise InputError("the negative prompt of the run and its condition must come together")
    return guidance.classifier_free(denoiser, condition, spec.gamma, negative)


def _initial(
    denoiser: Denoiser, spec: RunSpec, start: NoiseLevel, init_noise: Tensor | None
) -> Tensor:
    if init_noise is None:
        z = noise.initial_noise(spec.seeds, denoiser.data_shape).to(denoiser.device)
        return z * compat.initial_std(spec, denoiser.schedule, start)
    expected = (spec.batch, *denoiser.data_shape)
    if tuple(init_noise.shape) != expected:
        raise InputError(
            f"the given noise has shape {tuple(init_noise.shape)}, this run needs {expected} "
            "(samples, then the model's own shape)"
        )
    if not bool(init_noise.isfinite().all()):
        raise InputError("the given noise has values that are NaN or infinite")
    # A copy: the first record shares this memory, and the noise stays its owner's to change.
    return init_noise.to(denoiser.device, copy=True)


class _Counted:
    """A denoiser that counts evaluations per sample: a batch of 2B for B samples counts two."""

    def __init__(self, denoiser: Denoiser, batch: int, root: _Counted | None = None) -> None:
        self._denoiser, self._batch = denoiser, batch
        self.schedule, self.data_shape = denoiser.schedule, denoiser.data_shape
        self.device = denoiser.device
        self._root, self.nfe = root or self, 0
        self.learned_variance = getattr(denoiser, "learned_variance", False)

    def counting(self, other: Denoiser) -> Denoiser:
        """Another denoiser whose evaluations are counted here too."""
        return _Counted(other, self._batch, self._root)

    def null_condition(self, batch: int) -> Tensor | None:
        return self._denoiser.null_condition(batch)

    def __call__(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None) -> Tensor:
        self._count(x_t)
        return self._denoiser(x_t, level, condition)

    def with_variance(
        self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        self._count(x_t)
        return cast(LearnsVariance, self._denoiser).with_variance(x_t, level, condition)

    def _count(self, x_t: Tensor) -> None:
        self._root.nfe += len(x_t) // self._batch
