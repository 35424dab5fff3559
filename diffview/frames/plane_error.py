"""Where a trained network is wrong about x_0: beside the exact field, under the same guidance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffview.frames.plane import Float64, Window
from diffview.models.exact.plane import GuidedField


@dataclass(frozen=True, slots=True)
class PlaneError:
    """|x0_hat - exact x0_hat| over the plane (nx, ny), in data units.

    mean: the root mean square under the exact density of x_t, so that places which no sample
    visits do not count; most: the largest where that density is at least a thousandth of its peak.
    """

    window: Window
    error: Float64
    mean: float
    most: float


def plane_error(learned: GuidedField, exact: GuidedField, gamma: float) -> PlaneError:
    """The error of a learned field; both are over one grid at one level."""
    off = learned.x0_hat(gamma) - exact.x0_hat(gamma)
    error = np.linalg.norm(off, axis=-1)
    log_p = exact.at(gamma).log_p
    assert log_p is not None
    shares = np.exp(log_p - log_p.max())
    mean = float(np.sqrt((shares * error**2).sum() / shares.sum()))
    grid = exact.grid
    window = Window((grid.low[0], grid.low[1]), (grid.high[0], grid.high[1]))
    return PlaneError(window, error, mean, float(error[shares > 1e-3].max()))
