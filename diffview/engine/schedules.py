"""Noise schedules: alphas_cumprod on t = 0 .. T-1, in float64.

linear   betas evenly spaced from 1e-4 to 0.02 (Ho et al. 2020, arXiv 2006.11239, section 4)
cosine   alphas_cumprod(u) = cos^2((u + 0.008) / 1.008 * pi / 2), betas capped at 0.999
         (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 17)

t = 0 is one step of noise, not the picture: the picture is `levels.CLEAN`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError

Float64 = NDArray[np.float64]

MAX_TIMES = 1_000_000
"""More times than any schedule in use; a damaged file must not make us allocate more."""


@dataclass(frozen=True)
class Schedule:
    """A discrete schedule: `alphas_cumprod[t]` for t = 0 .. T-1, falling."""

    name: str
    alphas_cumprod: tuple[float, ...]

    @property
    def T(self) -> int:
        """How many times the schedule has."""
        return len(self.alphas_cumprod)

    def level(self, t: float) -> NoiseLevel:
        """The level at time `t`; between two integers log(sigma / alpha) is interpolated.

        Raises InputError when t lies outside 0 .. T-1.
        """
        if not 0 <= t <= self.T - 1:
            raise InputError(f"time t = {t:g} is outside the schedule's 0 to {self.T - 1}")
        if float(t).is_integer():
            acp = self.alphas_cumprod[int(t)]
            return NoiseLevel(float(t), float(np.sqrt(acp)), float(np.sqrt(1 - acp)))
        ratio = float(np.exp(-np.interp(t, np.arange(self.T), self._log_ratios)))
        sigma = 1 / float(np.hypot(1, ratio))
        return NoiseLevel(float(t), ratio * sigma, sigma)

    @cached_property
    def _log_ratios(self) -> Float64:
        acp = np.asarray(self.alphas_cumprod)
        with np.errstate(divide="ignore"):  # infinite where no signal is left
            return np.asarray(0.5 * (np.log(1 - acp) - np.log(acp)))

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back."""
        if self.name in SCHEDULES and self == named(self.name, self.T):
            return {"name": self.name, "T": self.T}
        return {"name": self.name, "alphas_cumprod": list(self.alphas_cumprod)}


def from_json(value: dict[str, Any]) -> Schedule:
    """The schedule that `Schedule.to_json` wrote. Raises InputError for anything else."""
    if not isinstance(value, dict):
        raise InputError("the schedule is not a JSON object")
    if "alphas_cumprod" in value:
        return given(alphas_cumprod=value["alphas_cumprod"], name=str(value.get("name", "given")))
    if type(value.get("T")) is not int:
        raise InputError("the schedule has neither alphas_cumprod nor a whole number of times T")
    return named(str(value.get("name")), value["T"])


def named(name: str, T: int = 1000) -> Schedule:
    """The schedule called `name` with `T` times. Raises InputError for an unknown name."""
    if name not in SCHEDULES:
        raise InputError(f"unknown schedule '{name}'; known are {', '.join(sorted(SCHEDULES))}")
    if not 1 <= T <= MAX_TIMES:
        raise InputError(f"a schedule has 1 to {MAX_TIMES} times, not T = {T}")
    return Schedule(name, _as_floats(np.cumprod(1 - SCHEDULES[name](T))))


def given(
    *,
    betas: ArrayLike | None = None,
    alphas_cumprod: ArrayLike | None = None,
    name: str = "given",
) -> Schedule:
    """A schedule from a model's own `betas` or `alphas_cumprod`, each (T,).

    Both lie strictly between 0 and 1; only the last may leave no signal, with a beta of 1 or
    alphas_cumprod of 0 (Lin et al. 2023, arXiv 2305.08891). Raises InputError for other numbers,
    and when alphas_cumprod do not fall.
    """
    if (betas is None) == (alphas_cumprod is None):
        raise InputError("give either betas or alphas_cumprod, not both")
    if betas is not None:
        acp = np.cumprod(1 - _checked(betas, "betas", last=1.0))
    else:
        acp = _checked(alphas_cumprod, "alphas_cumprod", last=0.0)
    if np.any(np.diff(acp) >= 0):
        raise InputError("alphas_cumprod must fall from one time to the next")
    return Schedule(name, _as_floats(acp))


def _checked(values: ArrayLike | None, what: str, *, last: float) -> Float64:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be one row of numbers: {error}") from None
    if array.ndim != 1 or not 1 <= array.size <= MAX_TIMES:
        raise InputError(f"{what} must be one row of numbers, not of shape {array.shape}")
    between = (array > 0) & (array < 1)
    if not np.all(between[:-1]) or not (between[-1] or array[-1] == last):
        raise InputError(
            f"{what} must lie between 0 and 1 (both excluded; the last may be {last:g})"
        )
    return array


def _as_floats(values: NDArray[np.floating[Any]]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _linear_betas(T: int) -> Float64:
    return np.linspace(1e-4, 0.02, T, dtype=np.float64)


def _cosine_betas(T: int) -> Float64:
    u = np.arange(T + 1, dtype=np.float64) / T
    acp = np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2
    return np.asarray(np.minimum(1 - acp[1:] / acp[:-1], 0.999))


SCHEDULES: dict[str, Callable[[int], Float64]] = {
    "linear": _linear_betas,
    "cosine": _cosine_betas,
}
