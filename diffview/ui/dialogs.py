"""Small dialogs: the command palette, the help, the preferences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAction, QKeyEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QSpinBox,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from diffview.ui import workspaces
from diffview.ui.actions import COMMANDS
from diffview.ui.panels.card import describe
from diffview.ui.widgets.workspace_bar import MOST_KEYS

LEAST_MB, MOST_MB = 64, 1_000_000
"""Memory for a run, in megabytes."""
ACTION_ROLE = Qt.ItemDataRole.UserRole
WHY = "why"
"""The property of an action that cannot be done now: the reason."""


class CommandPalette(QDialog):
    """Type a few letters, press Enter: every command is here.

    One that cannot be done now is greyed, with the reason.
    """

    def __init__(self, actions: Sequence[QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Commands")
        self.setObjectName("commandPalette")
        self._actions = list(actions)
        self._build()
        self._filter("")

    def _build(self) -> None:
        self.edit = QLineEdit()
        self.edit.setPlaceholderText("Find a command")
        describe(self.edit, "Find a command", "Type a part of its name")
        self.list = QListWidget()
        self.list.setWordWrap(True)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        describe(self.list, "Commands", "Enter does the marked one")
        body = QVBoxLayout(self)
        body.addWidget(self.edit)
        body.addWidget(self.list)
        self.resize(520, 400)
        self.edit.textChanged.connect(self._filter)
        self.edit.returnPressed.connect(self._choose)
        self.list.itemActivated.connect(lambda item: self._choose())
        self.edit.installEventFilter(self)

    def _filter(self, text: str) -> None:
        words = text.casefold().split()
        self.list.clear()
        found = [action for action in self._actions if _says(_told(action), words)]
        # Those called so come before those whose help says so, each in the order of the menus.
        for action in sorted(found, key=lambda action: not _says(_name(action), words)):
            self.list.addItem(_item(action))
        self._mark(0, 1)

    def _mark(self, row: int, step: int) -> None:
        """Mark the next command from `row` on that can be done now, round the list."""
        count = self.list.count()
        for k in range(count):
            item = self.list.item((row + k * step) % count)
            if item.flags() & Qt.ItemFlag.ItemIsEnabled:
                self.list.setCurrentItem(item)
                return
        self.list.setCurrentRow(-1)

    def _choose(self) -> None:
        item = self.list.currentItem()
        if item is None and self.list.count():
            return  # all that is found is greyed: its reasons stay in sight
        self.accept()
        if item is not None:
            item.data(ACTION_ROLE).trigger()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Up and Down in the line move the mark in the list."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            step = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}.get(Qt.Key(event.key()))
            if step is not None and self.list.count():
                self._mark(self.list.currentRow() + step, step)
                return True
        return super().eventFilter(watched, event)


def _says(text: str, words: Sequence[str]) -> bool:
    return all(word in text.casefold() for word in words)


def _name(action: QAction) -> str:
    return action.text().replace("&", "")


def _told(action: QAction) -> str:
    return f"{_name(action)} {action.toolTip()}"


def _item(action: QAction) -> QListWidgetItem:
    """A command in the palette; one that cannot be done now is greyed, with the reason."""
    text = "  ·  ".join(filter(None, (_name(action), action.shortcut().toString())))
    if not action.isEnabled():
        text += f"\nnot now: {action.property(WHY) or 'it has nothing to act on'}"
    item = QListWidgetItem(text)
    item.setData(ACTION_ROLE, action)
    item.setToolTip(action.toolTip())
    if not action.isEnabled():
        item.setFlags(item.flags() & ~Qt.ItemFlag.ItemIsEnabled)
    return item


class HelpDialog(QDialog):
    """What the window shows, and every key."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("diffview help")
        text = QTextBrowser()
        text.setHtml(_INTRODUCTION + _keys_table())
        describe(text, "Help", "What the window shows, and every key")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        body = QVBoxLayout(self)
        body.addWidget(text)
        body.addWidget(buttons)
        self.resize(560, 620)


_INTRODUCTION = """
<h3>What you see</h3>
<p>Left x<sub>t</sub>, what the sampler holds at this step; right the picture the network expects
from there, its one-step estimate. Drag the <b>scrubber</b> to any step;
drag <b>guidance</b> to see the estimate of this step change at once while the whole run is sampled
again behind it. Click a picture to select it everywhere, double-click to see it alone, use the
wheel to zoom. Every number tells on hover what it is. Drop a saved run or an exported picture on
the window to get its run back.</p>
<h3>Your own models</h3>
<p>Drop the folder of a diffusers model on the window, or a single .safetensors file of Stable
Diffusion, or fetch one of the Hugging Face hub (<b>Open…</b>). Nothing in it is run: its parts are
built from their configurations and filled with its tensors. <b>More</b> in the model's card says
all that was read of it, what is unusual, and where it computes.</p>
<h3>Keys</h3>
"""


def _keys_table() -> str:
    rows = "".join(
        f"<tr><td>{c.text.rstrip('…')}&nbsp;&nbsp;</td><td><b>{c.keys[0]}</b>&nbsp;&nbsp;</td>"
        f"<td>{c.help}</td></tr>"
        for c in COMMANDS
        if c.keys
    )
    rows += "".join(
        f"<tr><td>{info.title}&nbsp;&nbsp;</td><td><b>Ctrl+{place}</b>&nbsp;&nbsp;</td>"
        f"<td>{info.help}</td></tr>"
        for place, info in enumerate(workspaces.every().values(), 1)
        if place <= MOST_KEYS
    )
    return f"<table cellspacing=4>{rows}</table>"


class PreferencesDialog(QDialog):
    """Theme, memory for a run, and whether a run starts with the window."""

    def __init__(
        self,
        values: dict[str, object],
        save: Callable[[dict[str, object]], None],
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Preferences")
        self._save = save
        self._build(values)

    def _build(self, values: dict[str, object]) -> None:
        self.theme = QComboBox()
        for name, text in (("system", "As the system"), ("light", "Light"), ("dark", "Dark")):
            self.theme.addItem(text, name)
        self.theme.setCurrentIndex(max(0, self.theme.findData(values["theme"])))
        describe(self.theme, "Theme", "Light or dark")
        self.budget = QSpinBox(minimum=LEAST_MB, maximum=MOST_MB, singleStep=256, suffix=" MB")
        self.budget.setValue(max(LEAST_MB, min(int(str(values["budget_mb"])), MOST_MB)))
        describe(self.budget, "Memory for a run", "A run that would keep more keeps fewer steps")
        self.autorun = QCheckBox("Start a run with the window")
        self.autorun.setChecked(bool(values["autorun"]))
        describe(self.autorun, "Start a run with the window", "Sample the last settings at start")
        buttons = QDialogButtonBox(
            QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel
        )
        buttons.accepted.connect(self._accept)
        buttons.rejected.connect(self.reject)
        form = QFormLayout()
        form.addRow(QLabel("Theme"), self.theme)
        form.addRow(QLabel("Memory for a run"), self.budget)
        form.addRow(self.autorun)
        body = QVBoxLayout(self)
        body.addLayout(form)
        body.addWidget(buttons)

    def _accept(self) -> None:
        self._save(
            {
                "theme": self.theme.currentData(),
                "budget_mb": self.budget.value(),
                "autorun": self.autorun.isChecked(),
            }
        )
        self.accept()
