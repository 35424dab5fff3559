"""From what a network predicts to x0_hat, and from x0_hat to eps and score: one function each.

With x_t = alpha x_0 + sigma eps and r = sqrt(alpha^2 + sigma^2) (1 if variance preserving):
    x_0 = (x_t - sigma eps) / alpha            eps = (x_t - alpha x_0) / sigma
    v := (alpha eps - sigma x_0) / r           x_0 = (alpha x_t / r - sigma v) / r
    velocity := eps - x_0                      x_0 = (x_t - sigma velocity) / (alpha + sigma)
    score = grad log p(x_t) = -eps / sigma     (Tweedie; Salimans & Ho 2022, arXiv 2202.00512)
    EDM: with y = x_t / alpha and s = sigma / alpha, x_0 = c_skip(s) y + c_out(s) F
         (Karras et al. 2022, arXiv 2206.00364, table 1)
Off the variance preserving line v is that of x_t / r, which lies on it: so v does not depend on
how a state is scaled, and k-diffusion's v denoiser is the case alpha = 1. `flow` is the velocity
of a rectified flow, where alpha + sigma = 1 (SD3's sign and time; torchcfm's velocity is minus
this one). All take and return tensors or arrays of one shape, (B, *D).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError

# A tensor or an array: what it takes it returns, and naming both types would need torch here.
Array = Any

SIGMA_DATA = 0.5
"""The standard deviation of the data that EDM's networks were preconditioned for."""


def x0_from_eps(x_t: Array, eps: Array, level: NoiseLevel) -> Array:
    """x0_hat of an eps-predicting network. Raises InputError at alpha = 0, where it is 0 / 0."""
    _check_signal(level, "an eps-predicting network says nothing about x0")
    return (x_t - level.sigma * eps) / level.alpha


def x0_from_v(x_t: Array, v: Array, level: NoiseLevel) -> Array:
    """x0_hat of a v-predicting network."""
    r = _norm(level)
    return level.alpha / r**2 * x_t - level.sigma / r * v


def x0_from_x0(x_t: Array, x0: Array, level: NoiseLevel) -> Array:
    """x0_hat of a network that predicts the picture itself."""
    return x0


def x0_from_flow(x_t: Array, velocity: Array, level: NoiseLevel) -> Array:
    """x0_hat of a network that predicts the velocity eps - x_0 of a rectified flow."""
    return (x_t - level.sigma * velocity) / (level.alpha + level.sigma)


def x0_from_edm(x_t: Array, F: Array, level: NoiseLevel, sigma_data: float = SIGMA_DATA) -> Array:
    """x0_hat of an EDM-preconditioned network F(c_in y, c_noise). InputError at alpha = 0."""
    c = preconditioning(level, sigma_data)
    return c.skip / level.alpha * x_t + c.out * F


def eps_from_x0(x_t: Array, x0_hat: Array, level: NoiseLevel) -> Array:
    """eps_hat that goes with x0_hat at a noisy level (sigma > 0)."""
    return (x_t - level.alpha * x0_hat) / level.sigma


def v_from_x0(x_t: Array, x0_hat: Array, level: NoiseLevel) -> Array:
    """v that goes with x0_hat at a noisy level (sigma > 0)."""
    r = _norm(level)
    return (level.alpha / r * x_t - r * x0_hat) / level.sigma


def flow_from_x0(x_t: Array, x0_hat: Array, level: NoiseLevel) -> Array:
    """The velocity eps - x_0 that goes with x0_hat at a noisy level (sigma > 0)."""
    return (x_t - (level.alpha + level.sigma) * x0_hat) / level.sigma


def edm_from_x0(
    x_t: Array, x0_hat: Array, level: NoiseLevel, sigma_data: float = SIGMA_DATA
) -> Array:
    """The output F of an EDM-preconditioned network that goes with x0_hat."""
    c = preconditioning(level, sigma_data)
    return (x0_hat - c.skip / level.alpha * x_t) / c.out


def score_from_x0(x_t: Array, x0_hat: Array, level: NoiseLevel) -> Array:
    """The score grad log p(x_t) that goes with x0_hat, per unit of x_t."""
    return (level.alpha * x0_hat - x_t) / level.sigma**2


@dataclass(frozen=True, slots=True)
class Preconditioning:
    """EDM's four numbers at one level (table 1)."""

    skip: float
    out: float
    into: float
    noise: float


def preconditioning(level: NoiseLevel, sigma_data: float = SIGMA_DATA) -> Preconditioning:
    """c_skip, c_out, c_in and c_noise at s = sigma / alpha, for y = x_t / alpha.

    Raises InputError at alpha = 0, where s is infinite.
    """
    _check_signal(level, "EDM's preconditioning has no sigma")
    s = level.ratio
    total = math.hypot(s, sigma_data)
    return Preconditioning(
        skip=(sigma_data / total) ** 2,
        out=s * sigma_data / total,
        into=1 / total,
        noise=math.log(s) / 4,
    )


def _norm(level: NoiseLevel) -> float:
    return math.hypot(level.alpha, level.sigma)


def _check_signal(level: NoiseLevel, what: str) -> None:
    if level.alpha == 0:
        raise InputError(
            f"{what} at alpha = 0 (pure noise); "
            "use a v- or x0-predicting model, or a schedule that keeps some signal at its end"
        )


TO_X0: dict[str, Callable[[Any, Any, NoiseLevel], Any]] = {
    "eps": x0_from_eps,
    "x0": x0_from_x0,
    "v": x0_from_v,
    "flow": x0_from_flow,
    "edm": x0_from_edm,
}
"""Prediction type -> the function that turns the network's output into x0_hat."""

FROM_X0: dict[str, Callable[[Any, Any, NoiseLevel], Any]] = {
    "eps": eps_from_x0,
    "x0": lambda x_t, x0_hat, level: x0_hat,
    "v": v_from_x0,
    "flow": flow_from_x0,
    "edm": edm_from_x0,
}
"""Prediction type -> the function that turns x0_hat into what the network would have said."""
