"""What the commands of actions.py do, and their entries in the menus."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QActionGroup, QImage, QKeySequence
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QDialog,
    QLineEdit,
    QMenu,
    QMessageBox,
)

import diffview
from diffview.frames.sheet import Layout, sheet
from diffview.ui import theme, workspaces
from diffview.ui.actions import COMMANDS, MENUS
from diffview.ui.dialogs import WHY, CommandPalette, HelpDialog, PreferencesDialog
from diffview.ui.state import Notice
from diffview.ui.widgets.workspace_bar import MOST_KEYS

if TYPE_CHECKING:
    from diffview.ui.window import MainWindow

PREFERENCES: dict[str, Any] = {"theme": "system", "budget_mb": 2048, "autorun": True}
FAR = 10**9
"""Steps that lead to the end from anywhere."""


class Commands:
    """One QAction for each command; `do(name)` does it, in the workspace's own way if it has one.

    Every command of actions.py is a method here.
    """

    def __init__(self, window: MainWindow) -> None:
        self._window = window
        self.actions: dict[str, QAction] = {}
        menus = {name: window.menuBar().addMenu(name) for name in MENUS}
        for command in COMMANDS:
            action = self._action(command.name, command.text, command.keys, command.help)
            action.triggered.connect(partial(self.do, command.name))
            menus[command.menu].addAction(action)
        menus["Run"].setToolTipsVisible(True)
        self._build_view_menu(menus["View"])
        self._build_recent_menu(menus["File"])

    def _action(self, name: str, text: str, keys: tuple[str, ...], help: str) -> QAction:
        action = QAction(text, self._window)
        action.setObjectName(f"action_{name}")
        action.setToolTip(help)
        action.setShortcuts([QKeySequence(one) for one in keys])
        self._window.addAction(action)
        self.actions[name] = action
        return action

    def _build_view_menu(self, menu: QMenu) -> None:
        menu.addSeparator()
        one_of = QActionGroup(self._window)
        for place, info in enumerate(workspaces.every().values()):
            keys = (f"Ctrl+{place + 1}",) if place < MOST_KEYS else ()
            action = self._action(f"workspace_{info.name}", info.title, keys, info.help)
            action.setCheckable(True)
            action.triggered.connect(partial(self._window.central.go_to, info.name))
            one_of.addAction(action)
            menu.addAction(action)
        menu.addSeparator()
        for dock in (*self._window.docks, self._window.teaching.dock):
            menu.addAction(dock.toggleViewAction())

    def _build_recent_menu(self, menu: QMenu) -> None:
        library, panel = self._window.library, self._window.model_panel
        recent = QMenu("Opened last", menu)
        recent.setToolTipsVisible(True)
        menu.insertMenu(self.actions["save"], recent)
        for one in (recent, panel.recent):
            one.aboutToShow.connect(partial(library.fill_recent, one))
            one.triggered.connect(library.open_recent)
            library.fill_recent(one)

    def do(self, name: str, *_: object) -> None:
        """Do a command by its name."""
        if not self._window.central.current.do(name):
            getattr(self, name)()

    # -- File and Edit ------------------------------------------------------------------------

    def open(self) -> None:
        """Ask for a file and open it."""
        self._window.files.ask_open()

    def open_folder(self) -> None:
        """Ask for a folder and open it."""
        self._window.files.ask_open_folder()

    def fetch(self) -> None:
        """Look up a model of the hub, and fetch it."""
        self._window.library.ask_hub()

    def save(self) -> None:
        """Ask for a name and save the run."""
        self._window.files.ask_save()

    def export(self) -> None:
        """Open the export dialog."""
        self._window.files.ask_export()

    def quit(self) -> None:
        """Close the window."""
        self._window.close()

    def undo(self) -> None:
        """Take back the last change of settings."""
        self._window.controller.undo()

    def redo(self) -> None:
        """Make the change again."""
        self._window.controller.redo()

    def copy(self) -> None:
        """Copy what the panes show."""
        frame = self._window.central.current.frame
        if frame is None:
            return
        focus = self._window.controller.look.focus
        alone = focus is not None and focus < len(frame.tiles[0].pixels)
        layout = Layout(sample=focus if alone else None)
        picture = np.ascontiguousarray(sheet(frame, layout))
        height, width = picture.shape[:2]
        image = QImage(picture.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        QApplication.clipboard().setImage(image.copy())
        self._window.tell(Notice(f"Copied a picture of {width} × {height} pixels."))

    def preferences(self) -> None:
        """Open the preferences."""
        get = self._window.settings.get
        values = {name: get(name, default) for name, default in PREFERENCES.items()}
        self.show(PreferencesDialog(values, self._on_preferences, self._window))

    def _on_preferences(self, values: dict[str, object]) -> None:
        self._window.settings.save(**values)
        self._window.controller.budget = int(str(values["budget_mb"])) * 1024**2
        self._window.use_theme(str(values["theme"]))

    # -- View ---------------------------------------------------------------------------------

    def theme(self) -> None:
        """Switch between light and dark."""
        name = "light" if theme.current().dark else "dark"
        self._window.settings.save(theme=name)
        self._window.use_theme(name)

    def reset_zoom(self) -> None:
        """A workspace with pictures has its own way."""

    def focus(self) -> None:
        """Show the selected sample alone, or all."""
        look = self._window.controller.look
        self._window.controller.focus_sample(look.sample if look.focus is None else -1)

    def fullscreen(self) -> None:
        """Fill the screen, or not."""
        if self._window.isFullScreen():
            self._window.showNormal()
        else:
            self._window.showFullScreen()

    def palette(self) -> None:
        """Open the command palette."""
        self.show(CommandPalette(list(self.actions.values()), self._window))

    # -- Run ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Sample as chosen."""
        field = QApplication.focusWidget()
        if isinstance(field, QAbstractSpinBox):  # take a number that was typed but not entered
            field.interpretText()
        elif isinstance(field, QLineEdit) and field.isModified():
            field.editingFinished.emit()
        self._window.controller.request_run()

    def stop(self) -> None:
        """Stop sampling."""
        self._window.controller.stop()

    def resume(self) -> None:
        """Go on with a stopped run."""
        self._window.controller.branches.resume()

    def branch(self) -> None:
        """Branch off at the shown step."""
        self._window.controller.branches.branch()

    def edit_state(self) -> None:
        """Ask for another x_t, and branch with it."""
        self.show(self._window.run_cards.back.state_dialog(self._window))

    def complete(self) -> None:
        """Complete the selected sample's state as often as the card says."""
        count = self._window.run_cards.back.panel.count.value()
        self._window.controller.branches.complete(count)

    def invert(self) -> None:
        """Ask for a picture, and invert it."""
        self._window.central.go_to("denoising")
        self.show(self._window.run_cards.back.invert_dialog(self._window))

    def parent(self) -> None:
        """Show the run that the shown one left."""
        self._window.controller.branches.go_to_parent()

    def show_possible(self, reasons: Mapping[str, str]) -> None:
        """Grey out what cannot be done now, with the reason on hover; by the wishes' names."""
        for wish, why in reasons.items():
            action = self.actions["edit_state" if wish == "edit" else wish]
            help = action.property("help") or action.toolTip()
            action.setProperty("help", help)
            action.setEnabled(not why)
            action.setProperty(WHY, why)
            action.setToolTip(f"{help}\nNot now: {why}" if why else help)

    def play(self) -> None:
        """Go through the steps by themselves, or pause."""
        if self._timeline is not None:
            self._window.central.transport.toggle_play()

    def previous(self) -> None:
        """One step towards the noise."""
        self._step_by(-1)

    def next(self) -> None:
        """One step towards the picture."""
        self._step_by(1)

    def previous_ten(self) -> None:
        """Ten steps towards the noise."""
        self._step_by(-10)

    def next_ten(self) -> None:
        """Ten steps towards the picture."""
        self._step_by(10)

    def first(self) -> None:
        """To the noise."""
        self._step_by(-FAR)

    def last(self) -> None:
        """To the picture."""
        self._step_by(FAR)

    @property
    def _timeline(self) -> Any:
        return self._window.central.current.timeline

    def _step_by(self, steps: int) -> None:
        if self._timeline is not None:
            self._timeline.step_by(steps)

    def less_guidance(self) -> None:
        """γ down."""
        self._window.guidance_panel.nudge(-1)

    def more_guidance(self) -> None:
        """γ up."""
        self._window.guidance_panel.nudge(1)

    # -- Lessons ------------------------------------------------------------------------------

    def lessons(self) -> None:
        """Open the lessons, or close them."""
        self._window.teaching.toggle()

    def lesson_before(self) -> None:
        """Turn one lesson back."""
        self._window.teaching.turn(-1)

    def lesson_after(self) -> None:
        """Turn to the next lesson."""
        self._window.teaching.turn(1)

    # -- Help ---------------------------------------------------------------------------------

    def help(self) -> None:
        """What there is, and its keys."""
        self.show(HelpDialog(self._window))

    def about(self) -> None:
        """Version and licences."""
        about = QMessageBox(self._window)
        about.setWindowTitle("About diffview")
        about.setText(
            f"<h3>diffview {diffview.__version__}</h3><p>An instrument for looking inside "
            "diffusion models. MIT licence.</p><p>Fashion-MNIST © 2017 Zalando SE, MIT. CLIP's "
            "byte pairs © 2021 OpenAI, MIT.</p>"
        )
        self.show(about)

    def show(self, dialog: QDialog) -> None:
        """Open a dialog over the window."""
        # Where no window manager does it, the keyboard comes back to the window by our own hand.
        dialog.finished.connect(self._window.activateWindow)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
