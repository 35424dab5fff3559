"""`moons`: two half circles that reach into each other, with a width."""

from __future__ import annotations

import numpy as np

from diffview.models.exact.mixture import Mixture, mixture
from diffview.models.exact.toys import toy

PER_MOON = 48
WIDTH = 0.05


@toy("moons", "Two moons", "Two half circles of points, one class each: data on two curves.")
def moons() -> Mixture:
    """Neighbours lie two thirds of a width apart, so no gap shows."""
    angle = np.linspace(0, np.pi, PER_MOON)
    upper = np.stack([np.cos(angle) - 0.5, np.sin(angle) - 0.25], axis=1)
    both = np.concatenate([upper, -upper]) * 0.5
    return mixture(
        both, WIDTH**2, labels=np.repeat([0, 1], PER_MOON), classes=("Upper moon", "Lower moon")
    )
