"""What a run did over t, and the loss of its model: the state behind the plots of the anatomy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.levels import NoiseLevel
from diffview.engine.spec import Condition
from diffview.engine.trajectory import Float32, Trajectory
from diffview.frames import curves
from diffview.frames.curves import Float64
from diffview.ui.desk import Desk
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox

MOST_LEVELS = 25
"""The loss is measured at so many levels of the run, evenly chosen."""
NOISES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The curves of frames.curves over the first `count` records: (count, B) each.

    expected: that of `curves.expected_norm`, once the run is complete.
    """

    run: Trajectory
    count: int = 0
    rows: dict[str, Float64] = field(default_factory=dict)
    expected: Float64 | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Losses:
    """Losses (n, S) at levels (n,), NaN where they are not measured yet."""

    run: Trajectory
    of: str
    levels: tuple[NoiseLevel, ...]
    values: Float64

    @property
    def done(self) -> int:
        """How many levels are measured."""
        return int(np.isfinite(self.values[:, 0]).sum())


class OverT(QObject):
    """Follows one run; works in the desk's own thread."""

    grown = Signal()
    """`table` is of more records, or of another run."""
    measured = Signal()
    """`losses` are others."""
    failed = Signal(object)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self.table: Table | None = None
        self.losses: Losses | None = None
        self.measuring = False
        self._ask: Callable[[NoiseLevel], Float64] | None = None
        self._wanted: Trajectory | None = None
        self._counter, self._measurer = Mailbox(desk.jobs, self), Mailbox(desk.jobs, self)
        self._counter.told.connect(self._on_counted)
        self._counter.failed.connect(self.failed)
        self._measurer.told.connect(self._on_measured)
        self._measurer.failed.connect(self._on_failed)

    # -- curves -------------------------------------------------------------------------------

    def follow(self, run: Trajectory) -> None:
        """Count what there is of this run and was not counted yet."""
        self._wanted = run
        if self.measuring and self.losses is not None and self.losses.run is not run:
            self.stop()
        if not self._counter.busy:
            self._count()

    def _count(self) -> None:
        run = self._wanted
        if run is None or run.spec.by_token:
            return
        table = self.table if self.table is not None and self.table.run is run else Table(run)
        if table.count < len(run):
            self._counter.put(lambda: _counted(table))

    @Slot(object)
    def _on_counted(self, table: Table) -> None:
        if table.run is self._wanted:
            self.table = table
            self.grown.emit()
        self._count()

    # -- loss ---------------------------------------------------------------------------------

    def measure(
        self, run: Trajectory, source: ModelSource, x_0: Float32, of: str, condition: Condition
    ) -> None:
        """Measure the loss on a clean picture (*D), called `of`, over the run's levels."""
        levels = _some([record.level for record in run if record.level.sigma > 0])
        self.losses = Losses(run, of, levels, np.full((len(levels), NOISES), np.nan))
        self._ask = lambda level: _loss_at(source, condition, x_0, level)
        self.measuring = True
        self._measure_next()
        self.measured.emit()

    def _measure_next(self) -> None:
        """One level a job: between two of them the thread counts what a run has got."""
        losses, ask = self.losses, self._ask
        self.measuring = losses is not None and losses.done < len(losses.levels)
        if losses is None or ask is None or not self.measuring:
            return
        k = losses.done

        def make() -> Iterator[Losses]:
            values = losses.values.copy()
            values[k] = ask(losses.levels[k])
            yield replace(losses, values=values)

        self._measurer.put(make)

    def stop(self) -> None:
        """Measure no more; what is measured stays."""
        self.measuring = False
        self._measurer.clear()
        self.measured.emit()

    @Slot(object)
    def _on_measured(self, losses: Losses) -> None:
        if self.losses is None or losses.levels is not self.losses.levels or not self.measuring:
            return
        self.losses = losses
        self._measure_next()
        self.measured.emit()

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self.losses, self.measuring = None, False
        self.measured.emit()
        self.failed.emit(error)


def _some(levels: list[NoiseLevel]) -> tuple[NoiseLevel, ...]:
    """At most MOST_LEVELS of them, the first and the last among them."""
    if len(levels) <= MOST_LEVELS:
        return tuple(levels)
    places = np.linspace(0, len(levels) - 1, MOST_LEVELS).round().astype(int)
    return tuple(levels[place] for place in places)


def _counted(table: Table) -> Iterator[Table]:
    """The table with what its run has got meanwhile."""
    run = table.run.snapshot()
    rows = {}
    for name in curves.CURVES:
        new = curves.rows(run, name, table.count)
        rows[name] = np.concatenate([table.rows[name], new]) if table.count else new
    expected = curves.expected_norm(run) if run.complete else None
    yield Table(table.run, len(run), rows, expected)


def _loss_at(
    source: ModelSource, condition: Condition, x_0: Float32, level: NoiseLevel
) -> Float64:
    """(NOISES,) losses at one level; in a worker's thread."""
    from diffview.models import denoising_loss

    seeds = tuple(range(NOISES))
    made = denoising_loss.losses(source.model(), condition, x_0, (level,), seeds)
    return next(made)[1]
