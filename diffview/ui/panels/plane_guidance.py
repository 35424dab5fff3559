"""The 2-D lab's page on guidance: the tilted density beside what sampling with γ really gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout

from diffview.frames.plane import Window, diverging, ramp
from diffview.ui.panels.card import Card, FittingLabel, describe
from diffview.ui.panels.plane_cards import ParticlesCard, Rows
from diffview.ui.panels.plane_page import PlanePage, link, side_by_side
from diffview.ui.plane_gaps import Gaps, asked_gamma, varies
from diffview.ui.plane_lab import PlaneLab
from diffview.ui.plane_paint import mixed, rgb
from diffview.ui.views.curve_plot import Curve, CurvePlot
from diffview.ui.views.plane_view import PlaneView
from diffview.ui.workers import JobRunner

if TYPE_CHECKING:
    from diffview.models.exact.grid import Grid
    from diffview.models.exact.plane import Gap

HOME = 1.5
NEAR, FAR = 1.15, 2.0
"""Up to so many times what chance makes they agree, and beyond they differ."""
_CHANCE = "What as many particles drawn from p_γ itself would have"
_NUMBERS = (
    ("tv", r"\text{TV from }\c{gamma}{p_{\gamma}}", "Total variation between the histogram and "
     "p_γ: half the sum of the differences, the share of the probability that lies elsewhere"),
    ("floor", r"\text{by chance alone}", _CHANCE),
    ("kl", r"\text{KL from }\c{gamma}{p_{\gamma}}", "Sum of h log(h / p_γ) over the cells, nats"),
    ("kl_floor", r"\text{by chance alone}", _CHANCE),
    ("plain", r"\text{TV from }p(x|y)", "The same for the conditional density, that of γ = 1"),
    ("outside", r"\text{outside of the cells}", "The share of the particles that no cell holds"),
)  # fmt: skip


class GapCard(Card):
    """How far apart they are, in numbers and in words."""

    def __init__(self) -> None:
        super().__init__("HOW FAR APART")
        self.numbers = Rows("gap", _NUMBERS)
        self.words = QLabel(" ")
        self.words.setWordWrap(True)
        self.words.setObjectName("gapWords")
        self.words.setMinimumHeight(6 * self.words.fontMetrics().lineSpacing())
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.body.addWidget(self.numbers)
        self.body.addWidget(self.words)

    def show_nothing(self, reason: str) -> None:
        """There is nothing to compare."""
        self.numbers.show_nothing()
        self.words.setText(reason or "Particles are on their way…")

    def show_gap(self, gap: Gap, plain: Gap, sampled: Sampled) -> None:
        """The distances, and what they say."""
        apart, other = gap.distance, plain.distance
        self.numbers.show_texts(
            tv=f"{100 * apart.tv:.1f} %",
            floor=f"{100 * apart.tv_floor:.1f} %",
            kl=f"{apart.kl:.3f} nats" if apart.kl < 100 else "> 100 nats",
            kl_floor=f"{apart.kl_floor:.3f} nats",
            plain=f"{100 * other.tv:.1f} %",
            outside=f"{100 * apart.outside:.2g} %",
        )
        words = words_of(apart.tv, apart.tv_floor, sampled)
        self.words.setText(words.replace(" %", "\u00a0%"))  # they stay on one line


@dataclass(frozen=True, slots=True)
class Sampled:
    """How the particles were sampled; clean: they are at the end. varies: another γ than the
    run's acts at some steps, by a curve or an interval."""

    gamma: float
    clean: bool
    varies: bool = False


def words_of(tv: float, floor: float, sampled: Sampled) -> str:
    """What a distance from p_γ says, in a sentence or two."""
    density = {0.0: "p(x)", 1.0: "p(x|y)"}.get(sampled.gamma)
    name = "p_γ" if density is None else f"p_γ, which is {density} for γ = {sampled.gamma:g}"
    if tv <= FAR * floor:
        how = "agree with" if tv <= NEAR * floor else "nearly agree with"
        return (
            f"They {how} {name}: {100 * tv:.0f} % of the probability lies elsewhere, and chance "
            f"alone makes {100 * floor:.0f} %."
        )
    where = (
        "The samples are not those of"
        if sampled.clean
        else "At this t the particles do not follow"
    )
    times = f", {tv / floor:.0f} times what chance makes" if floor > 0 else ""
    return f"{where} {name}: {100 * tv:.0f} % of the probability lies elsewhere{times}. " + (
        _blame(sampled)
    )


def _blame(sampled: Sampled) -> str:
    """Why the particles are elsewhere."""
    if sampled.varies:
        return "By its curve or interval this run was not guided by that γ at every step."
    if sampled.gamma in (0, 1):
        return "Nothing is tilted here, so the steps of the sampler are to blame: take more."
    return (
        "Each level's guided score is that of its own p_γ, but those densities are not noised "
        "versions of one another."
    )


class GuidancePage(PlanePage):
    """Three planes over a plot: density, histogram, difference; their distance over the steps."""

    def __init__(self, lab: PlaneLab, runner: JobRunner) -> None:
        super().__init__(lab)
        self.gaps = Gaps(lab, runner, self)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.density, self.histogram, self.difference = (
            PlaneView(name)
            for name in ("tiltedDensityView", "guidedHistogramView", "gapDifferenceView")
        )
        self.planes = (self.density, self.histogram, self.difference)
        link(self.planes)
        describe(self.density, "The tilted density", "p_γ = p(x_t)^(1 − γ) p(x_t | y)^γ / Z, "
                 "made to sum to 1 on the grid, per unit²", "tiltedDensityView")  # fmt: skip
        describe(self.histogram, "What sampling gives", "How many particles there are per unit² "
                 "at this step, as a share of all", "guidedHistogramView")  # fmt: skip
        describe(self.difference, "The difference", "Histogram minus density: amber where there "
                 "are too many particles, blue where too few", "gapDifferenceView")  # fmt: skip
        self.plot = CurvePlot("step")
        describe(self.plot, "Distance over the run", "Total variation between particles and p_γ "
                 "at every step, in percent; grey: what chance makes. Click: go there",
                 "gapPlot")  # fmt: skip
        self.gap_card, self.particles_card = GapCard(), ParticlesCard()
        self.cards = (self.gap_card, self.level_card, self.particles_card)
        titles = (
            r"\c{gamma}{p_{\gamma}} = p(x_{t})^{1-\gamma} \, p(x_{t}|y)^{\gamma} / Z",
            r"\text{what sampling with }\c{gamma}{\gamma}\text{ gives}",
            r"\text{sampled minus }\c{gamma}{p_{\gamma}}",
        )
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addLayout(side_by_side(self.planes, titles), 3)
        body.addWidget(self._plot_panel(), 2)
        for plane in self.planes:
            plane.show_home(HOME)

    def _plot_panel(self) -> QFrame:
        panel = QFrame()
        panel.setProperty("card", True)
        title = QLabel("How far apart over the run")
        title.setProperty("role", "heading")
        remark = FittingLabel()
        remark.setText("total variation, %   ·   grey: by chance alone")
        remark.setProperty("role", "muted")
        remark.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        head = QHBoxLayout()
        head.addWidget(title)
        head.addWidget(remark, 1)
        body = QVBoxLayout(panel)
        body.setContentsMargins(10, 8, 10, 6)
        body.setSpacing(4)
        body.addLayout(head)
        body.addWidget(self.plot, 1)
        return panel

    def _connect(self) -> None:
        self.gaps.changed.connect(self._show_gap)
        self.gaps.failed.connect(self.lab.failed)
        self.planes[0].windowChanged.connect(self.windowChanged)
        self.particles_card.countRequested.connect(self.lab.choose_count)

    def enter(self) -> None:
        """Compare from now on."""
        self.gaps.start()

    def leave(self) -> None:
        """Compare no more."""
        self.gaps.stop()

    def show_theme(self) -> None:
        """All of it in the colours of the present theme."""
        self.plot.show_theme()
        self._show_gap()

    def show_step(self) -> None:
        """The step that is looked at."""
        super().show_step()
        self.plot.show_cursor(float(self.lab.step))

    def show_particles(self) -> None:
        """How many there are."""
        self.particles_card.show_count(self.lab.count)
        self.particles_card.show_progress(*self.lab.progress)

    @Slot()
    def _show_gap(self) -> None:
        known = self.gaps.gap
        self._show_curve()
        if known is None:
            self.gap_card.show_nothing(self.gaps.reason)
            for plane in self.planes:
                plane.show_ground(None)
                plane.show_legend([])
                plane.show_message(self.gaps.reason if plane is self.density else "")
            return
        gap, plain, step = known
        particles = self.lab.particles
        source = self.lab.source
        if particles is not None and source is not None:
            spec, clean = particles.spec, step == particles.spec.n_steps
            uneven = varies(spec, source.card.schedule)
            self.gap_card.show_gap(gap, plain, Sampled(asked_gamma(spec), clean, uneven))
        self._show_planes(gap)

    def _show_planes(self, gap: Gap) -> None:
        window, cell = _window(gap.grid), gap.grid.cell
        density, histogram = gap.density / cell, gap.histogram / cell
        most = float(max(density.max(), np.quantile(histogram, 0.998)))
        ground = mixed("panel", "window", 0.5)
        apart = float(np.abs(histogram - density).max())
        self.density.show_ground((ramp(density, ground, rgb("gamma"), most, 0.6), window))
        self.histogram.show_ground((ramp(histogram, ground, rgb("x_t"), most, 0.6), window))
        colours = diverging(histogram - density, ground, rgb("x_t"), rgb("x0_hat"), apart)
        self.difference.show_ground((colours, window))
        for plane in self.planes:
            plane.show_message("")
        self.density.show_legend([f"0 to {most:.2g} per unit²"])
        self.histogram.show_legend([f"0 to {most:.2g} per unit²"])
        self.difference.show_legend([f"−{apart:.2g} to {apart:.2g} per unit²"])

    def _show_curve(self) -> None:
        steps = np.array(sorted(self.gaps.by_step))
        if not len(steps):
            self.plot.show_curves([])
            return
        apart = [self.gaps.by_step[step][0].distance for step in steps]
        tv, floor = (
            100 * np.array([getattr(d, name) for d in apart]) for name in ("tv", "tv_floor")
        )
        self.plot.show_curves([Curve(steps, floor, "muted"), Curve(steps, tv, "gamma")])


def _window(grid: Grid) -> Window:
    return Window((grid.low[0], grid.low[1]), (grid.high[0], grid.high[1]))
