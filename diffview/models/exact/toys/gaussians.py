"""`mixture`: four Gaussians of unlike shape and weight that overlap, a class each."""

from __future__ import annotations

import numpy as np

from diffview.models.exact.mixture import Mixture, mixture
from diffview.models.exact.toys import toy

MEANS = ((-0.45, 0.4), (0.45, 0.45), (0.0, -0.1), (0.15, -0.6))
STDS = ((0.16, 0.16), (0.28, 0.08), (0.1, 0.24), (0.3, 0.1))
TURNED = (0.0, -0.6, 0.35, 0.2)
WEIGHTS = (0.3, 0.3, 0.2, 0.2)


@toy("mixture", "Gaussian mixture", "Four overlapping Gaussians, one class each.")
def gaussians() -> Mixture:
    """STDS along axes TURNED by so many radians."""
    covariances = []
    for (a, b), angle in zip(STDS, TURNED, strict=True):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        covariances.append(turn @ np.diag([a**2, b**2]) @ turn.T)
    return mixture(
        MEANS,
        np.array(covariances),
        weights=WEIGHTS,
        labels=range(4),
        classes=("Round", "Flat", "Tall", "Low"),
    )
