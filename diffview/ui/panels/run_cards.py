"""The cards of the shown run: its step in numbers, its noise levels, the pixel under the mouse."""

from __future__ import annotations

from PySide6.QtCore import QObject, Slot

from diffview.engine.trajectory import Trajectory
from diffview.frames import compose as frames
from diffview.frames.compose import Frame
from diffview.ui import theme
from diffview.ui.controller import Controller
from diffview.ui.panels.card import Card
from diffview.ui.panels.step_panel import MousePanel, StepPanel
from diffview.ui.state import Look
from diffview.ui.views.level_plot import LevelPlot


class RunCards(QObject):
    """Keeps its cards up to date while they are shown."""

    def __init__(self, store: Controller) -> None:
        super().__init__(store)
        self._store = store
        self._shown = False
        self.step, self.mouse, self.plot = StepPanel(), MousePanel(), LevelPlot()
        self._plot_card = Card("NOISE OVER THE RUN")
        self._plot_card.body.addWidget(self.plot)
        self.cards = (self.step, self._plot_card, self.mouse)
        self._connect()

    def _connect(self) -> None:
        store = self._store
        self.plot.stepRequested.connect(store.scrub_to)
        self.step.stageRequested.connect(store.choose_stage)
        store.lookChanged.connect(self._on_look)
        store.runReplaced.connect(self._on_run_replaced)
        store.frameChanged.connect(self._on_frame)
        store.pointed.connect(self._on_pointed)
        store.unpointed.connect(self.mouse.show_nothing)

    def show_or_not(self, shown: bool) -> None:
        """Whether these cards are on show; if so, they catch up."""
        self._shown = shown
        store = self._store
        if shown and store.run is not None:
            self._on_run_replaced(store.run)
            self._on_look(store.look)
            if store.frame is not None:
                self._on_frame(store.frame)

    def show_theme(self) -> None:
        """The plot in the present colours."""
        self.plot.show_theme(theme.current())

    @Slot(object)
    def _on_look(self, look: Look) -> None:
        if self._shown:
            self.plot.show_cursor(look.index)

    @Slot(object)
    def _on_run_replaced(self, run: Trajectory) -> None:
        if self._shown:
            self.plot.show_levels(run.levels)

    @Slot(object)
    def _on_frame(self, frame: Frame) -> None:
        run, look = self._store.run, self._store.look
        if self._shown and run is not None and look.index < len(run):
            self.step.show_stages(run[look.index], look.stage)
            record = frames.at_stage(run[look.index], look.stage)
            record = frames.at_scale(run, record, look.guidance_scale)
            self.step.show_step(record, look.sample, run.spec.n_steps)

    @Slot(int, int, int)
    def _on_pointed(self, sample: int, row: int, column: int) -> None:
        frame = self._store.frame
        if frame is not None:
            self.mouse.show_values(frame, sample, row, column)
