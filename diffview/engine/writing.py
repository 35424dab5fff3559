"""A run that writes token by token: what `run()` does with a model that predicts the next token.

Record i is the state before token i is written, and what was drawn for it: x_t holds the tokens so
far. With guidance both branches go through the network as one batch of 2B. The numbers that draw
are keyed by (seed, i), so a sample does not depend on its batch, but for the last bit of a network
whose matrix products differ with the batch's size.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from diffview.engine import noise, samplers
from diffview.engine.conflicts import ONLY_CFG
from diffview.engine.levels import NoiseLevel
from diffview.engine.next_token import (
    NOT_YET,
    PARTS,
    Float32,
    Int64,
    PredictsNext,
    Written,
    guided,
)
from diffview.engine.next_token import levels as token_levels
from diffview.engine.recording import check_finite, named
from diffview.engine.resuming import Start
from diffview.engine.samplers.autoregressive import Logits, Token
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import StepRecord
from diffview.errors import DiffviewError, InputError


def written(
    model: PredictsNext,
    spec: RunSpec,
    condition: Tensor | None = None,
    negative: Tensor | None = None,
    start: Start | None = None,
) -> Generator[StepRecord, None, None]:
    """The records of `spec` from its first token, or from `start`, on; arguments as of `run`.

    What lies before a start is read again and not counted. Raises InputError before the first
    step, DiffviewError and NonFiniteError naming the step, as `run` does.
    """
    count = math.prod(model.data_shape)
    if spec.n_steps != count:
        raise InputError(f"this model writes {count} tokens, one a step: choose {count} steps")
    levels = token_levels(count)
    gamma = None if spec.guidance.kind == "none" else lambda i: spec.gamma(levels[i])
    read = _Reader(model, spec.batch, _branches(model, spec, condition, negative), gamma)
    first, tokens, before, nfe = _beginning(model, spec, start)
    generate = cast(Callable[..., Generator[Token]], samplers.find(spec.sampler).generate)
    steps = generate(
        read, tokens, first, lambda i: noise.uniform(spec.seeds, i), **spec.sampler_options()
    )
    book = _Book(spec.batch, model.data_shape, model.codes, before, guided=gamma is not None)
    with closing(steps):
        for i in range(first, count + 1):
            began = time.perf_counter()
            with named(i, levels[i]):
                token = next(steps)
            nfe += read.branches * (i < count)
            record = book.record(token, levels[i], nfe, time.perf_counter() - began)
            check_finite(record)
            yield record


def _branches(
    model: PredictsNext, spec: RunSpec, condition: Tensor | None, negative: Tensor | None
) -> tuple[Tensor, ...]:
    """The conditions (B, ...) that are read side by side: its own and, guided, the base's."""
    kind = spec.guidance.kind
    if kind not in ("none", "cfg"):
        raise InputError(ONLY_CFG.format(kind))
    null = model.null_condition(spec.batch) if negative is None else negative
    given = condition if condition is not None else null
    if given is None:
        raise InputError("this model needs a condition: choose a class, or give a prompt")
    if len(given) != spec.batch:
        raise InputError(
            f"{len(given)} conditions were given for {spec.batch} samples; give one for each"
        )
    if kind == "none":
        return (given,)
    if condition is None or null is None:
        raise InputError(
            "guidance needs a condition, and a model that can do without: choose a class (or a "
            "prompt), or turn guidance off"
        )
    return given, null


class _Reader:
    """Logits of token i after the tokens before it; what was read already is not read again."""

    def __init__(
        self,
        model: PredictsNext,
        batch: int,
        conditions: tuple[Tensor, ...],
        gamma: Callable[[int], float] | None,
    ) -> None:
        self._model, self._batch, self._conditions = model, batch, conditions
        self._gamma, self._count = gamma, -1
        self._reading: Any = None
        self._last: Tensor

    @property
    def branches(self) -> int:
        """Evaluations of one sample for one token."""
        return len(self._conditions)

    def __call__(self, tokens: Int64, i: int) -> Logits:
        if self._count < 0:
            self._reading, self._last = self._model.begin(torch.cat(self._conditions))
            self._count = 0
        while self._count < i:
            token = torch.from_numpy(tokens[:, self._count].copy()).to(self._model.device)
            self._last = self._model.follow(self._reading, token.repeat(self.branches))
            self._count += 1
        return self._split(_host(self._last), i)

    def _split(self, logits: Float32, i: int) -> Logits:
        expected = (self.branches * self._batch, self._model.codes)
        if logits.shape != expected:
            raise DiffviewError(
                f"the network returned logits of shape {logits.shape}, expected {expected}"
            )
        if self._gamma is None:
            return Logits(logits)
        conditional, base = logits[: self._batch], logits[self._batch :]
        direction = conditional - base
        return Logits(guided(base, direction, self._gamma(i)), base, direction)


def _host(logits: Tensor) -> Float32:
    array: Float32 = logits.detach().to("cpu", torch.float32).numpy()
    return array


def _beginning(
    model: PredictsNext, spec: RunSpec, start: Start | None
) -> tuple[int, Int64, Written | None, int]:
    """The first place to write, the tokens (B, N) there, what is known of them, their NFE."""
    shape = (spec.batch, math.prod(model.data_shape))
    if start is None:
        return 0, np.full(shape, NOT_YET, np.int64), None, 0
    tokens = np.asarray(start.x_t).reshape(len(start.x_t), -1).astype(np.int64)
    there = tokens[:, : start.i]
    whole = np.array_equal(tokens.reshape(start.x_t.shape), start.x_t)
    fits = tokens.shape == shape and bool(((there >= 0) & (there < model.codes)).all())
    if not (whole and fits and bool((tokens[:, start.i :] == NOT_YET).all())):
        raise InputError(
            f"the given x_t is no state of this model at step {start.i}: of {shape[1]} places "
            f"the first {start.i} have tokens 0 to {model.codes - 1}, the others {NOT_YET}"
        )
    return start.i, tokens, start.written, start.nfe


class _Book:
    """Makes the records; all of them look into one book of what was written, as far as it was."""

    def __init__(
        self,
        batch: int,
        data_shape: tuple[int, ...],
        codes: int,
        before: Written | None,
        *,
        guided: bool,
    ) -> None:
        self._shape, self._codes, self._guided = (batch, *data_shape), codes, guided
        shape = (batch, math.prod(data_shape))
        self._pages = Written(
            chosen=np.full(shape, NOT_YET, np.int64),
            probability=np.full(shape, np.nan, np.float32),
            entropy=np.full(shape, np.nan, np.float32),
            uniform=np.full(shape, np.nan, np.float64),
        )
        if before is not None:
            for name in PARTS:
                known = getattr(before, name)
                getattr(self._pages, name)[:, : known.shape[1]] = known

    def record(self, token: Token, level: NoiseLevel, nfe: int, seconds: float) -> StepRecord:
        """The record of one step; nfe counts until and with it."""
        i, choice = token.i, token.choice
        x_t = self._state(token.tokens)
        x0_hat, count = x_t, i
        self._pages.chosen[:, :i] = token.tokens[:, :i]
        if choice is not None:
            x0_hat, count = x_t.copy(), i + 1
            x0_hat.reshape(len(x_t), -1)[:, i] = choice.likeliest
            for name, value in choice.numbers().items():
                getattr(self._pages, name)[:, i] = value
            self._pages.uniform[:, i] = token.uniform
        return StepRecord(
            i=i,
            level=level,
            x_t=x_t,
            x0_hat=x0_hat,
            move=None,
            nfe=nfe,
            seconds=seconds,
            written=self._pages.first(count),
            **self._logits(token.logits),
        )

    def _state(self, tokens: Int64) -> Float32:
        return tokens.reshape(self._shape).astype(np.float32)

    def _logits(self, logits: Logits | None) -> dict[str, Any]:
        """0 at the end, where no token comes next."""
        none = np.zeros((self._shape[0], self._codes), np.float32)
        if self._guided:
            base, direction = (none, none) if logits is None else (logits.base, logits.direction)
            return {"base": base, "direction": direction}
        return {
            "base": None,
            "direction": None,
            "logits": none if logits is None else logits.value,
        }
