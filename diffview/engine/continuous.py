"""Schedules whose time is continuous: rectified flow, and variance exploding by sigma.

flow              x_t = (1 - s) x_0 + s eps, t = s in 0 .. 1 (Liu et al. 2022, arXiv 2209.03003)
edm               x_t = x_0 + sigma eps, t = sigma (Karras et al. 2022, arXiv 2206.00364)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError

CONTINUOUS_STEPS = 10_000
"""The most steps of a run where time is continuous."""


@dataclass(frozen=True)
class Flow:
    """Rectified flow: alpha = 1 - s, sigma = s, the network's time being s itself.

    s = 0 is the picture (the opposite of torchcfm's time). `shift` is what the model wants its
    times moved by when they are chosen, s -> shift s / (1 + (shift - 1) s); it is no part of the
    level (Esser et al. 2024, arXiv 2403.03206, eq. 23).
    """

    shift: float = 1.0

    @property
    def name(self) -> str:
        """flow."""
        return "flow"

    @property
    def T(self) -> int:
        """The most steps of a run."""
        return CONTINUOUS_STEPS

    @property
    def discrete(self) -> bool:
        """No: any time between will do."""
        return False

    @property
    def span(self) -> tuple[float, float]:
        """A thousandth, as where a thousand times were trained, and 1."""
        return 1e-3, 1.0

    def level(self, t: float) -> NoiseLevel:
        """The level at s = `t`, 0 < t <= 1."""
        if not 0 < t <= 1:
            raise InputError(f"time t = {t:g} is outside the schedule's 0 to 1 (0 excluded)")
        return NoiseLevel(float(t), 1.0 - t, float(t))

    def at_ratio(self, ratio: float) -> NoiseLevel:
        """The level at s / (1 - s) = `ratio`."""
        if ratio == math.inf:
            return self.level(1.0)
        return NoiseLevel(ratio / (1 + ratio), 1 / (1 + ratio), ratio / (1 + ratio))

    def initial_std(self, level: NoiseLevel) -> float:
        """The spread of x_s where the data have that of a unit; 1 at s = 1, where all is noise."""
        return math.hypot(level.alpha, level.sigma)

    def to_json(self) -> dict[str, Any]:
        """Name and shift."""
        return {"name": self.name, "shift": self.shift}


def shifted(s: float, shift: float) -> float:
    """The time of a flow moved towards noise by `shift`: shift s / (1 + (shift - 1) s).

    Written as s / (s + (1 - s) / shift), which keeps s = 1 where it is, also in rounding.
    """
    return s if shift == 1 else s / (s + (1 - s) / shift)


@dataclass(frozen=True)
class Edm:
    """Variance exploding by sigma: alpha = 1, t = sigma; Karras et al. 2022, table 1.

    `sigma_data`, the data's standard deviation, is for an EDM-preconditioned network.
    """

    sigma_min: float = 0.002
    sigma_max: float = 80.0
    sigma_data: float = 0.5

    @property
    def name(self) -> str:
        """edm."""
        return "edm"

    @property
    def T(self) -> int:
        """The most steps of a run."""
        return CONTINUOUS_STEPS

    @property
    def discrete(self) -> bool:
        """No: any sigma between will do."""
        return False

    @property
    def span(self) -> tuple[float, float]:
        """sigma_min and sigma_max."""
        return self.sigma_min, self.sigma_max

    def level(self, t: float) -> NoiseLevel:
        """The level at sigma = `t` > 0."""
        if not 0 < t < math.inf:
            raise InputError(f"sigma = {t:g} cannot be used as a time: give a number above 0")
        return NoiseLevel(float(t), 1.0, float(t))

    def at_ratio(self, ratio: float) -> NoiseLevel:
        """The level at sigma = `ratio`."""
        return self.level(ratio)

    def initial_std(self, level: NoiseLevel) -> float:
        """sigma: the data are small beside the noise."""
        return level.sigma

    def to_json(self) -> dict[str, Any]:
        """Name and the three sigmas."""
        sigmas = {key: getattr(self, key) for key in ("sigma_min", "sigma_max", "sigma_data")}
        return {"name": self.name, **sigmas}


def flow(shift: float = 1.0) -> Flow:
    """Rectified flow. Raises InputError for a shift that is not above 0."""
    return Flow(_positive(shift, "shift"))


def edm(sigma_min: float = 0.002, sigma_max: float = 80.0, sigma_data: float = 0.5) -> Edm:
    """Variance exploding by sigma. Raises InputError unless 0 < sigma_min < sigma_max."""
    low, high = _positive(sigma_min, "sigma_min"), _positive(sigma_max, "sigma_max")
    if low >= high:
        raise InputError(f"sigma_min = {low:g} must be below sigma_max = {high:g}")
    return Edm(low, high, _positive(sigma_data, "sigma_data"))


def _positive(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise InputError(f"{what} = {value} must be a number above 0")
    return float(value)
