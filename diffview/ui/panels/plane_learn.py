"""The 2-D lab's page on learning: the exact field, a network's, and where that one is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from diffview.frames.plane import ramp
from diffview.ui.panels.card import Card, FittingLabel, describe, labelled, narrow
from diffview.ui.panels.plane_cards import Rows
from diffview.ui.panels.plane_page import PlanePage, link, side_by_side
from diffview.ui.plane_lab import PlaneLab
from diffview.ui.plane_learning import Compared, Learning
from diffview.ui.plane_paint import ground_of, mixed, rgb, still_of
from diffview.ui.views.curve_plot import Curve, CurvePlot
from diffview.ui.views.plane_shapes import Lines
from diffview.ui.views.plane_view import PlaneView
from diffview.ui.workers import JobRunner

STEPS = (500, 2_000, 5_000, 20_000)
WIDTHS = (32, 64, 128, 256)
PREDICTIONS = (("v", "v"), ("eps", "ε"), ("x0", "x₀"))
ON = frozenset({"contours", "score"})
HOME = 1.6
END = "Without noise the estimate is the state itself: go to an earlier step for its error"
FOREIGN = (
    "The run goes by another schedule than the one the network has learned: choose the model's "
    "own (Sampler, More) for its error"
)
SURE = 0.5
"""An error of so much in data units is drawn at full strength."""
_ERRORS = (
    ("mean", r"\text{rms }\Delta\c{x0hat}{\hat{x}_{0}}", "Root mean square of the network's x̂₀ "
     "minus the exact one, under the density of x_t at this t; in data units"),
    ("most", r"\text{largest}", "The largest where the density is at least a thousandth of its "
     "peak; in data units"),
    ("loss", r"\text{loss}", "Mean squared error of what is predicted, over all t, lately"),
    ("least", r"\text{least possible}", "The exact model's own loss: what cannot be known"),
    ("size", r"\text{parameters}", "Numbers in the network"),
)  # fmt: skip


class NetworkCard(Card):
    """What is trained: how wide, how long, what it predicts."""

    def __init__(self) -> None:
        super().__init__("NETWORK")
        self.steps, self.layers, self.prediction = QComboBox(), QComboBox(), QComboBox()
        for steps in STEPS:
            self.steps.addItem(f"{steps:,}", steps)
        for width in WIDTHS:
            self.layers.addItem(f"3 × {width}", width)
        for name, title in PREDICTIONS:
            self.prediction.addItem(title, name)
        self.steps.setCurrentIndex(1)
        self.layers.setCurrentIndex(2)
        describe(self.steps, "Training steps", "How many steps of AdamW, 256 points each",
                 "toyStepsCombo")  # fmt: skip
        describe(self.layers, "Layers", "Hidden layers and how wide they are", "toyWidthCombo")
        describe(self.prediction, "Predicts", "What the network is trained to say: v = α ε − "
                 "σ x₀, the noise ε, or the data x₀", "toyPredictionCombo")  # fmt: skip
        narrow(self.steps, self.layers, self.prediction)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addLayout(labelled("Layers", self.layers), 1)
        row.addLayout(labelled("Predicts", self.prediction), 1)
        self.use = QPushButton("Use as model")
        describe(self.use, "Use as model", "Choose the network as it is now as the model of the "
                 "whole window", "useToyButton")  # fmt: skip
        self.body.addLayout(labelled("Steps", self.steps))
        self.body.addLayout(row)
        self.body.addWidget(self.use)


class LearnPage(PlanePage):
    """Three planes over two plots: exact, learned, error; loss over steps and by level."""

    modelMade = Signal(object)

    def __init__(self, lab: PlaneLab, runner: JobRunner) -> None:
        super().__init__(lab)
        self.learning = Learning(lab, runner, self)
        self._front = False
        self._build()
        self._connect()
        self._show_state()

    # -- building ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.exact, self.learned, self.error = (
            PlaneView(name) for name in ("exactFieldView", "learnedFieldView", "fieldErrorView")
        )
        self.planes = (self.exact, self.learned, self.error)
        link(self.planes)
        describe(self.exact, "The exact field", "Density and score of the distribution itself, "
                 "and the particles that follow them", "exactFieldView")  # fmt: skip
        describe(self.learned, "The learned field", "The score that the network has learned, and "
                 "1,000 particles that follow it", "learnedFieldView")  # fmt: skip
        describe(self.error, "The error", "How far the network's x̂₀ is from the exact one, in "
                 "data units; lines: where x_t really lies", "fieldErrorView")  # fmt: skip
        for plane in self.planes:
            plane.show_home(HOME)
        self.network_card = NetworkCard()
        self.error_card = Card("LEARNED AGAINST EXACT")
        self.numbers = Rows("toy", _ERRORS)
        self.error_card.body.addWidget(self.numbers)
        self.cards = (self.network_card, self.error_card, self.level_card)
        titles = (
            r"\text{exact }\c{score}{\nabla \log p}",
            r"\text{learned}",
            r"\|\c{x0hat}{\hat{x}_{0}} - \text{exact }\c{x0hat}{\hat{x}_{0}}\|",
        )
        self.loss, self.by_level = CurvePlot("step"), CurvePlot("t", noise_left=True)
        plots = QHBoxLayout()
        plots.setSpacing(6)
        plots.addWidget(_panel("Loss over the training", "faint: exact model", self.loss), 1)
        plots.addWidget(_panel("Loss over t", "faint: exact model", self.by_level), 1)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self._head())
        body.addLayout(side_by_side(self.planes, titles), 3)
        body.addLayout(plots, 2)
        describe(self.loss, "Loss over the training", "Mean squared error of what is predicted, "
                 "lately; faint: the least that is possible", "toyLossPlot")  # fmt: skip
        describe(self.by_level, "Loss over t", "The same by noise level, noise on the left",
                 "toyLevelPlot")  # fmt: skip

    def _head(self) -> QWidget:
        head = QWidget()
        self.train = QPushButton("Train")
        self.train.setProperty("primary", True)
        self.train.setMinimumWidth(self.train.fontMetrics().horizontalAdvance("Train anew") + 36)
        describe(self.train, "Train or stop", "Train a fresh network on draws of this "
                 "distribution, or stop", "trainToyButton")  # fmt: skip
        self.bar = QProgressBar(textVisible=False)
        describe(self.bar, "Progress of the training", "How much of the training is done",
                 "toyProgress")  # fmt: skip
        self.status = FittingLabel()
        self.status.setProperty("role", "muted")
        self.status.setObjectName("toyStatus")
        row = QHBoxLayout(head)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.train)
        row.addWidget(self.bar, 1)
        row.addWidget(self.status, 2)
        return head

    def _connect(self) -> None:
        learning = self.learning
        self.train.clicked.connect(self._on_train)
        self.network_card.use.clicked.connect(self._on_use)
        learning.changed.connect(self._show_state)
        learning.compared.connect(self._show_comparison)
        learning.followed.connect(self.show_particles)
        learning.failed.connect(self.lab.failed)
        self.planes[0].windowChanged.connect(self.windowChanged)

    # -- showing ----------------------------------------------------------------------------------

    def enter(self) -> None:
        """Compare from now on."""
        self._front = True
        self.learning.ask()

    def leave(self) -> None:
        """A training goes on; nothing is compared."""
        self._front = False

    def show_model(self) -> None:
        """Another distribution: the network knows nothing of it."""
        self.learning.clear()
        for plane in self.planes:
            plane.show_ground(None)
            plane.show_still(dict.fromkeys(("contours", "score", "lines")))

    def show_theme(self) -> None:
        """All of it in the colours of the present theme."""
        self.loss.show_theme()
        self.by_level.show_theme()
        self._show_comparison()

    def show_step(self) -> None:
        """The step that is looked at."""
        super().show_step()
        lab = self.lab
        self.by_level.show_cursor(lab.own_level.t)
        if self._front:
            self.learning.ask()
            known = self.learning.particles
            if known is not None and known.spec.guidance != getattr(lab.spec, "guidance", None):
                self.learning.follow()
        self.show_particles()

    def show_field(self) -> None:
        """The exact field, also before there is a network."""
        answer = self.lab.answer
        drawn = getattr(answer, "drawn", None)
        if drawn is None:
            return
        self.exact.show_ground(ground_of(drawn, "density"))
        self.exact.show_still(still_of(drawn, "density", ON))

    def show_particles(self) -> None:
        """Those of the exact model, and those of the network."""
        lab = self.lab
        for plane, particles in (
            (self.exact, lab.particles),
            (self.learned, self.learning.particles),
        ):
            if particles is None or not particles.ready:
                plane.show_particles(None)
            else:
                step = min(lab.step, len(particles.paths) - 1)
                plane.show_particles(particles.at(step)[:1000])

    @Slot()
    def _show_comparison(self) -> None:
        compared = self.learning.comparison
        self._show_end()
        if compared is None:
            self._show_no_comparison()
            return
        self.learned.show_still(still_of(compared.learned, "none", ON))
        self._show_error(compared)
        self.numbers.show_texts(
            mean=f"{compared.error.mean:.4f}", most=f"{compared.error.most:.3f}"
        )
        at = f"t {compared.asked.level.t:g}"
        unit = compared.learned.arrow_unit
        self.learned.show_legend([f"{at} · longest arrow {unit:g} per unit"])
        self.error.show_legend([f"{at} · 0 to {SURE:g} data units"])

    def _show_end(self) -> None:
        lab = self.lab
        words = FOREIGN if lab.foreign else END if lab.level.sigma <= 0 else ""
        self.error.show_message(words if self.learning.model is not None else "")

    def _show_no_comparison(self) -> None:
        self.learned.show_still(dict.fromkeys(("contours", "score")))
        self.error.show_still({"lines": None})
        self.error.show_ground(None)
        self.numbers.show_texts(mean="–", most="–")
        for plane in (self.learned, self.error):
            plane.show_legend([])

    def _show_error(self, compared: Compared) -> None:
        ground = mixed("panel", "window", 0.5)
        error = compared.error
        colours = ramp(error.error, ground, rgb("bad"), SURE, 0.7)
        self.error.show_ground((colours, error.window))
        lines = Lines(compared.exact.density_lines, "muted", 0.8)
        self.error.show_still({"lines": lines})

    @Slot()
    def _show_state(self) -> None:
        learning = self.learning
        self.train.setText(
            "Stop" if learning.training else "Train anew" if learning.steps else "Train"
        )
        self.network_card.use.setEnabled(learning.model is not None and not learning.training)
        if not learning.steps:
            self._show_untrained()
            return
        last = learning.steps[-1]
        self.bar.setMaximum(last.steps)
        self.bar.setValue(last.step)
        self.status.setText(
            f"step {last.step:,} of {last.steps:,} · {last.seconds:.1f} s of training"
        )
        self.learned.show_message("")
        self._show_end()
        self.numbers.show_texts(
            loss=f"{_recent(learning.steps):.4f}", size=f"{last.model.card.parameters:,}"
        )
        self._show_losses()

    def _show_untrained(self) -> None:
        self.bar.setValue(0)
        busy = self.learning.training
        self.status.setText("Finding the least possible loss…" if busy else
                            "Some ten seconds on one processor core")  # fmt: skip
        self.numbers.show_nothing()
        self.learned.show_message("" if busy else "Press Train: a network learns this field")
        self._show_end()
        self._show_no_comparison()
        self.loss.show_curves([])
        self.by_level.show_curves([])

    def _show_losses(self) -> None:
        steps, least = self.learning.steps, self.learning.least
        x = np.array([step.step for step in steps], float)
        curves = [Curve(x, np.array([step.loss for step in steps]), "x0_hat")]
        if least is not None:
            self.numbers.show_texts(least=f"{least.mean():.4f}")
            curves.insert(0, Curve(x, np.full(len(x), least.mean()), "text", faint=True))
        self.loss.show_curves(curves)
        self._show_levels(least)

    def _show_levels(self, least: Any) -> None:
        source = self.lab.source
        if source is None:
            return
        recent = [step.loss_by_level for step in self.learning.steps[-8:]]
        losses = np.nanmean(np.array(recent), axis=0)
        first, last = source.card.schedule.span
        times = first + (np.arange(len(losses)) + 0.5) / len(losses) * (last - first)
        curves = [Curve(times, losses, "x0_hat", dots=True)]
        if least is not None:
            curves.insert(0, Curve(times, least, "text", faint=True))
        self.by_level.show_curves(curves)
        self.by_level.show_cursor(self.lab.own_level.t)

    # -- asking -----------------------------------------------------------------------------------

    @Slot()
    def _on_train(self) -> None:
        if self.learning.training:
            self.learning.stop()
        else:
            card = self.network_card
            self.learning.start(
                card.steps.currentData(), card.layers.currentData(), card.prediction.currentData()
            )

    @Slot()
    def _on_use(self) -> None:
        if self.learning.model is not None:
            self.modelMade.emit(self.learning.model)


def _recent(steps: list[Any]) -> float:
    return float(np.mean([step.loss for step in steps[-8:]]))


def _panel(title: str, remark: str, plot: CurvePlot) -> QFrame:
    panel = QFrame()
    panel.setProperty("card", True)
    heading, words = QLabel(title), FittingLabel()
    heading.setProperty("role", "heading")
    words.setText(remark)
    words.setProperty("role", "muted")
    words.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
    head = QHBoxLayout()
    head.addWidget(heading)
    head.addWidget(words, 1)
    body = QVBoxLayout(panel)
    body.setContentsMargins(10, 8, 10, 6)
    body.setSpacing(4)
    body.addLayout(head)
    body.addWidget(plot, 1)
    return panel
