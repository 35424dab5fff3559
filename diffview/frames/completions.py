"""What one state could become: the mean and spread of its completions beside its estimate.

Completions drawn from p(x_0 | x_t) have the mean E[x_0 | x_t], and that is what x0_hat estimates
(Tweedie's formula: Efron 2011, "Tweedie's formula and selection bias", eq. 1.4). The mean of K of
them is off by std / sqrt(K) on average, by chance alone; what is beyond that is the network's, the
sampler's, or guidance's, which samples no posterior.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffview.engine.trajectory import Float32
from diffview.errors import InputError


@dataclass(frozen=True, slots=True)
class Summary:
    """mean and std (*D) of K completions, std with K - 1.

    gap: root mean square of mean - x0_hat over all values. chance: what that would be, in the root
    mean square, if x0_hat were their true mean: rms(std) / sqrt(K). spread: rms(std).
    """

    mean: Float32
    std: Float32
    gap: float
    chance: float
    spread: float


def summary(ends: Float32, x0_hat: Float32) -> Summary:
    """Of completions (K, *D) of the state whose estimate is x0_hat (*D). Raises for K < 2."""
    if len(ends) < 2:
        raise InputError("one completion has no spread: complete the state twice or more")
    wide = ends.astype(np.float64)
    mean, std = wide.mean(axis=0), wide.std(axis=0, ddof=1)
    spread = float(np.sqrt(np.mean(std**2)))
    return Summary(
        mean=mean.astype(np.float32),
        std=std.astype(np.float32),
        gap=float(np.sqrt(np.mean((mean - x0_hat) ** 2))),
        chance=spread / math.sqrt(len(ends)),
        spread=spread,
    )
