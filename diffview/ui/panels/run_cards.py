"""The cards of the shown run: its step in numbers, its noise levels, the pixel under the mouse."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal, Slot
from PySide6.QtWidgets import QWidget

from diffview.engine.origin import in_force
from diffview.engine.trajectory import Trajectory
from diffview.frames import compose as frames
from diffview.frames import tokens
from diffview.frames.compose import Frame
from diffview.ui import theme
from diffview.ui.controller import Controller
from diffview.ui.panels.card import Card
from diffview.ui.panels.step_panel import MousePanel, StepPanel
from diffview.ui.panels.stepping_back import SteppingBack
from diffview.ui.panels.token_panel import TokenPanel
from diffview.ui.state import Look
from diffview.ui.views.entropy_plot import EntropyPlot
from diffview.ui.views.level_plot import LevelPlot


class RunCards(QObject):
    """Keeps its cards up to date while they are shown."""

    cardsChanged = Signal()
    """A run of the other kind is shown: it has other cards."""

    def __init__(self, store: Controller) -> None:
        super().__init__(store)
        self._store = store
        self._shown = False
        self.step, self.mouse, self.plot = StepPanel(), MousePanel(), LevelPlot()
        self._plot_card = Card("NOISE OVER THE RUN")
        self._plot_card.body.addWidget(self.plot)
        self.token, self.entropy = TokenPanel(), EntropyPlot()
        self._entropy_card = Card("ENTROPY OVER THE RUN")
        self._entropy_card.body.addWidget(self.entropy)
        self._by_token = False
        self.back = SteppingBack(store)
        self._connect()

    @property
    def every(self) -> tuple[QWidget, ...]:
        """Those of both kinds, in their order."""
        of_both = (self.back.panel, self.back.errors)
        return (*of_both, self.step, self._plot_card, self.token, self._entropy_card, self.mouse)

    @property
    def cards(self) -> tuple[QWidget, ...]:
        """Those of the shown run's kind."""
        if self._by_token:
            return (self.back.panel, self.token, self._entropy_card, self.mouse)
        errors = (self.back.errors,) if self.back.inverted else ()
        return (self.back.panel, *errors, self.step, self._plot_card, self.mouse)

    def _connect(self) -> None:
        store = self._store
        self.plot.stepRequested.connect(store.scrub_to)
        self.entropy.stepRequested.connect(store.scrub_to)
        self.step.stageRequested.connect(store.choose_stage)
        store.lookChanged.connect(self._on_look)
        store.runReplaced.connect(self._on_run_replaced)
        store.frameChanged.connect(self._on_frame)
        store.pointed.connect(self._on_pointed)
        store.unpointed.connect(self.mouse.show_nothing)
        self.back.cardsChanged.connect(self.cardsChanged)

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
        """The plots in the present colours."""
        self.plot.show_theme(theme.current())
        self.entropy.update()
        self.back.errors.show_theme()

    @Slot(object)
    def _on_look(self, look: Look) -> None:
        if self._shown:
            self.plot.show_cursor(look.index)

    @Slot(object)
    def _on_run_replaced(self, run: Trajectory) -> None:
        if run.spec.by_token != self._by_token:
            self._by_token = run.spec.by_token
            self.cardsChanged.emit()
        if self._shown and not self._by_token:
            self.plot.show_levels(run.levels)

    @Slot(object)
    def _on_frame(self, frame: Frame) -> None:
        run, look = self._store.run, self._store.look
        if self._shown and run is not None and look.index < len(run) and self._by_token:
            self._show_token(run, look)
        elif self._shown and run is not None and look.index < len(run):
            self.step.show_stages(run[look.index], look.stage)
            record = frames.at_stage(run[look.index], look.stage)
            record = frames.at_scale(run, record, look.guidance_scale)
            self.step.show_step(record, look.sample, run.spec.n_steps)

    def _show_token(self, run: Trajectory, look: Look) -> None:
        part = in_force(run.spec, run[look.index].i)
        record = frames.at_scale(run, run[look.index], look.guidance_scale)
        scale = part.guidance.scale if look.guidance_scale is None else look.guidance_scale
        gamma = part.gamma(record.level, scale)
        self.token.show_step(record, part, gamma, look.sample, self._store.decoding.quick)
        known = run[len(run) - 1].written
        if known is not None:
            row, codes = known.entropy[look.sample], tokens.codes(record)
            self.entropy.show_entropy(row, run.spec.n_steps, codes, run.stride)
            self.entropy.show_cursor(record.i)

    @Slot(int, int, int)
    def _on_pointed(self, sample: int, row: int, column: int) -> None:
        frame = self._store.frame
        if frame is not None:
            self.mouse.show_values(frame, sample, row, column)
