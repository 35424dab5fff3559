"""A drawn field in the colours of the theme: grounds and shapes for the plane views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffview.frames.plane import Rgb, ramp, relief
from diffview.ui import theme
from diffview.ui.views.plane_shapes import Arrows, Lines, Paths, Shape
from diffview.ui.views.plane_view import Ground

if TYPE_CHECKING:
    from diffview.frames.plane_field import Drawn

ENERGY_SPAN = 12.0
NARROW = "peaks narrower than the raster, zoom in"


@dataclass(frozen=True, slots=True)
class Layer:
    """What can be shown or not: `token` colours it everywhere; `mark` draws its sign."""

    name: str
    title: str
    token: str
    mark: str
    help: str


LAYERS = (
    Layer("contours", "Contours", "muted", "line", "Lines of equal height: of the density at 2, "
          "10, 25, 50 and 75 % of its highest value, of the energy every 2 nats"),
    Layer("score", "Score", "score", "arrow", "∇ log p(x_t), per data unit: uphill, towards "
          "what is likelier. The strongest fifth is drawn at one length"),
    Layer("flow", "Flow", "eps", "line", "Where sampling without noise goes from here: lines "
          "along −dx/dt of the probability flow at this t (Song et al. 2021, eq. 13)"),
    Layer("estimate", "Tweedie", "x0_hat", "arrow", "From x_t to E[x₀ | x_t] = (x_t + σ² ∇ log p) "
          "/ α, in data units: strong for the run's samples, faint over the plane"),
    Layer("particles", "Particles", "x_t", "dots", "Many x_t that went through the same run"),
    Layer("samples", "Samples", "x_t", "dot", "The run's own samples; click one to select it"),
    Layer("paths", "Paths", "x_t", "line", "The way from x_T: of the run's samples, and faintly "
          "of sixty particles"),
)  # fmt: skip
ON_AT_FIRST = frozenset({"contours", "score", "particles", "samples", "paths"})
HEIGHTS = (
    ("density", "Density", "p(x_t), per unit²: how likely a place is"),
    ("energy", "Energy", "−log p(x_t) in nats above its lowest, as a landscape: samples "
     "roll down into the valleys"),
    ("none", "Nothing", "No colours under the layers"),
)  # fmt: skip


def rgb(token: str) -> Rgb:
    """A token's colour as three bytes."""
    colour = theme.current().colour(token)
    return colour.red(), colour.green(), colour.blue()


def mixed(token: str, other: str, share: float) -> Rgb:
    """The colour of `token` with `share` of that of another one."""
    pairs = zip(rgb(token), rgb(other), strict=True)
    red, green, blue = (round(a + share * (b - a)) for a, b in pairs)
    return red, green, blue


def ground_of(drawn: Drawn, height: str) -> Ground | None:
    """The colours under everything: of "density", "energy", or none."""
    if height == "density" and drawn.density is not None:
        most = float(drawn.density.max())
        pixels = ramp(drawn.density, mixed("panel", "window", 0.5), hill(), most, power=0.55)
        return pixels, drawn.window
    if height == "energy" and drawn.energy is not None:
        low, high = mixed("panel", "x0_hat", 0.55), mixed("panel", "x_t", 0.14)
        return relief(drawn.energy, low, high, ENERGY_SPAN), drawn.window
    return None


def hill() -> Rgb:
    """Where a density is highest: quiet, so that what lies over it is seen."""
    return mixed("panel", "muted", 0.62 if theme.current().dark else 0.55)


def still_of(drawn: Drawn, height: str, on: frozenset[str]) -> dict[str, Shape | None]:
    """Contours, score, flow and the faint arrows of the estimate, as far as they are on."""
    lines = drawn.energy_lines if height == "energy" else drawn.density_lines
    starts, ends = drawn.estimate
    return {
        "contours": Lines(lines, "muted", 0.7) if "contours" in on and height != "none" else None,
        "flow": None
        if drawn.flow is None or "flow" not in on
        else Paths(drawn.flow, "eps", 0.65, 1.2),
        "flow_heads": None if drawn.flow is None or "flow" not in on else _heads(drawn.flow),
        "estimate": Arrows(starts, ends, "x0_hat", 0.42, 1.0) if "estimate" in on else None,
        "score": Arrows(*drawn.score, "score", 0.85) if "score" in on else None,
    }


def _heads(lines: NDArray[np.float64]) -> Arrows:
    return Arrows(lines[:, -6], lines[:, -1], "eps", 0.65, 1.2)


def legend_of(drawn: Drawn, height: str, on: frozenset[str]) -> list[str]:
    """What colours and lengths mean, with units."""
    at = "clean" if drawn.level.sigma == 0 else f"t {drawn.level.t:g}"
    lines = []
    if height == "density" and drawn.density is not None:
        most = float(drawn.density.max())
        upto = NARROW if drawn.coarse else f"0 to {most:.3g} per unit²"
        lines.append(f"{at} · {_density_name(drawn)}: {upto}")
    elif height == "energy" and drawn.energy is not None:
        lines.append(f"{at} · −log {_density_name(drawn)}: 0 to {ENERGY_SPAN:g} nats")
        if "contours" in on:
            lines.append(f"contours every {drawn.energy_step:g} nats")
    elif drawn.density is None:
        lines.append(f"{at} · a network knows no density")
    if "score" in on:
        lines.append(f"score: longest arrow {drawn.arrow_unit:g} per unit and more")
    return lines


def _density_name(drawn: Drawn) -> str:
    if drawn.field.given is None or drawn.gamma == 0:
        return "p(x_t)"
    if drawn.gamma == 1:
        return "p(x_t | y)"
    return f"p_γ(x_t), γ {drawn.gamma:g}"
