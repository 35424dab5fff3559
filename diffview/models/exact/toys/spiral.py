"""`spiral`: two arms of an Archimedean spiral, r = a angle, with a width."""

from __future__ import annotations

import numpy as np

from diffview.models.exact.mixture import Mixture, mixture
from diffview.models.exact.toys import toy

PER_ARM = 120
WIDTH = 0.03
INNER, OUTER = 0.12, 0.9
TURNS = 1.5


@toy("spiral", "Spiral", "Two arms wound into each other, one class each: a curve that is long.")
def spiral() -> Mixture:
    """Equal steps of r^2, which on an arm are nearly equal steps along it."""
    radius = np.sqrt(np.linspace(INNER**2, OUTER**2, PER_ARM))
    angle = 2 * np.pi * TURNS * (radius - INNER) / (OUTER - INNER)
    arm = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return mixture(
        np.concatenate([arm, -arm]),
        WIDTH**2,
        labels=np.repeat([0, 1], PER_ARM),
        classes=("First arm", "Second arm"),
    )
