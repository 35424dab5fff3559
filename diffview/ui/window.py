"""The main window: puts panels and views around the controller, and nothing else."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any, cast

import numpy as np
from PySide6.QtCore import QByteArray, Qt, Signal, Slot
from PySide6.QtGui import QAction, QCloseEvent, QDragEnterEvent, QDropEvent, QImage, QKeySequence
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QDialog,
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QMainWindow,
    QMessageBox,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

import diffview
from diffview.engine.trajectory import Trajectory
from diffview.frames import compose as frames
from diffview.frames.compose import Frame
from diffview.frames.sheet import Layout, sheet
from diffview.models import catalog
from diffview.models.card import ModelCard
from diffview.ui import icons, theme
from diffview.ui.actions import COMMANDS, MENUS
from diffview.ui.controller import Controller
from diffview.ui.dialogs import CommandPalette, HelpDialog, PreferencesDialog
from diffview.ui.files import Files
from diffview.ui.panels.card import Card, describe
from diffview.ui.panels.condition_panel import ConditionPanel
from diffview.ui.panels.guidance_panel import GuidancePanel
from diffview.ui.panels.model_panel import ModelPanel
from diffview.ui.panels.notice_bar import NoticeBar
from diffview.ui.panels.pane import PanePanel, link
from diffview.ui.panels.sampling_panel import SamplingPanel
from diffview.ui.panels.step_panel import MousePanel, StepPanel
from diffview.ui.panels.transport import LOOPS, MAX_FPS, Transport
from diffview.ui.settings import Settings
from diffview.ui.state import Activity, Choices, Look, Notice
from diffview.ui.views.level_plot import LevelPlot
from diffview.ui.workers import JobRunner

LAYOUT_VERSION = 1
SPARE = 6
"""Room beside a scroll bar (px)."""
PREFERENCES: dict[str, Any] = {"theme": "system", "budget_mb": 2048, "autorun": True}


class MainWindow(QMainWindow):
    """Panels left and right, the two panes in the middle, the transport below them."""

    closed = Signal()

    def __init__(self, controller: Controller, file_runner: JobRunner, settings: Settings) -> None:
        super().__init__()
        self.controller, self.settings = controller, settings
        self.files = Files(controller, file_runner, settings, self)
        self._strip: list[Any] = []
        self._strip_key: tuple[Any, ...] = ()
        self._build()
        self._connect()
        self._restore_layout()
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
        self._build_panels()
        self._build_middle()
        self._build_docks()
        self._build_status()
        self._build_actions()

    def _build_panels(self) -> None:
        self.model_panel, self.condition_panel = ModelPanel(), ConditionPanel()
        self.guidance_panel, self.sampling_panel = GuidancePanel(), SamplingPanel()
        self.step_panel, self.mouse_panel = StepPanel(), MousePanel()
        self.plot_card = Card("NOISE OVER THE RUN")
        self.plot = LevelPlot()
        self.plot_card.body.addWidget(self.plot)
        self.run_button = QPushButton("Run")
        self.run_button.setProperty("primary", True)
        describe(self.run_button, "Run", "Sample as chosen (Ctrl+Enter)", "runButton")
        self.stop_button = QPushButton("Stop")
        describe(self.stop_button, "Stop", "Stop sampling; the steps so far stay (Esc)",
                 "stopButton")  # fmt: skip
        self.export_button = QPushButton("Export…")
        describe(self.export_button, "Export", "Write pictures, an animation, or the numbers "
                 "(Ctrl+E)", "exportButton")  # fmt: skip

        self.hint = QLabel("Settings changed: press Run")
        self.hint.setProperty("role", "warn")
        self.hint.setObjectName("unsettledHint")
        self.hint.setToolTip("What is shown was sampled with other settings (Ctrl+Enter runs)")
        self.hint.hide()

    def _build_middle(self) -> None:
        self.left = PanePanel("left", "xtView")
        self.right = PanePanel("right", "x0HatView")
        self.reset_zoom = link(self.left.view, self.right.view)
        self.notices = NoticeBar()
        self.transport = Transport()
        panes = QSplitter(Qt.Orientation.Horizontal)
        panes.setChildrenCollapsible(False)
        panes.addWidget(self.left)
        panes.addWidget(self.right)
        for place in (0, 1):
            panes.setStretchFactor(place, 1)
        panes.setSizes([1000, 1000])
        middle = QWidget()
        body = QVBoxLayout(middle)
        body.setContentsMargins(0, 8, 0, 0)
        body.setSpacing(8)
        body.addWidget(self.notices)
        body.addWidget(panes, 1)
        body.addWidget(self.transport)
        self.setCentralWidget(middle)

    def _build_docks(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self.run_button, self.stop_button, self.export_button):
            buttons.addWidget(button, 1)
        buttons_and_hint = QVBoxLayout()
        buttons_and_hint.addLayout(buttons)
        buttons_and_hint.addWidget(self.hint)
        left = (self.model_panel, self.condition_panel, self.guidance_panel, self.sampling_panel)
        right = (self.step_panel, self.plot_card, self.mouse_panel)
        self.left_dock = self._dock("Model and sampling", "leftDock", _column(None, *left))
        self.right_dock = self._dock("Step", "rightDock", _column(buttons_and_hint, *right))
        self.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, self.left_dock)
        self.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.right_dock)
        docks = [self.left_dock, self.right_dock]
        self.resizeDocks(docks, [240, 262], Qt.Orientation.Horizontal)

    def _dock(self, title: str, name: str, content: QWidget) -> QDockWidget:
        dock = QDockWidget(title)
        dock.setObjectName(name)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(content)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        dock.setWidget(area)
        return dock

    def _build_status(self) -> None:
        self.status_text = QLabel()
        self.status_text.setObjectName("statusText")
        self.status_text.setToolTip(
            "Where the shown run was sampled, the typical time of one step for all samples, "
            "network evaluations of one sample, and the memory its steps take"
        )
        self.status_left = QLabel()
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedWidth(180)
        describe(self.progress, "Progress", "How far the run is", "statusProgress")
        bar = self.statusBar()
        bar.setContentsMargins(12, 0, 8, 0)
        bar.addWidget(self.status_text, 1)
        bar.addPermanentWidget(self.status_left)
        bar.addPermanentWidget(self.progress)

    def _build_actions(self) -> None:
        menus = {name: self.menuBar().addMenu(name) for name in MENUS}
        self._actions: dict[str, QAction] = {}
        for command in COMMANDS:
            action = QAction(command.text, self)
            action.setObjectName(f"action_{command.name}")
            action.setToolTip(command.help)
            action.setShortcuts([QKeySequence(keys) for keys in command.keys])
            action.triggered.connect(getattr(self, f"_do_{command.name}"))
            menus[command.menu].addAction(action)
            self.addAction(action)
            self._actions[command.name] = action
        menus["View"].addSeparator()
        for dock in (self.left_dock, self.right_dock):
            menus["View"].addAction(dock.toggleViewAction())

    def _connect(self) -> None:
        self._connect_wishes()
        self._connect_facts()

    def _connect_wishes(self) -> None:
        c = self.controller
        self.run_button.clicked.connect(self._do_run)
        self.stop_button.clicked.connect(c.stop)
        self.export_button.clicked.connect(self._do_export)
        self.model_panel.modelRequested.connect(c.choose_model)
        self.model_panel.openRequested.connect(self._do_open)
        self.condition_panel.conditionRequested.connect(c.choose_condition)
        self.guidance_panel.guidanceRequested.connect(c.choose_guidance)
        self.guidance_panel.guidanceSettled.connect(c.end_drag)
        self.sampling_panel.samplerRequested.connect(c.choose_sampler)
        self.sampling_panel.stepsRequested.connect(c.choose_steps)
        self.sampling_panel.spacingRequested.connect(c.choose_spacing)
        self.sampling_panel.seedsRequested.connect(c.choose_seeds)
        self.sampling_panel.optionRequested.connect(c.choose_option)
        self.transport.stepRequested.connect(c.scrub_to)
        self.transport.moveRequested.connect(c.step_by)
        self.transport.stripRequested.connect(c.choose_strip)
        self.plot.stepRequested.connect(c.scrub_to)
        for side, pane in enumerate((self.left, self.right)):
            pane.paneRequested.connect(lambda chosen, side=side: c.choose_pane(side, chosen))
            pane.view.sampleSelected.connect(c.select_sample)
            pane.view.focusRequested.connect(c.focus_sample)
            pane.view.hovered.connect(self._on_hovered)
            pane.view.unhovered.connect(self.mouse_panel.show_nothing)

    def _connect_facts(self) -> None:
        c = self.controller
        c.modelsChanged.connect(self.model_panel.show_models)
        c.modelChanged.connect(self._on_model)
        c.choicesChanged.connect(self._on_choices)
        c.lookChanged.connect(self._on_look)
        c.runReplaced.connect(self._on_run_replaced)
        c.runGrew.connect(self._on_run_grew)
        c.frameChanged.connect(self._on_frame)
        c.activityChanged.connect(self._on_activity)
        c.noticed.connect(self.notices.show_notice)
        self.files.noticed.connect(self.notices.show_notice)

    # -- facts --------------------------------------------------------------------------------

    @Slot(object)
    def _on_model(self, card: ModelCard) -> None:
        self.model_panel.show_model(card)
        self.condition_panel.show_model(card)
        self.sampling_panel.show_model(card)

    @Slot(object)
    def _on_choices(self, choices: Choices) -> None:
        self.condition_panel.show_state(choices)
        self.guidance_panel.show_state(choices, self.controller.guidable)
        self.guidance_panel.show_activity(self.controller.activity, self._previewing)
        self.sampling_panel.show_state(choices)
        self._show_hint()

    def _show_hint(self) -> None:
        self.hint.setVisible(not self.controller.settled)

    @property
    def _previewing(self) -> bool:
        return self.controller.look.guidance_scale is not None

    @Slot(object)
    def _on_look(self, look: Look) -> None:
        self.left.show_pane(look.panes[0])
        self.right.show_pane(look.panes[1])
        for view in (self.left.view, self.right.view):
            view.show_selection(look.sample)
            view.show_focus(look.focus)
        self.transport.show_look(look)
        self.plot.show_cursor(look.index)
        self.guidance_panel.show_activity(self.controller.activity, self._previewing)
        self._update_strip()

    @Slot(object)
    def _on_run_replaced(self, run: Trajectory) -> None:
        self._strip_key = ()
        self._show_hint()
        self.plot.show_levels(run.levels)
        for pane in (self.left, self.right, self.transport):
            pane.show_run_kind(run.guided)

    @Slot(object)
    def _on_run_grew(self, run: Trajectory) -> None:
        self.transport.show_run(len(run), run.expected)
        self._update_strip()
        self._update_status(run)

    def _update_strip(self) -> None:
        """The selected sample at every step; what is already drawn stays."""
        run, look = self.controller.run, self.controller.look
        if run is None:
            return
        key = (id(run), look.sample, look.strip)
        if key != self._strip_key:
            self._strip, self._strip_key = [], key
        if len(self._strip) != len(run) or not self._strip:
            for index in range(len(self._strip), len(run)):
                tiles = frames.tiles(
                    frames.one_sample(run[index], look.sample), look.strip, "clamp"
                )
                self._strip.append(tiles.pixels[0])
            self.transport.strip.show_strip(self._strip, run.expected)
            self.transport.strip.show_current(look.index)

    def _update_status(self, run: Trajectory) -> None:
        seconds = [record.seconds for record in run if record.move is not None]
        parts = [
            str(self.controller.about.get("device", "")),
            f"{1000 * median(seconds):.1f} ms/step" if seconds else "",
            f"NFE {run.nfe}",
            f"{run.nbytes / 1e6:.1f} MB kept",
        ]
        self.status_text.setText("  ·  ".join(part for part in parts if part))

    @Slot(object)
    def _on_frame(self, frame: Frame) -> None:
        self.left.view.show_tiles(frame.tiles[0])
        self.right.view.show_tiles(frame.tiles[1])
        self.transport.show_frame(frame)
        run, look = self.controller.run, self.controller.look
        if run is not None and look.index < len(run):
            record = frames.at_scale(run, run[look.index], look.guidance_scale)
            self.step_panel.show_step(record, look.sample, run.spec.n_steps)

    @Slot(object)
    def _on_activity(self, activity: Activity) -> None:
        self.stop_button.setEnabled(activity.busy)
        self._show_hint()
        self.export_button.setEnabled(self.controller.run is not None)
        self.progress.setVisible(activity.busy)
        self.progress.setRange(0, activity.total if activity.done else 0)
        self.progress.setValue(activity.done)
        self.status_left.setText(_progress_text(activity))
        self.guidance_panel.show_activity(activity, self._previewing)
        if self.controller.run is None:
            text = "Loading the model…" if activity.busy else "Press Run"
            self.left.view.show_message(text)
            self.right.view.show_message(text)

    @Slot(int, int, int)
    def _on_hovered(self, sample: int, row: int, column: int) -> None:
        frame = self.controller.frame
        if frame is not None:
            self.mouse_panel.show_values(frame, sample, row, column)

    # -- commands -----------------------------------------------------------------------------

    def _do_open(self) -> None:
        self.files.ask_open()

    def _do_save(self) -> None:
        self.files.ask_save()

    def _do_export(self) -> None:
        self.files.ask_export()

    def _do_quit(self) -> None:
        self.close()

    def _do_undo(self) -> None:
        self.controller.undo()

    def _do_redo(self) -> None:
        self.controller.redo()

    def _do_copy(self) -> None:
        frame = self.controller.frame
        if frame is None:
            return
        picture = np.ascontiguousarray(sheet(frame, Layout(sample=self.controller.look.focus)))
        height, width = picture.shape[:2]
        image = QImage(picture.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        QApplication.clipboard().setImage(image.copy())
        self.notices.show_notice(Notice(f"Copied a picture of {width} × {height} pixels."))

    def _do_preferences(self) -> None:
        values = {name: self.settings.get(name, default) for name, default in PREFERENCES.items()}
        self._open(PreferencesDialog(values, self._on_preferences, self))

    def _on_preferences(self, values: dict[str, object]) -> None:
        self.settings.save(**values)
        self.controller.budget = int(str(values["budget_mb"])) * 1024**2
        self.use_theme(str(values["theme"]))

    def _do_theme(self) -> None:
        name = "light" if theme.current().dark else "dark"
        self.settings.save(theme=name)
        self.use_theme(name)

    def _do_reset_zoom(self) -> None:
        self.reset_zoom()

    def _do_focus(self) -> None:
        look = self.controller.look
        self.controller.focus_sample(look.sample if look.focus is None else -1)

    def _do_fullscreen(self) -> None:
        if self.isFullScreen():
            self.showNormal()
        else:
            self.showFullScreen()

    def _do_palette(self) -> None:
        self._open(CommandPalette(list(self._actions.values()), self))

    def _do_run(self) -> None:
        field = QApplication.focusWidget()
        if isinstance(field, QAbstractSpinBox):  # take a number that was typed but not entered
            field.interpretText()
        self.controller.request_run()

    def _do_stop(self) -> None:
        self.controller.stop()

    def _do_play(self) -> None:
        self.transport.toggle_play()

    def _do_previous(self) -> None:
        self.controller.step_by(-1)

    def _do_next(self) -> None:
        self.controller.step_by(1)

    def _do_previous_ten(self) -> None:
        self.controller.step_by(-10)

    def _do_next_ten(self) -> None:
        self.controller.step_by(10)

    def _do_first(self) -> None:
        self.controller.scrub_to(0)

    def _do_last(self) -> None:
        self.controller.step_by(10**9)

    def _do_less_guidance(self) -> None:
        self.guidance_panel.nudge(-1)

    def _do_more_guidance(self) -> None:
        self.guidance_panel.nudge(1)

    def _do_help(self) -> None:
        self._open(HelpDialog(self))

    def _open(self, dialog: QDialog) -> None:
        # Where no window manager does it, the keyboard comes back to the window by our own hand.
        dialog.finished.connect(self.activateWindow)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _do_about(self) -> None:
        about = QMessageBox(self)
        about.setWindowTitle("About diffview")
        about.setText(
            f"<h3>diffview {diffview.__version__}</h3><p>An instrument for looking inside "
            "diffusion models. MIT licence.</p><p>Fashion-MNIST © 2017 Zalando SE, MIT.</p>"
        )
        self._open(about)

    # -- look and layout ----------------------------------------------------------------------

    def use_theme(self, name: str) -> None:
        """Dress the application: "light", "dark", or "system"."""
        app = QApplication.instance()
        if isinstance(app, QApplication):
            chosen = theme.THEMES.get(name) or theme.system_theme(app)
            theme.apply(app, chosen)
        self.left.show_theme()
        self.right.show_theme()
        self.transport.show_theme()
        self.plot.show_theme(theme.current())
        self._make_room_for_docks()

    def _make_room_for_docks(self) -> None:
        """Each dock at least as wide as its content beside a scroll bar, in the present font."""
        for dock in (self.left_dock, self.right_dock):
            area = cast(QScrollArea, dock.widget())
            bar = area.verticalScrollBar().sizeHint().width() + SPARE
            area.setMinimumWidth(cast(QWidget, area.widget()).minimumSizeHint().width() + bar)

    def _restore_layout(self) -> None:
        self.resize(1280, 800)
        geometry, layout = (self.settings.get(name, "") for name in ("geometry", "layout"))
        if geometry:
            self.restoreGeometry(QByteArray.fromBase64(geometry.encode("ascii", "replace")))
        if layout:
            state = QByteArray.fromBase64(layout.encode("ascii", "replace"))
            self.restoreState(state, LAYOUT_VERSION)
        self._move_onto_a_screen()
        self.transport.show_loop(self.settings.get("loop", 0) % len(LOOPS))
        self.transport.fps.setValue(max(1, min(self.settings.get("fps", 12), MAX_FPS)))

    def _move_onto_a_screen(self) -> None:
        # The screen the window was on may be gone, or smaller now (another one, another scale).
        frame = self.frameGeometry()
        screens = [screen.availableGeometry() for screen in QApplication.screens()]
        if not screens:
            return
        room = next((screen for screen in screens if screen.intersects(frame)), screens[0])
        if not room.contains(frame):
            self.resize(self.size().boundedTo(room.size()))
            self.move(room.topLeft())

    def _save_layout(self) -> None:
        self.settings.save(
            geometry=self.saveGeometry().toBase64().toStdString(),
            layout=self.saveState(LAYOUT_VERSION).toBase64().toStdString(),
            loop=LOOPS.index(self.transport.loop_mode),
            fps=self.transport.fps.value(),
        )
        if self.controller.card.id in {entry.card.id for entry in catalog.bundled()}:
            # Those of a model of this process mean nothing to the next launch.
            self.settings.save(choices=self.controller.remembered())

    def closeEvent(self, event: QCloseEvent) -> None:
        """Remember the layout and go; whoever listens to `closed` joins the threads."""
        self.transport.pause()
        self._save_layout()
        for dialog in self.findChildren(QDialog):
            dialog.hide()
        self.hide()
        self.closed.emit()
        event.accept()

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
            self.notices.show_notice(Notice(text, "warning"))
        if len(paths) > 1:
            text = f"{len(paths)} files were dropped; {paths[0].name} is opened."
            self.notices.show_notice(Notice(text, "warning"))


def _column(first: QLayout | None, *cards: QWidget) -> QWidget:
    """Cards below one another."""
    content = QWidget()
    column = QVBoxLayout(content)
    column.setContentsMargins(4, 4, 4, 6)
    column.setSpacing(8)
    if first is not None:
        column.addLayout(first)
    for card in cards:
        column.addWidget(card)
    column.addStretch(1)
    return content


def _progress_text(activity: Activity) -> str:
    if not activity.busy:
        return activity.text
    if activity.text:
        return activity.text
    if not activity.done:
        return "starting…"
    left = activity.seconds_left
    rest = (
        "" if left is None else f" · {left:.0f} s left" if left >= 10 else f" · {left:.1f} s left"
    )
    steps = activity.total - 1  # the last record is the clean end, not a step
    return f"step {min(activity.done, steps)}/{steps}{rest}"
