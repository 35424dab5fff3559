"""The run: a generator that samples as a RunSpec says and yields what happened, step by step.

The consumer holds the reins: it pauses by not calling next(), cancels by close().
"""

from __future__ import annotations

from collections.abc import Generator
from typing import cast

import torch
from torch import Tensor

from diffview.engine import compat, guidance, noise, origin, samplers
from diffview.engine.conflicts import NO_START, kind_conflict
from diffview.engine.denoiser import Denoiser, LearnsVariance
from diffview.engine.estimate import Denoise
from diffview.engine.host import to_device
from diffview.engine.levels import NoiseLevel
from diffview.engine.next_token import PredictsNext, predicts_next
from diffview.engine.recording import records
from diffview.engine.resuming import Start, resumed
from diffview.engine.spec import RunSpec, checked
from diffview.engine.trajectory import StepRecord, keeps_raw
from diffview.engine.writing import written
from diffview.errors import InputError

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
    start: Start | None = None,
) -> Generator[StepRecord, None, None]:
    """Sample as `spec` says; yields N + 1 records, the last one the clean end.

    condition (B, ...) is spec.condition as the denoiser takes it; init_noise (B, *D) replaces the
    seeded x_T. guide is what spec.guidance names: a classifier (x_t, t) -> logits, or the weaker
    denoiser, whose evaluations count too. negative (B, ...) is spec.negative as the denoiser takes
    it. Raises InputError before the first step for what cannot
    be run, DiffviewError naming the step when the network raises, NonFiniteError when it yields
    NaN or infinity.

    A model that predicts the next token is given in the denoiser's stead and writes, see
    `engine.writing`.

    With `start` it goes on from there and yields the records from that step on; a run that
    branched off another needs one, at its first own step or later.
    """
    spec = checked(spec)
    _check_kind(denoiser, spec, init_noise)
    if spec.origin is not None and (start is None or start.i < spec.origin.step):
        raise InputError(
            f"this run branched off another at step {spec.origin.step}: it can only go on from a "
            "recorded step, or be replayed with its parent"
        )
    if spec.by_token:
        yield from written(cast(PredictsNext, denoiser), spec, condition, negative, start)
        return
    levels = spec.levels(denoiser.schedule)
    counted = _Counted(denoiser, spec.batch)
    denoise = _bind(counted, spec, condition, guide, negative)
    path = str(spec.option("noise_path"))
    draw = noise.source(path, spec.seeds, denoiser.data_shape, levels)

    def fresh_noise(i: int) -> Tensor:
        return to_device(draw(i), x.device, x.dtype)

    info, options = samplers.find(spec.sampler), spec.sampler_options()
    options |= info.lent(spec.schedule(denoiser.schedule))
    if start is None:
        x = _initial(denoiser, spec, levels[0], init_noise)
        steps = info.generate(denoise, x, levels, fresh_noise, **options)
    else:
        x, counted.nfe = _placed(torch.tensor(start.x_t), denoiser, spec), start.nfe
        began = origin.began(spec)
        steps = resumed(info, denoise, start, began, levels, fresh_noise, x, **options)
    try:
        first = 0 if start is None else start.i
        yield from records(steps, levels, spec, lambda: counted.nfe, x.device, first)
    finally:
        steps.close()


def _check_kind(model: object, spec: RunSpec, init_noise: Tensor | None) -> None:
    """Raises InputError for a sampler of the other kind of model, and for noise nothing needs."""
    reason = kind_conflict(spec, by_token=predicts_next(model))
    if reason:
        raise InputError(reason)
    if spec.by_token and init_noise is not None:
        raise InputError(NO_START)


def bound(
    denoiser: Denoiser,
    spec: RunSpec,
    condition: Tensor | None = None,
    guide: Guide | None = None,
    negative: Tensor | None = None,
) -> Denoise:
    """The estimate that a run of `spec` makes at any x_t and level; arguments as of `run`."""
    return _bind(_Counted(denoiser, spec.batch), spec, condition, guide, negative)


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
    return guidance.finish(denoise, how, rederive_eps=not keeps_raw(spec))


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
        return z * compat.initial_std(spec, spec.schedule(denoiser.schedule), start)
    return _placed(init_noise, denoiser, spec)


def _placed(given: Tensor, denoiser: Denoiser, spec: RunSpec) -> Tensor:
    """A copy of the given state where the network is: the first record will share its memory."""
    expected = (spec.batch, *denoiser.data_shape)
    if tuple(given.shape) != expected:
        raise InputError(
            f"the given noise has shape {tuple(given.shape)}, this run needs {expected} "
            "(samples, then the model's own shape)"
        )
    if not bool(given.isfinite().all()):
        raise InputError("the given noise has values that are NaN or infinite")
    return given.to(denoiser.device, copy=True)


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
