"""The betas of the discrete schedules, the variances of single steps; `schedules` cites them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


def _linear_betas(T: int) -> Float64:
    return np.linspace(1e-4, 0.02, T, dtype=np.float64)


def _scaled_linear_betas(T: int) -> Float64:
    return np.linspace(np.sqrt(0.00085), np.sqrt(0.012), T, dtype=np.float64) ** 2


def _cosine_betas(T: int) -> Float64:
    u = np.arange(T + 1, dtype=np.float64) / T
    return _capped_betas(np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2)


def _sigmoid_betas(T: int) -> Float64:
    return np.asarray(_sigmoid(np.linspace(-6, 6, T)) * (0.02 - 1e-4) + 1e-4)


def _sigmoid_alphabar_betas(T: int) -> Float64:
    start, end = -3.0, 3.0
    u = np.arange(T + 1, dtype=np.float64) / T
    ends = _sigmoid(np.array([start, end]))
    acp = (ends[1] - _sigmoid(start + u * (end - start))) / (ends[1] - ends[0])
    return _capped_betas(acp / acp[0])


def _capped_betas(acp: Float64) -> Float64:
    return np.asarray(np.minimum(1 - acp[1:] / acp[:-1], 0.999))


def _sigmoid(x: Float64) -> Float64:
    return np.asarray(1 / (1 + np.exp(-x)))


BETAS: dict[str, Callable[[int], Float64]] = {
    "linear": _linear_betas,
    "scaled_linear": _scaled_linear_betas,
    "cosine": _cosine_betas,
    "sigmoid_beta": _sigmoid_betas,
    "sigmoid_alphabar": _sigmoid_alphabar_betas,
}
"""Discrete schedule -> its betas (T,)."""
