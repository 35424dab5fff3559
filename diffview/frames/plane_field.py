"""A field over the plane made ready to be drawn: heights, contours, arrows, lines of flow.

Arrows of the score are as long as the score is strong up to a bound, which `arrow_unit` tells:
near a narrow density the score has no bound, and one arrow would hide all others. Arrows of the
estimate are as long as they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diffview.engine.levels import NoiseLevel
from diffview.frames.contours import contours
from diffview.frames.plane import Float64, Window
from diffview.frames.streams import at, streams
from diffview.models.exact.grid import Grid
from diffview.models.exact.plane import GuidedField

CELLS = 120
"""Places along the shorter side of what is seen."""
MOST_CELLS = 30_000
ARROWS = 17
"""Arrows along the shorter side."""
LINES, ESTIMATES = 12, 8
"""Lines of flow, and arrows of the estimate, along the shorter side."""
SPAN = 12.0
"""Energies are told apart up to so many nats above the lowest."""
DENSITY_SHARES = (0.02, 0.1, 0.25, 0.5, 0.75)
"""Contours of a density, as shares of its highest value."""
COARSE = 0.6
"""A peak whose standard deviation is a smaller share of a cell may be twice as high as it is read
on the raster."""
STRONG = 0.8
"""So large a share of the arrows is drawn at true length; the others are as long as the bound."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is drawn of a guided field at `gamma`, in data units.

    density (nx, ny) is 1 / unit^2, energy (nx, ny) nats above its lowest on the grid; both None
    where the model does not know its density. rescaled: the density was made to sum to 1 over
    what is seen, since p_gamma has a Z of its own. coarse: there are peaks that the raster is too
    wide for, so the highest density is not known. score and estimate are (starts, ends), (B, 2)
    each; arrow_unit is the score of an arrow as long as a gap, per unit. flow (L, P, 2) is None
    where nothing flows.
    """

    field: GuidedField
    gamma: float
    density: Float64 | None
    energy: Float64 | None
    rescaled: bool
    coarse: bool
    density_lines: Float64
    energy_lines: Float64
    energy_step: float
    score: tuple[Float64, Float64]
    arrow_unit: float
    estimate: tuple[Float64, Float64]
    flow: Float64 | None

    @property
    def level(self) -> NoiseLevel:
        """The level that is drawn."""
        return self.field.level

    @property
    def window(self) -> Window:
        """Where it lies."""
        grid = self.field.grid
        return Window((grid.low[0], grid.low[1]), (grid.high[0], grid.high[1]))


def grid_of(window: Window, cells: int = CELLS) -> Grid:
    """Square cells over what is seen."""
    width, height = window.size
    side = min(width, height) / cells
    side = max(side, math.sqrt(width * height / MOST_CELLS))
    size = max(2, round(width / side)), max(2, round(height / side))
    return Grid(window.low, window.high, size)


def draw(field: GuidedField, gamma: float) -> Drawn:
    """See `Drawn`."""
    part, axes = field.at(gamma), (field.grid.axes()[0], field.grid.axes()[1])
    density, energy, rescaled = _heights(field, gamma)
    empty = np.empty((0, 2, 2))
    step = _nice(SPAN / 8)
    places, gap = _raster(field.grid, ARROWS)
    seeds, _ = _raster(field.grid, LINES)
    coarse, _ = _raster(field.grid, ESTIMATES)
    vectors = np.nan_to_num(at(part.score, axes, places))
    unit = _unit(vectors)
    return Drawn(
        field=field,
        gamma=gamma,
        density=density,
        energy=energy,
        rescaled=rescaled,
        coarse=field.narrowest < COARSE * math.sqrt(field.grid.cell),
        density_lines=empty
        if density is None
        else contours(density, axes, [share * density.max() for share in DENSITY_SHARES]),
        energy_lines=empty
        if energy is None
        else contours(energy, axes, list(np.arange(step, SPAN + step / 2, step))),
        energy_step=step,
        score=(places, places + _bounded(vectors / unit) * gap * 0.92),
        arrow_unit=unit,
        estimate=(coarse, at(field.x0_hat(gamma), axes, coarse)),
        flow=_flow(field, gamma, axes, seeds),
    )


def _heights(field: GuidedField, gamma: float) -> tuple[Float64 | None, Float64 | None, bool]:
    log_p = field.at(gamma).log_p
    if log_p is None:
        return None, None, False
    energy = np.asarray(log_p.max() - log_p)
    if field.given is None or gamma in (0, 1):
        return np.asarray(np.exp(log_p)), energy, False
    shares = np.exp(-energy)
    return np.asarray(shares / (shares.sum() * field.grid.cell)), energy, True


def _raster(grid: Grid, across: int) -> tuple[Float64, float]:
    """Places (B, 2) in a raster with a place in its middle, and how far apart they are.

    The raster is that of the data's own units, so that arrows stay where they are when the seen
    part moves.
    """
    width, height = grid.high[0] - grid.low[0], grid.high[1] - grid.low[1]
    gap = min(width, height) / across
    sides = [
        np.arange(math.ceil(low / gap + 0.3), math.floor(high / gap - 0.3) + 1) * gap
        for low, high in zip(grid.low, grid.high, strict=True)
    ]
    return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2), gap


def _unit(vectors: Float64) -> float:
    """The strength that is drawn at full length: a round number."""
    if not len(vectors):
        return 1.0
    return _nice(float(np.quantile(np.linalg.norm(vectors, axis=1), STRONG)) or 1.0)


def _bounded(vectors: Float64) -> Float64:
    """Not longer than 1."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1.0))


def _flow(
    field: GuidedField, gamma: float, axes: tuple[Float64, Float64], starts: Float64
) -> Float64 | None:
    vectors = field.flow(gamma)
    if vectors is None:
        return None
    width, height = field.grid.high[0] - field.grid.low[0], field.grid.high[1] - field.grid.low[1]
    jitter = np.random.default_rng(0).uniform(-0.4, 0.4, starts.shape)
    gap = min(width, height) / LINES
    return streams(vectors, axes, starts + jitter * gap, step=0.07 * gap, count=20)


def _nice(value: float) -> float:
    """The number 1, 2 or 5 times a power of ten that is nearest from above."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(k * power for k in (1, 2, 5, 10) if k * power >= value * 0.999)
