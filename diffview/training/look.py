"""A snapshot of a training as pictures, as the window shows them: no torch, no Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffview.frames import pixels
from diffview.frames.compose import Tiles
from diffview.frames.pixels import Uint8
from diffview.frames.scatter import SIDE, Colour, blank, scatter
from diffview.training.events import Snapshot, Watched

NOISE_EXTENT = 3.0
"""Noise is drawn from -3 to 3, as everywhere."""
STATE_POINTS, NOISE_POINTS = 2.5, 3.5
"""How far a picture of points reaches: of states in data units, of noise in deviations."""
SMALL = 80
"""Side of the pictures of watched points where there is room for no more (px)."""


@dataclass(frozen=True, slots=True)
class Colours:
    """What points are drawn in; pictures have colours of their own."""

    ground: Colour
    data: Colour
    x_t: Colour
    x0_hat: Colour
    eps: Colour


def samples_tiles(
    snapshot: Snapshot, watched: Watched | None, colours: Colours, side: int = SIDE
) -> Tiles:
    """The samples of a snapshot: pictures, or a recipe's sheet, or points over held-out ones in a
    picture of `side` pixels."""
    if snapshot.sheet is not None:
        sheet = np.full((1, *snapshot.sheet.shape[:2], 4), 255, np.uint8)
        sheet[0, ..., :3] = snapshot.sheet
        return Tiles("x0hat", sheet, sheet[..., :3].astype(np.float32))
    samples = np.asarray(snapshot.samples, np.float32)
    if samples.ndim == 2:
        ground = blank(colours.ground, side)
        if watched is not None:
            ground = scatter(watched.x_0, colours.data, ground)
        return _points("x0hat", scatter(samples, colours.x0_hat, ground))
    return _pictures("x0hat", samples)


def thumbnail(snapshot: Snapshot, watched: Watched | None, colours: Colours, sample: int) -> Uint8:
    """(H, W, 4): one sample, or all points, or the sheet at a small size."""
    tiles = samples_tiles(snapshot, watched, colours).pixels
    picture = tiles[min(sample, len(tiles) - 1)]
    step = max(1, max(picture.shape[:2]) // 112)
    return np.ascontiguousarray(picture[::step, ::step])


def watched_tiles(
    watched: Watched,
    x0_hat: NDArray[Any] | None,
    picture: int,
    level: int,
    colours: Colours,
    side: int = SMALL,
) -> dict[str, Tiles]:
    """xt, x0hat, eps and eps_hat of one watched picture at a level; of points: of all of them, in
    pictures of `side` pixels.

    x0_hat (W, K, *D); without it only what needs no network.
    """
    if watched.x_0.ndim == 2:
        return _watched_points(watched, x0_hat, level, colours, side)
    shown = {
        "xt": _pictures("xt", watched.x_t(picture, level)[None]),
        "eps": _noise(watched.eps[picture]),
    }
    if x0_hat is not None:
        estimate = np.asarray(x0_hat[picture, level], np.float32)
        shown["x0hat"] = _pictures("x0hat", estimate[None])
        shown["eps_hat"] = _noise(watched.eps_hat(picture, level, estimate))
    return shown


def eps_error(watched: Watched, x0_hat: NDArray[Any], picture: int, level: int) -> float:
    """Root mean square of eps_hat - eps, of one watched picture or of all points."""
    which = range(len(watched.x_0)) if watched.x_0.ndim == 2 else [picture]
    off = [
        watched.eps_hat(k, level, np.asarray(x0_hat[k, level], np.float32)) - watched.eps[k]
        for k in which
    ]
    return float(np.sqrt(np.mean(np.square(off))))


def _watched_points(
    watched: Watched, x0_hat: NDArray[Any] | None, level: int, colours: Colours, side: int
) -> dict[str, Tiles]:
    at, ground = watched.levels[level], blank(colours.ground, side)
    x_t = at.alpha * watched.x_0 + at.sigma * watched.eps
    shown = {
        "xt": _points("xt", scatter(x_t, colours.x_t, ground, extent=STATE_POINTS)),
        "eps": _noise_points(watched.eps, colours, side),
    }
    if x0_hat is not None:
        estimate = np.asarray(x0_hat[:, level], np.float32)
        under = scatter(watched.x_0, colours.data, ground)
        shown["x0hat"] = _points("x0hat", scatter(estimate, colours.x0_hat, under))
        shown["eps_hat"] = _noise_points((x_t - at.alpha * estimate) / at.sigma, colours, side)
    return shown


def _noise_points(eps: NDArray[Any], colours: Colours, side: int) -> Tiles:
    ground = blank(colours.ground, side)
    return _points("eps", scatter(eps, colours.eps, ground, extent=NOISE_POINTS))


def _pictures(quantity: str, values: NDArray[Any]) -> Tiles:
    shown = np.asarray(pixels.as_pictures(values), np.float32)
    return Tiles(quantity, pixels.grey_or_rgb(shown, -1, 1), shown)


def _noise(values: NDArray[Any]) -> Tiles:
    shown = np.asarray(pixels.as_pictures(values[None]), np.float32)
    return Tiles("eps", pixels.signed(shown, NOISE_EXTENT), shown)


def _points(quantity: str, picture: Uint8) -> Tiles:
    return Tiles(quantity, picture[None], picture[None, ..., :3].astype(np.float32))
