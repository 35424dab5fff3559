"""From what a network predicts to x0_hat, and from x0_hat to eps and score: one function each.

With x_t = alpha x_0 + sigma eps (variance preserving, alpha^2 + sigma^2 = 1):
    x_0 = (x_t - sigma eps) / alpha            eps = (x_t - alpha x_0) / sigma
    v := alpha eps - sigma x_0                 x_0 = alpha x_t - sigma v
    score = grad log p(x_t) = -eps / sigma     (Tweedie; Salimans & Ho 2022, arXiv 2202.00512)
All take and return tensors or arrays of one shape, (B, *D).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError

# A tensor or an array: what it takes it returns, and naming both types would need torch here.
Array = Any


def x0_from_eps(x_t: Array, eps: Array, level: NoiseLevel) -> Array:
    """x0_hat of an eps-predicting network. Raises InputError at alpha = 0, where it is 0 / 0."""
    if level.alpha == 0:
        raise InputError(
            "an eps-predicting network says nothing about x0 at alpha = 0 (pure noise); "
            "use a v- or x0-predicting model, or a schedule that keeps some signal at its end"
        )
    return (x_t - level.sigma * eps) / level.alpha


def x0_from_v(x_t: Array, v: Array, level: NoiseLevel) -> Array:
    """x0_hat of a v-predicting network."""
    return level.alpha * x_t - level.sigma * v


def x0_from_x0(x_t: Array, x0: Array, level: NoiseLevel) -> Array:
    """x0_hat of a network that predicts the picture itself."""
    return x0


def eps_from_x0(x_t: Array, x0_hat: Array, level: NoiseLevel) -> Array:
    """eps_hat that goes with x0_hat at a noisy level (sigma > 0)."""
    return (x_t - level.alpha * x0_hat) / level.sigma


def v_from_x0(x_t: Array, x0_hat: Array, level: NoiseLevel) -> Array:
    """v that goes with x0_hat at a noisy level (sigma > 0)."""
    return (level.alpha * x_t - x0_hat) / level.sigma


def score_from_x0(x_t: Array, x0_hat: Array, level: NoiseLevel) -> Array:
    """The score grad log p(x_t) that goes with x0_hat, per unit of x_t."""
    return (level.alpha * x0_hat - x_t) / level.sigma**2


TO_X0: dict[str, Callable[[Any, Any, NoiseLevel], Any]] = {
    "eps": x0_from_eps,
    "x0": x0_from_x0,
    "v": x0_from_v,
}
"""Prediction type -> the function that turns the network's output into x0_hat."""
