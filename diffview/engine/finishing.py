"""What happens to a guided estimate before a sampler uses it: rescale, then clip.

rescale    the prediction p(gamma) is brought towards the standard deviation of p(1) over each
           sample, p <- (phi std(p(1)) / std(p(gamma)) + 1 - phi) p, in the space of v, eps or x_0
           (Lin et al. 2023, arXiv 2305.08891, eq. 15 and 16)
clamp      x_0 cut to the data's range
threshold  x_0 cut at s = max(1, quantile of |x_0| over each sample) and divided by s, where the
           data's range is -1 to 1; of another, x_0 is measured from its middle in halves of it
           (dynamic thresholding: Saharia et al. 2022, arXiv 2205.11487, section 2.3)

One set of functions on tensors and on arrays alike: a run uses them, and so does a slider that
recombines a recorded step. On the CPU both give the same float32 numbers; elsewhere they differ by
the last bit of a division.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffview.engine.conversions import FROM_X0, TO_X0, Array
from diffview.engine.levels import NoiseLevel


@dataclass(frozen=True, slots=True)
class Finish:
    """Which of it happens; the default is nothing."""

    rescale: float = 0.0
    rescale_space: str = "v"
    clip: str = "none"
    threshold: float = 0.995
    low: float = -1.0
    high: float = 1.0


def rescaled(
    x_t: Array, x0: Array, conditional: Array, level: NoiseLevel, phi: float, space: str
) -> Array:
    """x0 (B, *D), guided, brought back to the spread of `conditional`, the x0 of gamma = 1.

    Raises InputError where eps is rescaled at alpha = 0.
    """
    prediction = FROM_X0[space](x_t, x0, level)
    target = FROM_X0[space](x_t, conditional, level)
    factor = phi * _ratio(_std(target), _std(prediction)) + (1 - phi)
    return TO_X0[space](x_t, prediction * _like(factor, x0), level)


def clipped(x0: Array, how: Finish) -> Array:
    """x0 (B, *D) within the data's range, as `how` says."""
    if how.clip == "clamp":
        return x0.clip(how.low, how.high)
    if how.clip == "threshold":
        middle, half = (how.high + how.low) / 2, (how.high - how.low) / 2
        u = (x0 - middle) / half
        s = _like(_quantile(abs(u), how.threshold).clip(1.0), x0)
        return middle + half * (u.clip(-s, s) / s)
    return x0


def guided(
    x_t: Array, base: Array, direction: Array, scale: float, level: NoiseLevel, how: Finish
) -> Array:
    """base + scale * direction, rescaled: x0_hat before clipping."""
    x0 = base + scale * direction
    if how.rescale == 0 or level.sigma == 0:
        return x0
    return rescaled(x_t, x0, base + direction, level, how.rescale, how.rescale_space)


def _ratio(a: Array, b: Array) -> Array:
    """a / b, and 1 where b is 0: what does not vary cannot be rescaled."""
    varies = (b > 0) * 1.0
    return (a * varies + (1 - varies)) / (b + (1 - varies))


def _std(x: Array) -> Array:
    """(B,) standard deviations over all but the batch, in float64 where the device has it.

    So that a tensor's and an array's, summed in another order, round to the same float32.
    """
    flat = _double(x.reshape(len(x), -1))
    centred = flat - flat.mean(1)[:, None]
    return (centred * centred).mean(1) ** 0.5


def _quantile(x: Array, q: float) -> Array:
    """(B,) quantiles over all but the batch, linear between order statistics."""
    flat = _sorted(x.reshape(len(x), -1))
    place = q * (flat.shape[1] - 1)
    k = math.floor(place)
    low, high = _double(flat[:, k]), _double(flat[:, min(k + 1, flat.shape[1] - 1)])
    return low + (place - k) * (high - low)


def _sorted(flat: Array) -> Array:
    return np.sort(flat, axis=1) if isinstance(flat, np.ndarray) else flat.sort(dim=1).values


def _double(x: Array) -> Array:
    if isinstance(x, np.ndarray):
        return x.astype(np.float64)
    return x if x.device.type == "mps" else x.double()


def _like(values: Array, x: Any) -> Array:
    """values (B,) as x's type, shaped to multiply x (B, *D)."""
    shaped = values.reshape(-1, *[1] * (x.ndim - 1))
    if isinstance(x, np.ndarray):
        return shaped.astype(x.dtype)
    return shaped.to(x.dtype)
