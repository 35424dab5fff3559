"""The trajectory: what happened at every step, kept in host memory, append-only.

One thread writes, any number read: `append` is the only mutation and records never change. Nothing
here needs torch, so a window can look at a saved run before torch is imported.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffview.engine import samplers
from diffview.engine.estimate import Move
from diffview.engine.levels import NoiseLevel
from diffview.engine.next_token import Written
from diffview.engine.spec import RunSpec
from diffview.errors import InputError

Float32 = NDArray[np.float32]

DEFAULT_BUDGET = 2 * 1024**3
"""Bytes a trajectory may take before it keeps fewer steps."""

TENSORS = ("x_t", "x0_hat", "base", "direction", "x0_raw", "logits")


@dataclass(frozen=True, slots=True)
class StageRecord:
    """A further point of a step (Heun's second stage, UniPC's corrector); arrays as in its step.

    x0_hat is None where the network was not asked again.
    """

    name: str
    level: NoiseLevel
    x_t: Float32
    x0_hat: Float32 | None = None
    base: Float32 | None = None
    direction: Float32 | None = None

    def arrays(self) -> dict[str, Float32]:
        """The arrays that are there, by name."""
        return _present(self)


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One kept step; arrays (B, *D) float32 in host memory, never written again.

    x0_raw is the estimate before clipping, there where eps was derived from it. nfe counts network
    evaluations of one sample so far; seconds is this step's own time. stages are for looking at:
    no view needs them, a saved run does not keep them.

    Of a run that writes token by token x_t holds token numbers, NOT_YET where none is written;
    x0_hat is x_t with the likeliest next token in its place. `written` is there, and the next
    token's logits (B, K): base and direction where guidance ran, else `logits`; 0 at the end.
    """

    i: int
    level: NoiseLevel
    x_t: Float32
    x0_hat: Float32
    base: Float32 | None
    direction: Float32 | None
    move: Move | None
    nfe: int
    seconds: float
    x0_raw: Float32 | None = None
    stages: tuple[StageRecord, ...] = ()
    logits: Float32 | None = None
    written: Written | None = None

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays, those of the stages included."""
        points: tuple[StepRecord | StageRecord, ...] = (self, *self.stages)
        return sum(array.nbytes for point in points for array in point.arrays().values())

    def arrays(self) -> dict[str, Float32]:
        """The arrays that are there, by name."""
        return _present(self)

    def of_rows(self, rows: Sequence[int]) -> StepRecord:
        """The record of these samples in their stead; one sample many times takes no memory."""
        if not rows:
            return self
        stages = tuple(replace(stage, **_picked(stage, rows)) for stage in self.stages)
        written = None if self.written is None else self.written.of_rows(rows)
        return replace(self, **_picked(self, rows), stages=stages, written=written)


def _picked(point: StepRecord | StageRecord, rows: Sequence[int]) -> dict[str, Any]:
    return {name: picked(array, rows) for name, array in point.arrays().items()}


def picked(array: Float32, rows: Sequence[int]) -> Float32:
    """(B, *D) -> (len(rows), *D); a view where all rows are one."""
    if len(set(rows)) == 1:
        return np.broadcast_to(array[rows[0]], (len(rows), *array.shape[1:]))
    return array[list(rows)]


def _present(point: StepRecord | StageRecord) -> dict[str, Float32]:
    named = {name: getattr(point, name, None) for name in TENSORS}
    return {name: array for name, array in named.items() if array is not None}


class Trajectory:
    """The records of one run, in order; `stride` > 1 means only every stride-th was kept."""

    def __init__(
        self,
        spec: RunSpec,
        data_shape: Sequence[int],
        stride: int = 1,
        planned: Sequence[NoiseLevel] = (),
    ) -> None:
        self.spec = spec
        self._planned = tuple(planned)
        self.data_shape = tuple(data_shape)
        self.stride = stride
        self._records: list[StepRecord] = []

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> StepRecord:
        return self._records[index]

    def __iter__(self) -> Iterator[StepRecord]:
        return iter(self._records)

    def append(self, record: StepRecord) -> bool:
        """Keep a record if its turn has come (the end is always kept); says whether it did.

        A step that is there already stays as it is.
        """
        last = record.i == self.spec.n_steps
        if record.i % self.stride and not last:
            return False
        if self._records and record.i <= self._records[-1].i:
            return False
        self._records.append(record)
        return True

    @property
    def complete(self) -> bool:
        """Whether the clean end is there."""
        return bool(self._records) and self._records[-1].i == self.spec.n_steps

    @property
    def expected(self) -> int:
        """How many records a complete run has."""
        return -(-self.spec.n_steps // self.stride) + 1

    @property
    def levels(self) -> tuple[NoiseLevel, ...]:
        """The levels of all records: as planned before the run, else of those there are."""
        if self._planned:
            return self._planned
        return tuple(record.level for record in self._records)

    @property
    def guided(self) -> bool:
        """Whether base and direction were recorded, at one step of a branched run at least."""
        return any(record.base is not None for record in self._records)

    @property
    def nbytes(self) -> int:
        """Bytes kept so far."""
        return sum(record.nbytes for record in self._records)

    @property
    def nfe(self) -> int:
        """Network evaluations of one sample so far."""
        return self._records[-1].nfe if self._records else 0

    def index_at(self, t: float) -> int:
        """The index of the record whose time is nearest to `t`; of equals, the first."""
        if not self._records:
            raise InputError("this run has no steps yet")
        return min(range(len(self)), key=lambda k: abs(self._records[k].level.t - t))

    def at(self, i: int) -> StepRecord:
        """The record of step `i`. Raises InputError saying which steps were kept."""
        for record in self._records:
            if record.i == i:
                return record
        raise InputError(f"step {i} was not recorded; {self._kept()}")

    def _kept(self) -> str:
        if not self._records:
            return "this run has no steps yet"
        last = self._records[-1].i
        if self.stride == 1 or last == 0:
            return f"this run has steps 0 to {last}"
        return f"this run has every {self.stride}-th step to {last}"

    def before(
        self,
        i: int,
        spec: RunSpec,
        rows: Sequence[int] = (),
        planned: Sequence[NoiseLevel] = (),
    ) -> Trajectory:
        """The records before step `i` as the beginning of a run of `spec`: the same objects.

        With `rows` they are views, or copies, of those samples. planned: see the constructor.
        """
        beginning = Trajectory(spec, self.data_shape, self.stride, planned or self._planned)
        kept = [record for record in list(self._records) if record.i < i]
        beginning._records = [record.of_rows(rows) for record in kept]
        return beginning

    def snapshot(self) -> Trajectory:
        """The records so far as a run of its own, which a sampler at work does not lengthen."""
        copy = Trajectory(self.spec, self.data_shape, self.stride, self._planned)
        copy._records = list(self._records)
        return copy

    def stack(self, name: str) -> Float32:
        """All records' arrays `name` as one (K, B, *D). Raises InputError if not recorded.

        NaN at the steps of a branched run that have none, such as `base` before guidance began.
        """
        arrays = [record.arrays().get(name) for record in self._records]
        some = next((array for array in arrays if array is not None), None)
        if some is None:
            raise InputError(f"this run recorded no '{name}'")
        none = np.broadcast_to(np.float32(np.nan), some.shape)
        return np.stack([none if array is None else array for array in arrays])


def estimated_nbytes(
    spec: RunSpec, data_shape: Sequence[int], stride: int = 1, codes: int = 0
) -> int:
    """Bytes a complete run of `spec` will keep: exactly, or one step's stages too many.

    codes is K of a model that predicts the next of K tokens.
    """
    plain, stages = _record_nbytes(spec, data_shape, codes)
    return (plain + stages) * -(-spec.n_steps // stride) + plain


def _record_nbytes(spec: RunSpec, data_shape: Sequence[int], codes: int) -> tuple[int, int]:
    """Bytes of a record, and of the stages that most records have beside it."""
    one = spec.batch * math.prod(data_shape) * 4
    guided = spec.guidance.kind != "none"
    if spec.by_token:
        return 2 * one + (1 + guided) * spec.batch * codes * 4, 0
    tensors = 2 + 2 * guided
    info = samplers.find(spec.sampler)
    staged = info.stages * (tensors if info.stage_estimates else 1)
    return (tensors + keeps_raw(spec)) * one, staged * one


def keeps_raw(spec: RunSpec) -> bool:
    """Whether eps follows the estimate before clipping, so that both must be kept.

    A recipe made before this was refused may say so of a sampler that takes no eps of its own.
    """
    clipped = spec.option("clip") != "none" and samplers.find(spec.sampler).uses_eps
    return clipped and not spec.option("rederive_eps")


def stride_within(spec: RunSpec, data_shape: Sequence[int], budget: int, codes: int = 0) -> int:
    """The smallest stride that keeps a run of `spec` within `budget` bytes; codes as above.

    Raises InputError, with the numbers, when even its first and last step do not fit.
    """
    plain, stages = _record_nbytes(spec, data_shape, codes)
    fitting = (budget - plain) // (plain + stages)  # beside the clean end
    if fitting >= 1:
        return -(-spec.n_steps // fitting)
    need = estimated_nbytes(spec, data_shape, spec.n_steps, codes)
    samples = "1 sample" if spec.batch == 1 else f"{spec.batch} samples"
    raise InputError(
        f"{samples} of shape {'x'.join(map(str, data_shape))} need {_megabytes(need)} "
        f"for two steps alone, the limit is {_megabytes(budget)}: draw fewer samples"
    )


def _megabytes(count: float) -> str:
    return f"{count / 1e6:.0f} MB" if count >= 1e7 else f"{count / 1e6:.2g} MB"
