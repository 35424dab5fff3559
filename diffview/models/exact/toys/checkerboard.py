"""`checkerboard`: the eight dark fields of a board of four by four, evenly filled."""

from __future__ import annotations

import numpy as np

from diffview.models.exact.mixture import Mixture, mixture
from diffview.models.exact.toys import toy

FIELD = 0.45
PER_SIDE = 6


@toy("checkerboard", "Checkerboard", "Eight squares, four to a class: density with corners.")
def checkerboard() -> Mixture:
    """Each field is a raster of narrow Gaussians; its edges are as soft as those are wide."""
    gap = FIELD / PER_SIDE
    inside = (np.arange(PER_SIDE) + 0.5) * gap
    raster = np.stack(np.meshgrid(inside, inside), axis=-1).reshape(-1, 2)
    corners = [(i, j) for i in range(4) for j in range(4) if (i + j) % 2 == 0]
    fields = np.concatenate([raster + (np.array(corner) - 2) * FIELD for corner in corners])
    right = np.repeat([int(i >= 2) for i, _ in corners], len(raster))
    return mixture(fields, (gap / 2) ** 2, labels=right, classes=("Left half", "Right half"))
