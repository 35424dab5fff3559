"""Noise schedules in float64: from a network's own time t to alpha and sigma.

Discrete, t = 0 .. T-1, t = 0 being one step of noise and not the picture (`levels.CLEAN`):
linear            betas evenly from 1e-4 to 0.02 (Ho et al. 2020, arXiv 2006.11239, section 4)
scaled_linear     sqrt(betas) evenly from sqrt(8.5e-4) to sqrt(0.012) (Rombach et al. 2022, code)
cosine            alphas_cumprod(u) = cos^2((u + 0.008) / 1.008 * pi / 2), betas capped at 0.999
                  (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 17; "squaredcos_cap_v2")
sigmoid_beta      betas = 1e-4 + (0.02 - 1e-4) sigmoid(-6 .. 6) (Xu et al. 2022, GeoDiff, code)
sigmoid_alphabar  alphas_cumprod(u) a sigmoid from u = 0 to 1, start -3, end 3, temperature 1
                  (Jabri, Fleet, Chen 2022, arXiv 2212.11972, algorithm 3; betas capped at 0.999)
Continuous:
flow              x_t = (1 - s) x_0 + s eps, t = s in 0 .. 1 (Liu et al. 2022, arXiv 2209.03003)
edm               x_t = x_0 + sigma eps, t = sigma (Karras et al. 2022, arXiv 2206.00364)

A model's own betas, alphas_cumprod or (variance exploding) sigmas make a schedule too: `given`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffview.engine.betas import BETAS
from diffview.engine.continuous import CONTINUOUS_STEPS as CONTINUOUS_STEPS
from diffview.engine.continuous import Edm as Edm
from diffview.engine.continuous import Flow as Flow
from diffview.engine.continuous import edm as edm
from diffview.engine.continuous import flow as flow
from diffview.engine.continuous import shifted as shifted
from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError

Float64 = NDArray[np.float64]

MAX_TIMES = 1_000_000
"""More times than any schedule in use; a damaged file must not make us allocate more."""


@runtime_checkable
class Schedule(Protocol):
    """What the engine asks of a schedule."""

    @property
    def name(self) -> str:
        """Its name; "given" for a model's own numbers."""

    @property
    def T(self) -> int:
        """The most steps a run can take: the whole times, or CONTINUOUS_STEPS."""

    @property
    def discrete(self) -> bool:
        """Whether the network was trained at whole times 0 .. T-1 only."""

    @property
    def span(self) -> tuple[float, float]:
        """The least and the most noisy time that a spacing reaches."""

    def level(self, t: float) -> NoiseLevel:
        """The level at time t. Raises InputError when t lies outside the schedule."""

    def __hash__(self) -> int:
        """Of what it is made of: levels that were chosen before are found again by it."""

    def at_ratio(self, ratio: float) -> NoiseLevel:
        """The level whose sigma / alpha is `ratio`, with the time (nearest, at the ends)."""

    def initial_std(self, level: NoiseLevel) -> float:
        """The standard deviation of the noise a run starts from at `level`."""

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back."""


@dataclass(frozen=True)
class Discrete:
    """A variance preserving table: `alphas_cumprod[t]` for t = 0 .. T-1, falling."""

    name: str
    alphas_cumprod: tuple[float, ...]

    @property
    def T(self) -> int:
        """How many times the schedule has."""
        return len(self.alphas_cumprod)

    @property
    def discrete(self) -> bool:
        """Yes: the times are whole."""
        return True

    @property
    def span(self) -> tuple[float, float]:
        """0 and T-1."""
        return 0.0, self.T - 1.0

    def level(self, t: float) -> NoiseLevel:
        """The level at time `t`; between two integers log(sigma / alpha) is interpolated.

        Where the last time is pure noise its logarithm is infinite, and alpha falls evenly to 0
        from the time before. Raises InputError when t lies outside 0 .. T-1.
        """
        _check_within(t, self.T)
        if float(t).is_integer():
            acp = self.alphas_cumprod[int(t)]
            return NoiseLevel(float(t), float(np.sqrt(acp)), float(np.sqrt(1 - acp)))
        if t > self.T - 2 and self.alphas_cumprod[-1] == 0:
            alpha = (self.T - 1 - t) * math.sqrt(self.alphas_cumprod[-2])
            return NoiseLevel(float(t), alpha, math.sqrt(1 - alpha**2))
        ratio = math.exp(np.interp(t, np.arange(self.T), self._log_ratios))
        return _unit_variance(float(t), ratio)

    def at_ratio(self, ratio: float) -> NoiseLevel:
        """The level at sigma / alpha = `ratio`; beyond the ends, the end's own time goes along."""
        unit = _unit_variance(0.0, ratio)
        if self.T > 1 and self.alphas_cumprod[-1] == 0 and ratio > math.exp(self._log_ratios[-2]):
            t = self.T - 1 - unit.alpha / math.sqrt(self.alphas_cumprod[-2])
        else:
            t = _time_in(self._log_ratios, ratio)
        return NoiseLevel(t, unit.alpha, unit.sigma)

    def initial_std(self, level: NoiseLevel) -> float:
        """1: noise and data of unit variance keep it."""
        return 1.0

    @cached_property
    def _log_ratios(self) -> Float64:
        acp = np.asarray(self.alphas_cumprod)
        with np.errstate(divide="ignore"):  # infinite where no signal is left
            return np.asarray(0.5 * (np.log(1 - acp) - np.log(acp)))

    def to_json(self) -> dict[str, Any]:
        """By name where that gives the same numbers, else the numbers."""
        if self.name in BETAS and self == discrete(self.name, self.T):
            return {"name": self.name, "T": self.T}
        if (
            self.name in BETAS
            and self.T > 1
            and self == discrete(self.name, self.T, zero_snr=True)
        ):
            return {"name": self.name, "T": self.T, "zero_snr": True}
        return {"name": self.name, "alphas_cumprod": list(self.alphas_cumprod)}


@dataclass(frozen=True)
class DiscreteExploding:
    """A variance exploding table, alpha = 1: `sigmas[t]` for t = 0 .. T-1, rising.

    Song & Ermon 2019, arXiv 1907.05600.
    """

    name: str
    sigmas: tuple[float, ...]

    @property
    def T(self) -> int:
        """How many times the schedule has."""
        return len(self.sigmas)

    @property
    def discrete(self) -> bool:
        """Yes: the times are whole."""
        return True

    @property
    def span(self) -> tuple[float, float]:
        """0 and T-1."""
        return 0.0, self.T - 1.0

    def level(self, t: float) -> NoiseLevel:
        """The level at time `t`; between two integers log(sigma) is interpolated."""
        _check_within(t, self.T)
        if float(t).is_integer():
            return NoiseLevel(float(t), 1.0, self.sigmas[int(t)])
        sigma = math.exp(np.interp(t, np.arange(self.T), self._log_ratios))
        return NoiseLevel(float(t), 1.0, sigma)

    def at_ratio(self, ratio: float) -> NoiseLevel:
        """The level at sigma = `ratio`; beyond the ends, the end's own time goes along."""
        return NoiseLevel(_time_in(self._log_ratios, ratio), 1.0, ratio)

    def initial_std(self, level: NoiseLevel) -> float:
        """sigma: the data are small beside the noise."""
        return level.sigma

    @cached_property
    def _log_ratios(self) -> Float64:
        return np.asarray(np.log(self.sigmas))

    def to_json(self) -> dict[str, Any]:
        """The numbers."""
        return {"name": self.name, "sigmas": list(self.sigmas)}


def from_json(value: dict[str, Any]) -> Schedule:
    """The schedule that `to_json` wrote. Raises InputError for anything else."""
    if not isinstance(value, dict):
        raise InputError("the schedule is not a JSON object")
    name = str(value.get("name", "given"))
    for key in ("alphas_cumprod", "sigmas"):
        if key in value:
            return given(**{key: value[key]}, name=name)
    if name == "flow":
        return flow(value.get("shift", 1.0))
    if name == "edm":
        keys = ("sigma_min", "sigma_max", "sigma_data")
        return edm(**{key: value[key] for key in keys if key in value})
    if type(value.get("T")) is not int:
        raise InputError(
            "the schedule has neither alphas_cumprod or sigmas nor a whole number of times T"
        )
    zero_snr = value.get("zero_snr", False)
    if not isinstance(zero_snr, bool):
        raise InputError("the schedule's zero_snr is neither true nor false")
    return named(str(value.get("name")), value["T"], zero_snr=zero_snr)


def named(name: str, T: int = 1000, *, zero_snr: bool = False) -> Schedule:
    """The schedule called `name`; T and zero_snr are for discrete ones.

    zero_snr moves sqrt(alphas_cumprod) so that the last is 0 and the first stays (Lin et al. 2023,
    arXiv 2305.08891, algorithm 1). Raises InputError for an unknown name or impossible numbers.
    """
    if name not in SCHEDULES:
        raise InputError(f"unknown schedule '{name}'; known are {', '.join(sorted(SCHEDULES))}")
    if name in BETAS:
        return discrete(name, T, zero_snr=zero_snr)
    if zero_snr:
        raise InputError(f"schedule '{name}' has no zero_snr; it is for those with betas")
    return Flow() if name == "flow" else Edm()


def chosen(name: str, own: Schedule) -> Schedule:
    """The schedule that a run asks for by `name`: OWN is the model's own."""
    return own if name == OWN else _standard(name)


@lru_cache
def _standard(name: str) -> Schedule:
    return named(name)


def discrete(name: str, T: int = 1000, *, zero_snr: bool = False) -> Discrete:
    """The discrete schedule called `name`, a key of BETAS."""
    if not 1 <= T <= MAX_TIMES:
        raise InputError(f"a schedule has 1 to {MAX_TIMES} times, not T = {T}")
    acp: Float64 = np.cumprod(1 - BETAS[name](T), dtype=np.float64)
    if acp[-1] < np.finfo(np.float64).tiny:
        raise InputError(f"'{name}' keeps no signal that a number can hold with T = {T} times")
    return Discrete(name, _as_floats(_zero_snr(acp) if zero_snr else acp))


def given(
    *,
    betas: ArrayLike | None = None,
    alphas_cumprod: ArrayLike | None = None,
    sigmas: ArrayLike | None = None,
    name: str = "given",
) -> Schedule:
    """A schedule from a model's own `betas`, `alphas_cumprod` or `sigmas`, each (T,).

    Betas and alphas_cumprod lie strictly between 0 and 1; only the last may leave no signal, with
    a beta of 1 or alphas_cumprod of 0 (Lin et al. 2023, arXiv 2305.08891). sigmas are those of a
    variance exploding model, alpha = 1, and rise (turn the sigmas of a variance preserving one
    into alphas_cumprod = 1 / (1 + sigma^2)). Raises InputError for other numbers.
    """
    if sum(values is not None for values in (betas, alphas_cumprod, sigmas)) != 1:
        raise InputError("give either betas or alphas_cumprod, or sigmas, and only one of them")
    if sigmas is not None:
        return DiscreteExploding(name, _as_floats(_checked_sigmas(sigmas)))
    if betas is not None:
        acp = np.cumprod(1 - _checked(betas, "betas", last=1.0))
    else:
        acp = _checked(alphas_cumprod, "alphas_cumprod", last=0.0)
    if np.any(np.diff(acp) >= 0):
        raise InputError("alphas_cumprod must fall from one time to the next")
    return Discrete(name, _as_floats(acp))


def _checked(values: ArrayLike | None, what: str, *, last: float) -> Float64:
    array = _one_row(values, what)
    between = (array > 0) & (array < 1)
    if not np.all(between[:-1]) or not (between[-1] or array[-1] == last):
        raise InputError(
            f"{what} must lie between 0 and 1 (both excluded; the last may be {last:g})"
        )
    return array


def _checked_sigmas(values: ArrayLike) -> Float64:
    array = _one_row(values, "sigmas")
    if not np.all((array > 0) & np.isfinite(array)):
        raise InputError("sigmas must be finite numbers above 0")
    if np.any(np.diff(array) <= 0):
        raise InputError("sigmas must rise from one time to the next")
    return array


def _one_row(values: ArrayLike | None, what: str) -> Float64:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be one row of numbers: {error}") from None
    if array.ndim != 1 or not 1 <= array.size <= MAX_TIMES:
        raise InputError(f"{what} must be one row of numbers, not of shape {array.shape}")
    return array


def _check_within(t: float, T: int) -> None:
    if not 0 <= t <= T - 1:
        raise InputError(f"time t = {t:g} is outside the schedule's 0 to {T - 1}")


def _unit_variance(t: float, ratio: float) -> NoiseLevel:
    alpha = 1 / math.hypot(1, ratio)
    return NoiseLevel(t, alpha, ratio * alpha if ratio < math.inf else 1.0)


def _time_in(log_ratios: Float64, ratio: float) -> float:
    """The time of a noise ratio in a table of logarithms; the nearest end beyond it."""
    log_ratio = math.log(ratio) if ratio > 0 else -math.inf
    t = float(np.interp(log_ratio, log_ratios, np.arange(len(log_ratios))))
    # Rounding must not turn a whole time into one a little beside it.
    return float(round(t)) if abs(t - round(t)) < 1e-9 else t


def _as_floats(values: NDArray[np.floating[Any]]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _zero_snr(acp: Float64) -> Float64:
    if len(acp) < 2:
        raise InputError("zero_snr needs two times or more: with one there is only pure noise")
    s = np.sqrt(acp)
    return np.asarray(((s - s[-1]) * s[0] / (s[0] - s[-1])) ** 2)


SCHEDULES = (*BETAS, "flow", "edm")

OWN = "own"
"""In a schedule's stead: that of the model."""
