"""A small network that learns the shown distribution while one looks, beside the exact field."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, Signal, Slot

from diffview.errors import InputError
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox
from diffview.ui.plane_lab import PlaneLab, Question
from diffview.ui.slices import Slices
from diffview.ui.workers import JobRunner

if TYPE_CHECKING:
    from diffview.frames.plane_error import PlaneError
    from diffview.frames.plane_field import Drawn
    from diffview.models.exact.particles import Particles
    from diffview.training.toy import ToySettings, ToyStep

CELLS = 72
FOLLOWED = 1_000
EVERY_SECONDS = 1.5
"""How often particles go through the network that is being trained."""
REPORT_STEPS = 25


@dataclass(frozen=True, slots=True)
class Compared:
    """The exact field and the learned one, and the error between them."""

    asked: Question
    exact: Drawn
    learned: Drawn
    error: PlaneError


class Learning(QObject):
    """`steps` are what the training has told so far, `least` the loss by level none gets below."""

    changed = Signal()
    compared = Signal()
    followed = Signal()
    failed = Signal(object)

    def __init__(self, lab: PlaneLab, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lab = lab
        self.steps: list[ToyStep] = []
        self.least: NDArray[np.float64] | None = None
        self.settings: ToySettings | None = None
        self.comparison: Compared | None = None
        self.particles: Particles | None = None
        self._coming: Particles | None = None
        self._of: ModelSource | None = None
        self._last_followed = 0.0
        self._training, self._following = Slices(runner, self), Slices(runner, self)
        self._box = Mailbox(runner, self)
        self._training.told.connect(self._on_trained)
        self._training.ended.connect(self._on_ended)
        self._box.told.connect(self._on_compared)
        self._following.told.connect(self._on_followed)
        self._following.ended.connect(self._on_all_followed)
        for work in (self._training, self._following, self._box):
            work.failed.connect(self.failed)

    @property
    def training(self) -> bool:
        """Whether it learns."""
        return self._training.busy

    @property
    def model(self) -> Any:
        """The network of the last report; None before the first."""
        return self.steps[-1].model if self.steps else None

    def clear(self) -> None:
        """Forget the network: the distribution is another one."""
        self._training.stop()
        self._following.stop()
        self.steps, self.least, self.settings = [], None, None
        self.comparison = self.particles = self._coming = self._of = None
        self.changed.emit()

    def start(self, steps: int, width: int, prediction: str) -> None:
        """Train a fresh network."""
        source = self._lab.source
        if source is None:
            return
        self.clear()
        self._of = source
        self._training.start(lambda: _trained(source, steps, width, prediction))
        self.changed.emit()

    def stop(self) -> None:
        """End the training; what was learned stays."""
        self._training.stop()
        self._on_ended()

    @Slot(object)
    def _on_trained(self, told: Any) -> None:
        if isinstance(told, tuple):
            self.settings, self.least = told
        else:
            self.steps.append(told)
            self.ask()
            if time.monotonic() - self._last_followed > EVERY_SECONDS:
                self.follow()
        self.changed.emit()

    @Slot()
    def _on_ended(self) -> None:
        self.follow()
        self.changed.emit()

    # -- what it says now -------------------------------------------------------------------------

    def ask(self) -> None:
        """Compare the fields at what is looked at."""
        lab, model, source = self._lab, self.model, self._lab.source
        if model is None or source is None or source is not self._of or lab.window is None:
            return
        # The estimate of clean data is the data: there is no error. And of another schedule than
        # its own the network has learned nothing.
        if lab.level.sigma <= 0 or lab.foreign:
            self.comparison = None
            self.compared.emit()
            return
        asked = lab.question(source, lab.window)
        self._box.put(lambda: _compared(lab, asked, model))

    @Slot(object)
    def _on_compared(self, compared: Compared) -> None:
        lab = self._lab
        if compared.asked.source is self._of and lab.level.sigma > 0 and not lab.foreign:
            self.comparison = compared
            self.compared.emit()

    def follow(self) -> None:
        """Send particles through the network by the present recipe."""
        model, spec = self.model, self._lab.spec
        if model is None or spec is None or (self._following.busy and self.training):
            return
        from diffview.models.exact.particles import particles

        plain = replace(spec, seeds=(0,), origin=None)
        if spec.guidance.kind not in ("none", "cfg"):
            return
        if self._lab.foreign:
            self.particles = None
            self.followed.emit()
            return
        coming = self._coming = particles(plain, FOLLOWED)
        self._last_followed = time.monotonic()
        self._following.start(lambda: _followed(model, coming))

    @Slot(object)
    def _on_followed(self, ready: int) -> None:
        """Shown when all are there: half a thousand of an older network would mislead."""

    @Slot()
    def _on_all_followed(self) -> None:
        self.particles, self._coming = self._coming, None
        self.followed.emit()


def _trained(source: ModelSource, steps: int, width: int, prediction: str) -> Iterator[Any]:
    from diffview.models.exact.mixture_denoiser import MixtureDenoiser
    from diffview.training.toy import ToySettings, least_loss, train_toy

    exact = source.model()
    if not isinstance(exact, MixtureDenoiser):
        raise InputError("a network learns from an exact model here: choose one, such as 'moons'")
    settings = ToySettings(
        steps=steps, width=width, prediction=prediction, report_every=REPORT_STEPS
    )
    yield settings, least_loss(exact, settings, draws=2000)
    yield from train_toy(exact.mixture, exact.card, settings)


def _followed(model: Any, coming: Particles) -> Iterator[int]:
    from diffview.models.exact.follow import follow

    yield from follow(model, coming)


def _compared(lab: PlaneLab, asked: Question, model: Any) -> Iterator[Compared]:
    from diffview.frames.plane_error import plane_error
    from diffview.frames.plane_field import draw, grid_of
    from diffview.models.exact.plane import guided_field

    grid = grid_of(asked.window, CELLS)
    exact = lab.fields.guided(asked, grid)
    learned = guided_field(model, grid, asked.level, asked.label)
    yield Compared(
        asked,
        draw(exact, asked.gamma),
        draw(learned, asked.gamma),
        plane_error(learned, exact, asked.gamma),
    )
