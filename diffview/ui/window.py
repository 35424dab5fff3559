"""The main window: panels left and right of the workspaces, wired to the controller."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import cast

from PySide6.QtCore import Qt, QTimer, Signal, Slot
from PySide6.QtGui import QCloseEvent, QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QMainWindow,
    QPushButton,
    QVBoxLayout,
)

from diffview.engine.trajectory import Trajectory
from diffview.models import catalog
from diffview.models.card import ModelCard
from diffview.ui import geometry, icons, theme
from diffview.ui.central import CentralArea
from diffview.ui.closing import Closing, loss_of
from diffview.ui.commands import Commands
from diffview.ui.controller import Controller
from diffview.ui.desk import Desk
from diffview.ui.docks import CardDock
from diffview.ui.files import Files
from diffview.ui.library import Library
from diffview.ui.panels.card import describe
from diffview.ui.panels.condition_panel import ConditionPanel
from diffview.ui.panels.guidance_panel import GuidancePanel
from diffview.ui.panels.model_panel import ModelPanel
from diffview.ui.panels.run_cards import RunCards
from diffview.ui.panels.sampling_panel import SamplingPanel
from diffview.ui.panels.transport import LOOPS, MAX_FPS
from diffview.ui.settings import Settings
from diffview.ui.state import Activity, Choices, Look, Notice
from diffview.ui.status import StatusBar
from diffview.ui.teaching import Teaching
from diffview.ui.timeline import RunTimeline
from diffview.ui.watchdog import Watchdog
from diffview.ui.workers import JobRunner
from diffview.ui.workspaces import Workspace
from diffview.ui.workspaces.denoising import Denoising

RUN_HELP = "Sample as chosen (Ctrl+Enter)"
UNSETTLED = "Settings changed: press Run"
UNSETTLED_HELP = "What is shown was sampled with other settings (Ctrl+Enter runs)"


class MainWindow(QMainWindow):
    """`runner_for` makes the job runner of a workspace; whoever gives it joins its thread."""

    closed = Signal()

    def __init__(
        self,
        controller: Controller,
        file_runner: JobRunner,
        settings: Settings,
        runner_for: Callable[[str], JobRunner],
    ) -> None:
        super().__init__()
        self.controller, self.settings = controller, settings
        self._runner_for = runner_for
        self._began = (0, False)
        self.files = Files(controller, file_runner, settings, self)
        self.library = Library(controller, runner_for, self)
        self.watchdog = Watchdog(self)
        self._build()
        self._connect()
        self._restore()
        controller.announce()

    # -- building -----------------------------------------------------------------------------

    def _build(self) -> None:
        self.setObjectName("mainWindow")
        self.setWindowTitle("diffview")
        self.setWindowIcon(icons.icon("diffview", 64))
        self.setAcceptDrops(True)
        self.setDockOptions(
            QMainWindow.DockOption.AnimatedDocks | QMainWindow.DockOption.AllowTabbedDocks
        )
        self._build_docks()  # first in the order of Tab, since they are on the left
        self.run_timeline = RunTimeline(self.controller)
        self.central = CentralArea(self._desk_for)
        self.notices, self.transport = self.central.notices, self.central.transport
        self.setCentralWidget(self.central)
        self._build_lessons()
        self.status = StatusBar()
        self.setStatusBar(self.status)
        self.commands = Commands(self)
        self._closing = Closing(self, self.close)
        # What a person does first is scrub; the space bar on a button would press that.
        self.transport.scrubber.setFocus()

    def _desk_for(self, name: str) -> Desk:
        return Desk(self.controller, self._runner_for(name), self.settings, self.run_timeline)

    def _build_docks(self) -> None:
        self.model_panel, self.condition_panel = ModelPanel(), ConditionPanel()
        self.guidance_panel, self.sampling_panel = GuidancePanel(), SamplingPanel()
        self.run_cards = RunCards(self.controller)
        left = (self.model_panel, self.condition_panel, self.guidance_panel, self.sampling_panel)
        self.left_dock = CardDock("Model and sampling", "leftDock", *left)
        self.right_dock = CardDock("Step", "rightDock", *self.run_cards.every, head=self._head())
        self.docks = [self.left_dock, self.right_dock]
        self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, self.left_dock)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.right_dock)
        self.resizeDocks(self.docks, [240, 262], Qt.Orientation.Horizontal)

    def _build_lessons(self) -> None:
        self.teaching = Teaching(self)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.teaching.dock)
        self.tabifyDockWidget(self.right_dock, self.teaching.dock)

    def _head(self) -> QVBoxLayout:
        """The buttons above the right dock's cards, and the hint below them."""
        self.run_button = QPushButton("Run")
        self.run_button.setProperty("primary", True)
        describe(self.run_button, "Run", RUN_HELP, "runButton")
        self.stop_button = QPushButton("Stop")
        describe(self.stop_button, "Stop", "Stop sampling; the steps so far stay (Esc)",
                 "stopButton")  # fmt: skip
        self.export_button = QPushButton("Export…")
        describe(self.export_button, "Export", "Write pictures, an animation, or the numbers "
                 "(Ctrl+E)", "exportButton")  # fmt: skip
        self.hint = QLabel(UNSETTLED)
        self.hint.setProperty("role", "warn")
        self.hint.setWordWrap(True)
        self.hint.setObjectName("unsettledHint")
        self.hint.hide()
        # Told after the event: what follows a change by itself has begun by then.
        self._hint_due = QTimer(self, singleShot=True, interval=0)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self.run_button, self.stop_button, self.export_button):
            buttons.addWidget(button, 1)
        head = QVBoxLayout()
        head.addLayout(buttons)
        head.addWidget(self.hint)
        return head

    def _connect(self) -> None:
        c = self.controller
        self.run_button.clicked.connect(partial(self.commands.do, "run"))
        self._hint_due.timeout.connect(self._on_hint_due)
        self.stop_button.clicked.connect(c.stop)
        self.export_button.clicked.connect(self.commands.export)
        self.model_panel.modelRequested.connect(c.choose_model)
        self.model_panel.openRequested.connect(self.commands.open)
        self.model_panel.folderRequested.connect(self.commands.open_folder)
        self.model_panel.hubRequested.connect(self.commands.fetch)
        self.model_panel.placeRequested.connect(c.choose_place)
        self.condition_panel.conditionRequested.connect(c.choose_condition)
        self.condition_panel.negativeRequested.connect(c.choose_negative)
        self.guidance_panel.guidanceRequested.connect(c.choose_guidance)
        self.guidance_panel.guidanceSettled.connect(c.end_drag)
        self.guidance_panel.kindRequested.connect(c.choose_guidance_kind)
        self.guidance_panel.guideRequested.connect(c.choose_guide)
        self.guidance_panel.curveRequested.connect(c.choose_curve)
        self.guidance_panel.curveMisread.connect(c.note_misread)
        self.guidance_panel.optionRequested.connect(c.choose_option)
        self.sampling_panel.samplerRequested.connect(c.choose_sampler)
        self.sampling_panel.stepsRequested.connect(c.choose_steps)
        self.sampling_panel.spacingRequested.connect(c.choose_spacing)
        self.sampling_panel.seedsRequested.connect(c.choose_seeds)
        self.run_cards.cardsChanged.connect(self._on_run_cards)
        self.run_cards.back.possible.connect(self.commands.show_possible)
        self.files.pictureOpened.connect(self.run_cards.back.note_picture)
        self.sampling_panel.optionRequested.connect(c.choose_option)
        c.modelsChanged.connect(self._on_models)
        c.modelChanged.connect(self._on_model)
        c.choicesChanged.connect(self._on_choices)
        c.lookChanged.connect(self._on_look)
        c.runReplaced.connect(self._on_run_replaced)
        c.runGrew.connect(self._on_run_grew)
        c.activityChanged.connect(self._on_activity)
        c.noticed.connect(self.notices.show_notice)
        c.begunAnew.connect(self.notices.forget)
        self.files.begunAnew.connect(self.notices.forget)
        self.files.noticed.connect(self.notices.show_notice)
        self.library.noticed.connect(self.notices.show_notice)
        self.watchdog.noticed.connect(self.notices.show_notice)
        c.activityChanged.connect(self.watchdog.show_activity)
        self.library.openRequested.connect(self.files.open)
        self.files.pictureOpened.connect(self.central.take_picture)
        self.files.lessonOpened.connect(self.teaching.open)
        self.files.pointsOpened.connect(self.central.show_points)
        self.central.workspaceChanged.connect(self._on_workspace)

    # -- facts --------------------------------------------------------------------------------

    @Slot()
    def _on_run_cards(self) -> None:
        if self.central.name and self.central.current.cards is None:
            self.right_dock.show_only(self.run_cards.cards)

    @Slot(object)
    def _on_workspace(self, workspace: Workspace) -> None:
        own = workspace.cards is not None
        self.run_cards.show_or_not(not own)
        cards = workspace.cards if workspace.cards is not None else self.run_cards.cards
        self.right_dock.show_only(cards)
        self.commands.actions[f"workspace_{self.central.name}"].setChecked(True)
        self._show_hint()

    @Slot(object)
    def _on_models(self, cards: list[ModelCard]) -> None:
        self.model_panel.show_models(cards)
        self.guidance_panel.show_guides(self.controller.known)

    @Slot(object)
    def _on_model(self, card: ModelCard) -> None:
        c = self.controller
        self.model_panel.show_model(card, c.source.facts)
        self._show_place()
        self.condition_panel.show_model(card)
        self.guidance_panel.show_model(card)
        self.sampling_panel.show_model(card)

    def _show_place(self) -> None:
        source = self.controller.source
        room = source.room if source.ready else None
        self.model_panel.show_place(source.card, source.place, source.numbers, room)

    @Slot(object)
    def _on_choices(self, choices: Choices) -> None:
        self.condition_panel.show_classes(self.controller.classes)
        self.condition_panel.show_state(choices)
        self._show_outlook()
        self.guidance_panel.show_activity(self.controller.activity, self._previewing)
        self._show_hint()

    def _show_outlook(self) -> None:
        """What is chosen, and what stands against it where a run or a branch would begin."""
        choices, outlook = self.controller.choices, self.controller.outlook
        self._began = self._begins
        self.guidance_panel.show_state(choices, self.controller.guidable, outlook)
        self.sampling_panel.show_state(choices, outlook)

    @property
    def _begins(self) -> tuple[int, bool]:
        left, here = self.controller.leaving
        return left, here > 0

    def _show_hint(self) -> None:
        """Whether what is shown is what is chosen; what cannot be run is not offered."""
        own = bool(self.central.name) and self.central.current.runs_its_own
        obstacle = "" if own else self.controller.obstacle
        self.run_button.setEnabled(not obstacle)
        self.run_button.setToolTip(f"Cannot be run: {obstacle}" if obstacle else RUN_HELP)
        if obstacle:
            self._tell_hint(f"Cannot be run: {obstacle}", obstacle)
        self._hint_due.start()

    @Slot()
    def _on_hint_due(self) -> None:
        """What is shown is not what is chosen, and nothing is under way to make it so."""
        if self.run_button.isEnabled():
            settled = self.controller.closed or self.controller.settled
            self._tell_hint("" if settled else UNSETTLED, UNSETTLED_HELP)

    def _tell_hint(self, text: str, help: str) -> None:
        self.hint.setText(text)
        self.hint.setToolTip(help)
        self.hint.setVisible(bool(text))

    @property
    def _previewing(self) -> bool:
        return self.controller.look.guidance_scale is not None

    @Slot(object)
    def _on_look(self, look: Look) -> None:
        if self._begins != self._began:
            self._show_outlook()
        self.guidance_panel.show_activity(self.controller.activity, self._previewing)

    @Slot(object)
    def _on_run_replaced(self, run: Trajectory) -> None:
        self._show_outlook()
        self._show_hint()
        self._show_place()

    @Slot(object)
    def _on_run_grew(self, run: Trajectory) -> None:
        self.status.show_run(run, self.controller.about)

    @Slot(object)
    def _on_activity(self, activity: Activity) -> None:
        self.stop_button.setEnabled(activity.busy)
        self._show_hint()
        self.export_button.setEnabled(self.controller.run is not None)
        self.status.show_activity(activity)
        self.guidance_panel.show_activity(activity, self._previewing)

    # -- look and layout ----------------------------------------------------------------------

    @property
    def denoising(self) -> Denoising:
        """The workspace of that name."""
        return cast(Denoising, self.central.workspace("denoising"))

    @Slot(object)
    def tell(self, notice: Notice) -> None:
        """Show a message."""
        self.notices.show_notice(notice)

    def use_theme(self, name: str) -> None:
        """Dress the application: "light", "dark", or "system"."""
        theme.use(name)
        self.central.show_theme()
        self.run_cards.show_theme()
        self.teaching.dock.show_theme()
        for dock in self.docks:
            dock.make_room()

    def _restore(self) -> None:
        get = self.settings.get
        geometry.restore(self, self.settings)
        self.transport.show_loop(get("loop", 0) % len(LOOPS))
        self.transport.fps.setValue(max(1, min(get("fps", 12), MAX_FPS)))
        self.central.go_to(get("workspace", ""))

    def _remember(self) -> None:
        self.settings.save(
            **geometry.remembered(self),
            loop=LOOPS.index(self.transport.loop_mode),
            fps=self.transport.fps.value(),
            workspace=self.central.name,
        )
        if self.controller.card.id in {e.card.id for e in (*catalog.bundled(), *catalog.own())}:
            # Those of a model of this process mean nothing to the next launch.
            self.settings.save(choices=self.controller.remembered())

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the layout and go; whoever listens to `closed` joins the threads."""
        agreed = all(workspace.may_close() for workspace in self.central.made())
        if not agreed or not self._closing.may_close(self._losses()):
            event.ignore()
            return
        self.transport.pause()
        self._remember()
        for workspace in self.central.made():
            workspace.closing()
        for dialog in self.findChildren(QDialog):
            dialog.hide()
        self.hide()
        self.closed.emit()
        event.accept()

    def _losses(self) -> list[str]:
        """What would be lost by closing now, in words."""
        c = self.controller
        losses = self.files.losses() + self.library.losses()
        return losses + loss_of(c.run, self.files.saved, c.activity.busy)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files may be dropped anywhere on the window."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Open what is dropped."""
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if paths:
            self.files.open(paths[0])
        else:
            text = "Only files on this computer can be dropped: save it first, then drop the file."
            self.tell(Notice(text, "warning"))
        if len(paths) > 1:
            text = f"{len(paths)} files were dropped; {paths[0].name} is opened."
            self.tell(Notice(text, "warning"))
