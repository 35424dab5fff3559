"""How far the particles are from the density that guidance is said to sample, at every step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Schedule
from diffview.engine.spec import RunSpec
from diffview.errors import InputError
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox
from diffview.ui.plane_lab import PlaneLab
from diffview.ui.slices import Slices
from diffview.ui.workers import JobRunner

if TYPE_CHECKING:
    from diffview.models.exact.particles import Particles
    from diffview.models.exact.plane import Gap

ENOUGH = 1_000
"""Fewer particles say little about a density."""


class Gaps(QObject):
    """The gap at the shown step, and those of all steps one after the other.

    `gap` is (Gap to p_gamma, Gap to p(. | y), step); `by_step` the distances known so far.
    """

    changed = Signal()
    failed = Signal(object)

    def __init__(self, lab: PlaneLab, runner: JobRunner, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._lab = lab
        self.active = False
        self.reason = ""
        self.gap: tuple[Gap, Gap, int] | None = None
        self.by_step: dict[int, tuple[Gap, Gap]] = {}
        self._of: tuple[Any, ...] = ()
        self._asked_all = False
        self._box, self._slices = Mailbox(runner, self), Slices(runner, self)
        self._box.told.connect(self._on_gap)
        self._slices.told.connect(self._on_one_of_all)
        for work in (self._box, self._slices):
            work.failed.connect(self._on_failed)
        lab.stepped.connect(self.ask)
        lab.particlesChanged.connect(self.ask)
        lab.particlesEnded.connect(self.ask)

    def start(self) -> None:
        """From now on."""
        self.active = True
        self.ask()

    def stop(self) -> None:
        """Until the next start, which goes on with what is missing."""
        self.active = False
        if self._slices.busy:
            self._asked_all = False
        self._slices.stop()

    @Slot()
    def ask(self) -> None:
        """Have the gap of the shown step computed; and those of all once there are particles."""
        lab, particles = self._lab, self._lab.particles
        source, label = lab.source, lab.label
        if not self.active:
            return
        few = particles is None or particles.ready < ENOUGH
        if source is None or label is None or particles is None or few or lab.by_another:
            self.gap, self.by_step, self._of = None, {}, ()
            self.reason = _why(label, lab.by_another)
            self.changed.emit()
            return
        of = (particles, particles.ready, label)
        if of != self._of:
            self._of, self.by_step, self._asked_all = of, {}, False
            self._slices.stop()
        if not (self._asked_all or lab.following):
            self._asked_all, known_steps = True, frozenset(self.by_step)
            self._slices.start(lambda: _all(source, particles, label, known_steps))
        step = min(lab.step, len(particles.paths) - 1)
        known = self.by_step.get(step)
        if known is not None:
            self.gap = (*known, step)
            self.changed.emit()
        else:
            self._box.put(lambda: _one(source, particles, label, step))

    @Slot(object)
    def _on_gap(self, told: tuple[int, Gap, Gap] | str) -> None:
        if isinstance(told, str):
            self.reason, self.gap = told, None
        else:
            step, free, plain = told
            self.reason, self.gap = "", (free, plain, step)
        self.changed.emit()

    @Slot(object)
    def _on_one_of_all(self, told: tuple[int, Gap, Gap] | str) -> None:
        if not isinstance(told, str):
            self.by_step[told[0]] = told[1], told[2]
            self.changed.emit()

    @Slot(object)
    def _on_failed(self, error: object) -> None:
        self.failed.emit(error)


def asked_gamma(spec: RunSpec) -> float:
    """γ of the density that a run is compared with: the whole run's, also where a curve or an
    interval changes what acts; 1 where nothing guides."""
    return spec.guidance.scale if spec.guidance.kind == "cfg" else 1.0


def varies(spec: RunSpec, schedule: Schedule) -> bool:
    """Whether another γ than the run's acts at some of its steps."""
    if spec.guidance.kind != "cfg":
        return False
    moved_from = spec.levels(schedule)[:-1]
    return any(spec.gamma(level) != spec.guidance.scale for level in moved_from)


def _why(label: int | None, by_another: bool) -> str:
    """Why there is nothing to compare, "" if that will change by itself."""
    if label is None:
        return "Choose one class: guidance steers to it"
    return "Choose classifier-free guidance: its density is known" if by_another else ""


def _all(
    source: ModelSource, particles: Particles, label: int, known: frozenset[int]
) -> Iterator[Any]:
    """What is not known yet, from the clean end, where the question is asked, to the noise."""
    for step in reversed(range(len(particles.paths))):
        if step not in known:
            yield from _one(source, particles, label, step)


def _one(source: ModelSource, particles: Particles, label: int, step: int) -> Iterator[Any]:
    """(step, gap to p_gamma, gap to p(. | y)), or why there is none."""
    from diffview.models.exact.mixture_denoiser import MixtureDenoiser
    from diffview.models.exact.plane import gap, gap_grid, guided_field

    model, spec = source.model(), particles.spec
    if not isinstance(model, MixtureDenoiser):
        yield "A network knows no density to compare with: choose an exact model"
        return
    levels: tuple[NoiseLevel, ...] = tuple(spec.levels(model.schedule))
    level, points = levels[step], particles.at(step).astype(float)
    try:
        field = guided_field(model, gap_grid(model.mixture, level, points), level, label)
        yield step, gap(field, asked_gamma(spec), points), gap(field, 1.0, points)
    except InputError as error:
        yield str(error)
