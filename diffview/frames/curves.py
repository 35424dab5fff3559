"""Curves over a run: one number for each sample at each step, pure functions of its records.

Norms are Euclidean, over all numbers of one sample, in the data's own units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffview.engine.conversions import eps_from_x0
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.errors import InputError

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Curve:
    """What can be drawn over the steps; `label` has mathematics in it, `word` none.

    values: a record and the one before it (None at the first) -> (B,), NaN where there is none.
    """

    name: str
    label: str
    word: str
    unit: str
    help: str
    values: Callable[[StepRecord, StepRecord | None], Float64]
    needs_guidance: bool = False


def curve(trajectory: Trajectory, name: str) -> Float64:
    """The curve called `name` over the records so far, (K, B).

    Raises InputError for an unknown name, or guidance's strength in a run without.
    """
    chosen = find(name)
    if chosen.needs_guidance and not trajectory.guided:
        raise InputError(f"'{name}' needs a run with guidance, and this one has none")
    return rows(trajectory, name)


def rows(trajectory: Trajectory, name: str, first: int = 0) -> Float64:
    """The same of the records from `first` on, so that a growing run is gone through once."""
    chosen, records = find(name), list(trajectory)
    before: list[StepRecord | None] = [None, *records[:-1]]
    pairs = list(zip(records, before, strict=True))[first:]
    made = [chosen.values(record, last) for record, last in pairs]
    return np.array(made).reshape(len(pairs), trajectory.spec.batch)


def expected_norm(trajectory: Trajectory) -> Float64:
    """What noising each sample's own end to every level would give: (K, B).

    sqrt(alpha^2 ||x_0||^2 + sigma^2 d), the root of E||alpha x_0 + sigma eps||^2.
    """
    end = norm(trajectory[-1].x0_hat)
    size = trajectory[-1].x0_hat[0].size
    levels = [record.level for record in trajectory]
    return np.array([np.sqrt((a.alpha * end) ** 2 + a.sigma**2 * size) for a in levels])


def find(name: str) -> Curve:
    """The curve called `name`. Raises InputError naming the known ones."""
    if name not in CURVES:
        raise InputError(f"there is no curve '{name}'; known are {', '.join(CURVES)}")
    return CURVES[name]


def in_region(
    trajectory: Trajectory, name: str, sample: int, rows: slice, columns: slice
) -> Float64:
    """The mean of "x_t" or "x0_hat" over a region of one sample's picture: (K, C).

    rows and columns are slices of pixels; one pixel is a slice of length 1. Raises InputError for
    an empty region, an unknown sample, or samples that are no pictures.
    """
    if len(trajectory.data_shape) != 3:
        raise InputError(f"samples of shape {trajectory.data_shape} have no pixels to choose")
    if not 0 <= sample < trajectory.spec.batch:
        raise InputError(f"there is no sample {sample}; the run has {trajectory.spec.batch}")
    if name not in ("x_t", "x0_hat"):
        raise InputError(f"a region shows x_t or x0_hat over the steps, not '{name}'")
    channels, height, width = trajectory.data_shape
    if not (range(height)[rows] and range(width)[columns]):
        raise InputError(f"rows {rows} and columns {columns} are outside of {height} x {width}")
    means = [
        getattr(record, name)[sample, :, rows, columns].mean(axis=(1, 2), dtype=np.float64)
        for record in trajectory
    ]
    return np.array(means).reshape(len(trajectory), channels)


def norm(values: Float32) -> Float64:
    """The Euclidean norm of each row, (B, *D) -> (B,)."""
    flat = values.reshape(len(values), -1)
    return np.asarray(np.sqrt(np.einsum("bi,bi->b", flat, flat, dtype=np.float64)))


def _constant(record: StepRecord, value: float) -> Float64:
    return np.full(len(record.x_t), value)


def _eps(record: StepRecord, before: StepRecord | None) -> Float64:
    if record.level.sigma == 0:
        return _constant(record, np.nan)
    behind = record.x0_hat if record.x0_raw is None else record.x0_raw
    return norm(np.asarray(eps_from_x0(record.x_t, behind, record.level), np.float32))


def _change(record: StepRecord, before: StepRecord | None) -> Float64:
    if before is None:
        return _constant(record, np.nan)
    return norm(record.x0_hat - before.x0_hat)


def _strength(record: StepRecord, before: StepRecord | None) -> Float64:
    return _constant(record, np.nan) if record.direction is None else norm(record.direction)


_ALL = (
    Curve(
        "alphas_cumprod", "ᾱ", "Signal", "",
        "ᾱ = α², the share of the data's variance in x_t.",
        lambda record, before: _constant(record, record.level.alphas_cumprod),
    ),
    Curve(
        "snr", "SNR", "Signal to noise", "dB",
        "(α / σ)² in decibels; above 0 there is more signal than noise.",
        lambda record, before: _constant(record, record.level.snr_db),
    ),
    Curve(
        "xt", "‖x_t‖", "Norm of the state", "",
        "The norm of x_t; of pure noise in d numbers it is about √d.",
        lambda record, before: norm(record.x_t),
    ),
    Curve(
        "eps", "‖ε̂‖", "Norm of the noise", "",
        "The norm of ε̂ = (x_t − α x̂₀) / σ; about √d where the estimate is right.",
        _eps,
    ),
    Curve(
        "x0hat", "‖x̂₀‖", "Norm of the estimate", "",
        "The norm of x̂₀; it starts near that of the data's mean and grows as detail comes in.",
        lambda record, before: norm(record.x0_hat),
    ),
    Curve(
        "change", "‖Δx̂₀‖", "Change of the estimate", "",
        "‖x̂₀(t) − x̂₀(t + 1)‖: how much this step changed the model's mind.",
        _change,
    ),
    Curve(
        "direction", "‖x̂₀ c − u‖", "Strength of guidance", "",
        "The norm of what γ multiplies: how far the condition moves the estimate.",
        _strength, True,
    ),
)  # fmt: skip

CURVES: dict[str, Curve] = {one.name: one for one in _ALL}
