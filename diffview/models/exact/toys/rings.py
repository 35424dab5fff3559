"""`rings`: three circles around one centre, as heavy as they are long."""

from __future__ import annotations

import numpy as np

from diffview.models.exact.mixture import Mixture, mixture
from diffview.models.exact.toys import toy

RADII = (0.25, 0.55, 0.85)
WIDTH = 0.04
GAP = 0.05


@toy("rings", "Rings", "Three circles around one centre, one class each: all have one mean.")
def rings() -> Mixture:
    """Neighbours lie GAP apart on every circle."""
    circles = [_circle(radius) for radius in RADII]
    return mixture(
        np.concatenate(circles),
        WIDTH**2,
        labels=np.repeat(range(len(RADII)), [len(circle) for circle in circles]),
        classes=("Inner ring", "Middle ring", "Outer ring"),
    )


def _circle(radius: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    count = round(2 * np.pi * radius / GAP)
    angle = 2 * np.pi * np.arange(count) / count
    return radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
