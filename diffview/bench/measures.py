"""What is measured and what is to be reached, declared once; and how a figure is told.

A ratio compares two things timed side by side in one run, so a slow or busy machine enters both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure: its group is the part of its name before the first dot.

    target None: told for its own sake. at_least: more is better.
    """

    name: str
    what: str
    unit: str
    target: float | None = None
    at_least: bool = False

    @property
    def group(self) -> str:
        """What --only calls it."""
        return self.name.partition(".")[0]

    def met(self, value: float | None) -> bool | None:
        """Whether the target is reached; None without a target or a value."""
        if value is None or self.target is None:
            return None
        return value >= self.target if self.at_least else value <= self.target


MEASURES = (
    Measure("engine.overhead", "recorded run / bare network calls", "ratio", 1.05),
    Measure("engine.diffusers", "recorded run / diffusers, keeping nothing", "ratio", 1.0),
    Measure("samplers.overhead", "the same of the worst sampler", "ratio", 1.05),
    Measure("samplers.diffusers", "its ratio to diffusers' scheduler, the worst", "ratio", 1.0),
    Measure("exact.step", "16 samples, 60,000 pictures, exactly", "ms", 150),
    Measure("exact.guided", "the same under guidance", "ms", 150),
    Measure("exact.plain", "the step / the plain way in float64", "ratio", 1.0),
    Measure("sd.diffusers", "recorded run / StableDiffusionPipeline", "ratio", 1.03),
    Measure("sd.preview", "a step of four 64x64x4 latents previewed", "ms", 16),
    Measure("scrub.idle.median", "slider moved to both panes painted", "ms", 8),
    Measure("scrub.idle.p95", "the same, 95 of 100", "ms", 16),
    Measure("scrub.sampling.median", "the same while a sampler runs", "ms", 8),
    Measure("scrub.sampling.p95", "the same while a sampler runs, 95 of 100", "ms", 16),
    Measure("scrub.gap.p95", "gaps of a 60 Hz timer while sampling, 95 of 100", "ms", 25),
    Measure("scrub.gap.p99", "gaps of a 60 Hz timer while sampling, 99 of 100", "ms", 35),
    Measure("guidance.step.median", "γ moved to this step painted anew", "ms", 8),
    Measure("guidance.step.p95", "the same, 95 of 100", "ms", 16),
    Measure("guidance.first", "γ's last move to the first samples of the new run", "ms", 100),
    Measure("guidance.first.ratio", "the same / bare network calls it needs", "ratio", 1.5),
    Measure("guidance.all", "γ's last move to all samples of the new run", "ms"),
    Measure("plane.dots", "2-D lab, 10,000 particles as dots", "frames/s", 60, True),
    Measure("plane.dots.ratio", "the same / pyqtgraph's scatter plot alone", "ratio", 1.0, True),
    Measure("plane.histogram", "2-D lab, 100,000 particles", "frames/s", 30, True),
    Measure(
        "plane.histogram.ratio", "the same / numpy's and pyqtgraph's alone", "ratio", 1.0, True
    ),
    Measure("startup.window", "window painted / a bare window, same imports", "ratio", 1.2),
    Measure("startup.frame", "torch imported to first denoised frame", "s", 1.5),
    Measure("export.png.ratio", "PNG frames/s / one-threaded Pillow", "ratio", 1.5, True),
    Measure("export.png", "PNG, 512 x 512", "frames/s", 20, True),
    Measure("export.mp4", "MP4, 512 x 512", "frames/s", 60, True),
)

GROUPS = tuple(dict.fromkeys(measure.group for measure in MEASURES))

SIGNS = {"ratio": "×", "ms": "ms", "s": "s", "frames/s": "frames/s"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the person asked for: model id or file, device, and whether to be brief."""

    model: str = "fashion"
    device: str = "auto"
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """The figure of the measure called `name`; value None where it could not be taken."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


def reading(name: str, values: Sequence[float], **detail: Any) -> Reading:
    """The median of `values` with its smallest and largest."""
    return Reading(name, median(values), min(values), max(values), {"n": len(values), **detail})


def quantiles(group: str, shares: Sequence[str], values: Sequence[float], **detail: Any) -> Any:
    """One Reading of `values` for each of `shares`: "median", "p95", "p99"."""
    for share in shares:
        part = 0.5 if share == "median" else int(share[1:]) / 100
        facts = {"n": len(values), **detail}
        yield Reading(f"{group}.{share}", quantile(values, part), min(values), max(values), facts)


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least this part of `values` does not exceed."""
    ranked = sorted(values)
    return median(ranked) if part == 0.5 else ranked[max(0, math.ceil(part * len(ranked)) - 1)]


def skipped(name: str, why: str) -> Reading:
    """A figure that cannot be taken here, and why."""
    return Reading(name, None, detail={"skipped": why})
