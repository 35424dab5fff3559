"""A step of points in the plane as one picture: all samples together, vectors as arrows.

States and estimates are dots, brighter where several lie together; what is signed (noise, score,
differences) is drawn as arrows from where the samples are, the quantity's full strength being
ARROW long. y points up, a thin frame marks the data's range -1 .. 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffview.engine.trajectory import Float32, StepRecord
from diffview.errors import InputError
from diffview.frames.pixels import Uint8
from diffview.frames.quantities import Quantity
from diffview.frames.scatter import Colour, blank, scatter

SIDE = 256
EXTENTS = {"clamp": 2.0, "wide": 6.0}
"""How far the picture reaches from the middle, in data units, by the brightness asked for."""
ARROW = 0.6
MAX_ARROWS = 400
SHRUNK = 4
GROUND: Colour = (18, 18, 18)
FRAME: Colour = (58, 58, 62)
COLOURS: dict[str, Colour] = {
    "xt": (92, 162, 255),
    "x0hat": (255, 176, 72),
    "x0cond": (255, 176, 72),
    "x0uncond": (190, 190, 200),
    "diff": (186, 140, 255),
    "eps": (92, 162, 255),
    "score": (120, 210, 150),
}
PLAIN: Colour = (220, 220, 226)


def are_points(shape: tuple[int, ...]) -> bool:
    """Whether samples of `shape` are points in the plane."""
    return tuple(shape) == (2,)


def drawn(record: StepRecord, quantity: Quantity, policy: str) -> tuple[Uint8, Float32]:
    """Pixels (1, S, S, 4) RGBX and what lies behind them: samples per pixel (1, S, S, 1).

    policy: "clamp" reaches from -2 to 2, "wide" three times as far, "stretch" to the farthest
    sample.
    """
    values = np.asarray(quantity.values(record), np.float64)
    places = np.asarray(record.x_t if quantity.signed else values, np.float64)
    extent = _extent(places, policy)
    picture = scatter(_square(extent), FRAME, blank(GROUND, SIDE), extent=extent)
    colour = COLOURS.get(quantity.name, PLAIN)
    if quantity.signed:
        known = np.isfinite(values).all(axis=1)
        ends = places[known] + values[known] * (ARROW / quantity.extent(record))
        picture = scatter(_lines(places[known], ends), colour, picture, extent=extent)
        colour = PLAIN
    picture = scatter(places, colour, picture, extent=extent)
    return picture[None], _counts(places, extent)[None, :, :, None]


def small(pictures: Uint8) -> Uint8:
    """One picture (1, S, S, 4) as a thumbnail, a SHRUNK-th as wide, whose dots stay as bright.

    The mean would leave a dot of 2 x 2 pixels next to nothing; the brightest of each block stays.
    """
    side = pictures.shape[1] // SHRUNK
    blocks: Uint8 = pictures.reshape(side, SHRUNK, side, SHRUNK, 4).max(axis=(1, 3))
    return blocks


def _extent(places: NDArray[np.float64], policy: str) -> float:
    if policy in EXTENTS:
        return EXTENTS[policy]
    if policy != "stretch":
        known = ", ".join((*EXTENTS, "stretch"))
        raise InputError(f"unknown brightness '{policy}'; known are {known}")
    finite = np.abs(places[np.isfinite(places)])
    return 1.05 * max(float(finite.max(initial=0.0)), 0.1)


def _square(extent: float) -> NDArray[np.float64]:
    """Points close to each other along the edges of -1 .. 1."""
    along = np.linspace(-1, 1, max(2, round(2 * SIDE / extent)))
    one = np.ones_like(along)
    sides = ((along, one), (along, -one), (one, along), (-one, along))
    return np.concatenate([np.stack(side, axis=1) for side in sides])


def _lines(starts: NDArray[np.float64], ends: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points along the arrows, with a head at each end."""
    starts, ends = starts[:MAX_ARROWS], ends[:MAX_ARROWS]
    part = np.linspace(0, 1, 48)[None, :, None]
    shafts = starts[:, None] + part * (ends - starts)[:, None]
    back = (starts - ends) * 0.25
    turned = np.stack([-back[:, 1], back[:, 0]], axis=1) * 0.6
    short = part[:, :12] * 4
    heads = [ends[:, None] + short * (back + side)[:, None] for side in (turned, -turned)]
    return np.concatenate([shafts, *heads], axis=1).reshape(-1, 2)


def _counts(places: NDArray[np.float64], extent: float) -> Float32:
    """How many samples lie in each pixel, (S, S), y upwards as in the picture."""
    edges = np.linspace(-extent, extent, SIDE + 1)
    finite = places[np.isfinite(places).all(axis=1)]
    counts, _, _ = np.histogram2d(-finite[:, 1], finite[:, 0], bins=[edges, edges])
    return counts.astype(np.float32)
