"""The shown run's timeline with the particles of each step on its film strip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PySide6.QtCore import Slot

from diffview.engine.trajectory import Trajectory
from diffview.frames.pixels import Uint8
from diffview.frames.plane import Window, splat
from diffview.ui.controller import Controller
from diffview.ui.plane_lab import PlaneLab
from diffview.ui.plane_paint import rgb
from diffview.ui.timeline import RunTimeline, Strip

SIDE = 96
REACH = 2.0


class PlaneTimeline(RunTimeline):
    """As its base, but for the small pictures: all particles that there are, or the samples."""

    ends = ("noise", "data")

    def __init__(self, controller: Controller, lab: PlaneLab) -> None:
        super().__init__(controller)
        self._lab = lab
        self._drawn_of: tuple[Any, ...] = ()
        lab.particlesChanged.connect(self._on_particles)

    @Slot()
    def _on_particles(self) -> None:
        if self._started:
            self._update_strip()

    def show_theme(self) -> None:
        """Pictures in the present colours."""
        self._drawn_of = ()
        self._on_particles()

    def _update_strip(self, *, tell: bool = False) -> None:
        run, particles = self._lab.run, self._lab.particles
        if run is None:
            super()._update_strip(tell=tell)
            return
        ready = 0 if particles is None else particles.ready
        of = (run, len(run), particles, ready)
        if tell or of != self._drawn_of:
            self._drawn_of = of
            self.stripChanged.emit(Strip(_Pictures(run, particles), run.expected, "xt"))


class _Pictures(Sequence[Uint8]):
    """Pictures of the records, each drawn when it is first asked for."""

    def __init__(self, run: Trajectory, particles: Any) -> None:
        self._run, self._particles = run, particles
        self._ready = 0 if particles is None else particles.ready
        self._count = len(run)
        self._kept: dict[int, Uint8] = {}

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Uint8:  # type: ignore[override]
        if index not in self._kept:
            record = self._run[index]
            ways = self._particles
            known = self._ready and record.i < len(ways.paths)
            places = ways.paths[record.i, : self._ready] if known else record.x_t
            self._kept[index] = _picture(np.asarray(places))
        return self._kept[index]


def _picture(places: np.ndarray[Any, Any]) -> Uint8:
    window = Window((-REACH, -REACH), (REACH, REACH))
    few = len(places) < 500
    strengths = splat(places, window, (SIDE, SIDE), 2.5 if few else 0.0)
    most = max(1, int(np.quantile(strengths[strengths > 0], 0.97)) if strengths.any() else 1)
    share = np.minimum(strengths / most, 1.0)[..., None] ** 0.7
    ground, colour = (np.array(rgb(token), float) for token in ("panel", "x_t"))
    out = np.full((SIDE, SIDE, 4), 255, np.uint8)
    out[..., :3] = np.rint(ground + share * (colour - ground))
    return out
