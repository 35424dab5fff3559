"""Denoising: a run step by step, in two linked panes."""

from __future__ import annotations

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QSplitter, QVBoxLayout

from diffview.engine.trajectory import Trajectory
from diffview.frames.compose import Frame
from diffview.frames.quantities import find
from diffview.ui.desk import Desk
from diffview.ui.panels.pane import PanePanel, link
from diffview.ui.state import Activity, Look
from diffview.ui.workspaces import Workspace, workspace


@workspace(
    name="denoising",
    title="Denoising",
    icon="denoising",
    place=10,
    needs="run",
    help="A run step by step: the state and the one-step estimate side by side",
)
class Denoising(Workspace):
    """The two panes; the scrubber below them runs over the shown run."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.left = PanePanel("left", "xtView")
        self.right = PanePanel("right", "x0HatView")
        self.panes = (self.left, self.right)
        self.reset_zoom = link(self.left.view, self.right.view)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        for place, pane in enumerate(self.panes):
            splitter.addWidget(pane)
            splitter.setStretchFactor(place, 1)
        splitter.setSizes([1000, 1000])
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(splitter)

    def _connect(self) -> None:
        store = self.desk.store
        for side, pane in enumerate(self.panes):
            pane.paneRequested.connect(lambda chosen, side=side: store.choose_pane(side, chosen))
            pane.view.sampleSelected.connect(store.select_sample)
            pane.view.focusRequested.connect(store.focus_sample)
            pane.view.hovered.connect(store.pointed)
            pane.view.unhovered.connect(store.unpointed)
        self.listen(store.lookChanged, self._on_look)
        self.listen(store.runReplaced, self._on_run_replaced)
        self.listen(store.frameChanged, self._on_frame)
        self.listen(store.activityChanged, self._on_activity)

    def refresh(self) -> None:
        """Show the run, the step and the samples that are looked at."""
        store = self.desk.store
        self._on_look(store.look)
        if store.run is not None:
            self._on_run_replaced(store.run)
        if store.frame is not None:
            self._on_frame(store.frame)
        self._on_activity(store.activity)

    def show_theme(self) -> None:
        """Symbols and rings in the present colours."""
        for pane in self.panes:
            pane.show_theme()

    def do(self, command: str) -> bool:
        """Zoom is the panes' own; Esc leads back from it once nothing is left to stop."""
        if command == "reset_zoom":
            self.reset_zoom()
        elif command == "stop" and self.left.view.how_narrow and not self._busy:
            self.left.view.widen()
        else:
            return False
        return True

    @property
    def _busy(self) -> bool:
        return self.desk.store.activity.busy

    @Slot(object)
    def _on_look(self, look: Look) -> None:
        for pane, shown in zip(self.panes, look.panes, strict=True):
            pane.show_pane(shown)
            pane.view.show_selection(look.sample)
            pane.view.show_focus(look.focus)

    @Slot(object)
    def _on_run_replaced(self, run: Trajectory) -> None:
        for pane in self.panes:
            pane.show_run_kind(run.guided, run.spec.by_token)

    @Slot(object)
    def _on_frame(self, frame: Frame) -> None:
        for pane, tiles in zip(self.panes, frame.tiles, strict=True):
            pane.view.show_tiles(tiles)
            pane.show_coded(bool(frame.lens))
            lens = frame.lens or ("numbers" if frame.by_token else "")
            pane.show_lens(lens if find(tiles.quantity).state else "")

    @Slot(object)
    def _on_activity(self, activity: Activity) -> None:
        if self.desk.store.run is None:
            text = "Loading the model…" if activity.busy else "Press Run"
            for pane in self.panes:
                pane.view.show_message(text)
