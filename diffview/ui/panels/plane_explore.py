"""The 2-D lab's first page: one plane with everything that is known at this step."""

from __future__ import annotations

import numpy as np
from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QVBoxLayout

from diffview.ui.panels.card import describe
from diffview.ui.panels.plane_cards import ParticlesCard, PlaceCard
from diffview.ui.panels.plane_layers import LayerBar
from diffview.ui.panels.plane_page import PlanePage
from diffview.ui.plane_lab import Answer, Place, PlaneLab, Undrawn
from diffview.ui.plane_paint import ground_of, legend_of, still_of
from diffview.ui.views.plane_shapes import Arrows, Dots, Paths, Shape
from diffview.ui.views.plane_view import PlaneView

FAINT_PATHS, FAINT_PLACES = 60, 16
"""How many faint paths there are, and how many places each is drawn through."""
MOST_PATHS = 64
NEAR = 9.0
"""Pixels within which a click means a sample."""


class ExplorePage(PlanePage):
    """Density or energy, score, flow, Tweedie's arrows, particles, samples and their paths."""

    sampleRequested = Signal(int)

    def __init__(self, lab: PlaneLab) -> None:
        super().__init__(lab)
        self._sample = 0
        self._build()
        self._connect()

    def _build(self) -> None:
        self.layers = LayerBar()
        self.plane = PlaneView("planeView")
        describe(self.plane, "The plane", "Drag moves, the wheel or + and − zoom, 0 shows all "
                 "again. Click a sample to select it; Alt and arrows move the cross",
                 "planeView")  # fmt: skip
        self.particles_card, self.place_card = ParticlesCard(), PlaceCard()
        self.cards = (self.level_card, self.particles_card, self.place_card)
        self.planes = (self.plane,)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self.layers)
        body.addWidget(self.plane, 1)

    def _connect(self) -> None:
        self.layers.changed.connect(self._on_layers)
        self.plane.windowChanged.connect(self.windowChanged)
        self.plane.probed.connect(self.lab.probe)
        self.plane.unprobed.connect(self._on_unprobed)
        self.plane.pressed.connect(self._on_pressed)
        self.particles_card.countRequested.connect(self.lab.choose_count)

    # -- showing ----------------------------------------------------------------------------------

    def show_theme(self) -> None:
        """All of it in the colours of the present theme."""
        self.layers.show_theme()
        self.show_field()
        self.show_step()

    def show_sample(self, sample: int) -> None:
        """Which of the run's samples is selected."""
        if sample != self._sample:
            self._sample = sample
            self._show_samples()

    def show_step(self) -> None:
        """The step that is looked at."""
        super().show_step()
        lab = self.lab
        self._show_samples()
        self.show_particles()
        if self.plane.probe is not None:
            lab.probe(*self.plane.probe)

    def show_field(self) -> None:
        """The field that was drawn last."""
        answer, on = self.lab.answer, self.layers.on
        if isinstance(answer, Answer):
            drawn, ground = answer.drawn, self.layers.ground
            self.plane.show_scene(
                (answer.asked, ground, on),
                lambda: (ground_of(drawn, ground), still_of(drawn, ground, on)),
            )
            rest = ["not drawn: guidance by a second model"] if self.lab.by_another else []
            self.plane.show_legend([*legend_of(drawn, ground, on), *rest])
        else:
            self.plane.show_scene(None, lambda: (None, {}))
            reason = answer.reason if isinstance(answer, Undrawn) else ""
            self.plane.show_legend([reason] if reason else [])

    def show_particles(self) -> None:
        """Where the particles are at this step."""
        lab, particles = self.lab, self.lab.particles
        self.particles_card.show_count(lab.count)
        self.particles_card.show_progress(*lab.progress)
        shown = particles is not None and "particles" in self.layers.on
        self.plane.show_particles(
            particles.at(min(lab.step, len(particles.paths) - 1))
            if shown and particles is not None
            else None
        )

    def _show_samples(self) -> None:
        lab, on, record = self.lab, self.layers.on, self.lab.record
        shapes: dict[str, Shape | None] = dict.fromkeys(("faint", "paths", "tweedie", "samples"))
        run = lab.run
        if record is not None and run is not None:
            x_t = np.asarray(record.x_t, np.float64)
            if "paths" in on:
                past = [one.x_t[:MOST_PATHS] for one in run if one.i <= record.i]
                shapes["paths"] = Paths(np.stack(past, axis=1).astype(float), "x_t", 0.55)
                shapes["faint"] = self._faint_paths()
            if "estimate" in on:
                ends = np.asarray(record.x0_hat, np.float64)
                shapes["tweedie"] = Arrows(x_t, ends, "x0_hat", 1.0, 1.6, dots=True)
            if "samples" in on:
                shapes["samples"] = Dots(x_t, "x_t", 4.0, ringed=self._sample)
        self.plane.show_moving(shapes)

    def _faint_paths(self) -> Shape | None:
        particles = self.lab.particles
        if particles is None or not particles.ready:
            return None
        steps = faint_steps(self.lab.step, len(particles.paths))
        ways = particles.paths[steps, :FAINT_PATHS]
        return Paths(ways.transpose(1, 0, 2).astype(float), "x_t", 0.3, smooth=False)

    def show_place(self, place: Place) -> None:
        """What the model says under the mouse, and its arrow."""
        if self.plane.probe is None:
            return
        self.place_card.show_place(place)
        arrow = Arrows(place.x_t[None], place.x0_hat[None], "x0_hat", 1.0, 2.0, dots=True)
        self.plane.show_moving({"probe": arrow})

    def show_layers(self, ground: str, on: frozenset[str]) -> None:
        """Show these layers over this ground."""
        self.layers.show_choice(ground, on)
        self._on_layers()

    # -- asking -----------------------------------------------------------------------------------

    @Slot()
    def _on_layers(self) -> None:
        self.show_field()
        self.show_step()

    @Slot()
    def _on_unprobed(self) -> None:
        self.place_card.show_nothing()
        self.plane.show_moving({"probe": None})

    @Slot(float, float, object)
    def _on_pressed(self, x: float, y: float, button: Qt.MouseButton) -> None:
        record = self.lab.record
        if (
            record is None
            or button != Qt.MouseButton.LeftButton
            or "samples" not in self.layers.on
        ):
            return
        pixels = self.plane.to_pixels(np.asarray(record.x_t, np.float64))
        here = self.plane.to_pixels(np.array([x, y]))
        away = np.linalg.norm(pixels - here, axis=1)
        if away.min() <= NEAR:
            self.sampleRequested.emit(int(away.argmin()))


def faint_steps(step: int, records: int) -> list[int]:
    """The records that a faint path goes through up to a step.

    The particles may be those of a run before, with fewer records than the shown one.
    """
    last, stride = min(step, records - 1), max(1, (records - 1) // FAINT_PLACES)
    return [*range(0, last, stride), last]
