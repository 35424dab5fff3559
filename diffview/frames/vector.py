"""One point of the plane as an arrow from the origin: a term of a sum that can be seen to add up.

y points up; thin lines are the axes, and the frame is the data's range -1 .. 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffview.engine.trajectory import Float32
from diffview.frames.pixels import Uint8
from diffview.frames.scatter import Colour, blank, scatter

SIDE = 120
EXTENT = 3.0
"""How far the picture reaches from the middle, in data units: three deviations of noise."""
HEAD = 0.16
"""Radius of the disc at the arrow's end, in data units."""
GROUND: Colour = (18, 18, 18)
LINES: Colour = (58, 58, 62)
COLOURS: dict[str, Colour] = {
    "xt": (92, 162, 255), "x0hat": (255, 176, 72), "z": (79, 209, 193),
}  # fmt: skip


def arrow(point: Float32, kind: str) -> Uint8:
    """(S, S, 4) uint8 RGBX of one point (2,); kind is "xt", "x0hat" or "z", and colours it.

    A point outside of the picture is drawn at its edge.
    """
    colour = COLOURS.get(kind, COLOURS["x0hat"])
    place = np.clip(np.asarray(point, np.float64), -EXTENT + HEAD, EXTENT - HEAD)
    picture = scatter(_axes(), LINES, blank(GROUND, SIDE), extent=EXTENT)
    shaft = np.linspace(0, 1, 2 * SIDE)[:, None] * place
    return scatter(np.concatenate([shaft, *_disc(place)]), colour, picture, extent=EXTENT)


def _axes() -> NDArray[np.float64]:
    along = np.linspace(-EXTENT, EXTENT, 2 * SIDE)
    none, one = np.zeros_like(along), np.linspace(-1, 1, SIDE)
    edge = np.ones_like(one)
    pairs = ((along, none), (none, along), (one, edge), (one, -edge), (edge, one), (-edge, one))
    return np.concatenate([np.stack(pair, axis=1) for pair in pairs])


def _disc(place: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Twice, so that it is drawn at full strength."""
    steps = np.arange(-HEAD, HEAD, EXTENT / SIDE)
    x, y = np.meshgrid(steps, steps)
    inside = x**2 + y**2 <= HEAD**2
    disc = place + np.stack([x[inside], y[inside]], axis=1)
    return [disc, disc]
