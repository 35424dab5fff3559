"""Fetching a model of the Hugging Face hub: looked at first, asked for, then brought.

The dialog draws and asks; library.py does.
"""

from __future__ import annotations

import time

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from diffview.models.hf.hub import Progress
from diffview.models.memory import gigabytes
from diffview.ui.opening import Lookup
from diffview.ui.panels.card import describe

INTRODUCTION = (
    "The id of a diffusers model, such as owner/name. Nothing is fetched before you have seen "
    "what it is and how large; of its files only those that are needed come, and no code."
)
SMALL, LARGE = (560, 220), (560, 460)
"""Without the list of files, and with it (px)."""
STEPS = 1000
"""Of the progress bar: bytes are more than it can count."""


class HubDialog(QDialog):
    """See the module. Closing it while a model comes stops that; what is there is kept."""

    lookRequested = Signal(str)
    fetchRequested = Signal(object)
    openRequested = Signal(object)
    """The folder of a model that is there already."""
    stopRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._lookup: Lookup | None = None
        self._busy = False
        self._began, self._first = 0.0, 0
        self._build()
        self._connect()
        self.show_nothing()

    # -- building -----------------------------------------------------------------------------

    def _build(self) -> None:
        self.setWindowTitle("Fetch a model of the hub")
        self.setObjectName("hubDialog")
        introduction = QLabel(INTRODUCTION)
        introduction.setWordWrap(True)
        introduction.setProperty("role", "muted")
        self.id = QLineEdit()
        self.id.setPlaceholderText("owner/name")
        describe(self.id, "Model id", "The model's id on the hub; Enter looks it up", "hubIdEdit")
        self.look = QPushButton("Look up")
        describe(self.look, "Look up", "Ask the hub what this model is; nothing is fetched",
                 "hubLookButton")  # fmt: skip
        self.about = QLabel()
        self.about.setObjectName("hubAbout")
        self.about.setWordWrap(True)
        self.about.setTextFormat(Qt.TextFormat.PlainText)
        self.about.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._build_files()
        self._build_progress()
        top = QHBoxLayout()
        top.addWidget(self.id, 1)
        top.addWidget(self.look)
        self.body = body = QVBoxLayout(self)
        body.setSpacing(10)
        for item in (introduction, top, self.about, self.files, self.progress, self.told):
            body.addLayout(item) if isinstance(item, QHBoxLayout) else body.addWidget(item)
        body.addStretch(1)
        body.addLayout(self._buttons())
        self.resize(*SMALL)

    def _build_files(self) -> None:
        self.files = QTreeWidget()
        describe(self.files, "Files", "The files that are needed, and their sizes", "hubFiles")
        self.files.setColumnCount(2)
        self.files.setHeaderLabels(["File", "Size"])
        self.files.setRootIsDecorated(False)
        self.files.setSelectionMode(QTreeWidget.SelectionMode.NoSelection)
        header = self.files.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)

    def _build_progress(self) -> None:
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        describe(self.progress, "Fetched", "How much of the model is here", "hubProgress")
        self.told = QLabel()
        self.told.setObjectName("hubTold")
        self.told.setWordWrap(True)
        self.told.setProperty("role", "muted")

    def _buttons(self) -> QHBoxLayout:
        self.fetch = QPushButton("Fetch")
        self.fetch.setProperty("primary", True)
        describe(self.fetch, "Fetch", "Bring the files to your models, then open the model",
                 "hubFetchButton")  # fmt: skip
        self.cancel = QPushButton("Close")
        describe(self.cancel, "Close", "Close; what was fetched is kept for the next time",
                 "hubCancelButton")  # fmt: skip
        row = QHBoxLayout()
        row.addStretch(1)
        row.addWidget(self.fetch)
        row.addWidget(self.cancel)
        return row

    def _connect(self) -> None:
        self.id.textEdited.connect(self.show_nothing)
        self.id.returnPressed.connect(self._on_enter)
        self.look.clicked.connect(self._on_look)
        self.fetch.clicked.connect(self._on_fetch)
        self.cancel.clicked.connect(self._on_cancel)
        for button in (self.look, self.fetch, self.cancel):
            button.setAutoDefault(False)

    # -- asking -------------------------------------------------------------------------------

    @Slot()
    def _on_enter(self) -> None:
        if self._lookup is None:
            self._on_look()
        else:
            self._on_fetch()

    @Slot()
    def _on_look(self) -> None:
        name = self.id.text().strip()
        if name and not self._busy:
            self._be_busy(f"Asking for {name}…")
            self.lookRequested.emit(name)

    @Slot()
    def _on_fetch(self) -> None:
        if self._lookup is None or self._busy:
            return
        if self._lookup.whole:
            self.openRequested.emit(self._lookup.target)
            self.accept()
            return
        self._be_busy("Fetching…")
        self._began = 0.0
        self.fetchRequested.emit(self._lookup.found)

    @Slot()
    def _on_cancel(self) -> None:
        if self._busy:
            self.told.setText("Stopping; what is here is kept for the next time…")
            self.cancel.setEnabled(False)
            self.stopRequested.emit()
        else:
            self.reject()

    def closeEvent(self, event: QCloseEvent) -> None:
        """Closed by whatever means: a fetch stops."""
        if self._busy:
            self.stopRequested.emit()
        super().closeEvent(event)

    def reject(self) -> None:
        """Escape is a close, too."""
        if self._busy:
            self.stopRequested.emit()
        super().reject()

    # -- facts --------------------------------------------------------------------------------

    @Slot()
    def show_nothing(self) -> None:
        """Nothing was looked up yet."""
        self._lookup = None
        self.about.setText("")
        self.files.hide()
        self._be_idle("")

    def show_lookup(self, lookup: Lookup) -> None:
        """What the hub has, and the question."""
        self._lookup, found = lookup, lookup.found
        parts = [f"{found.id} is a {found.pipeline}: {len(found.files)} files,"]
        parts.append(f"{gigabytes(found.size)}, to {lookup.target}.")
        if lookup.whole:
            parts = [f"{found.id} is here already, in {lookup.target}."]
        elif lookup.there:
            parts.append(f"{gigabytes(lookup.there)} of it are here from an earlier time.")
        self.about.setText(" ".join(parts))
        self.files.clear()
        for file in found.files:
            item = QTreeWidgetItem([file.name, gigabytes(file.size)])
            item.setTextAlignment(1, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.files.addTopLevelItem(item)
        self.files.show()
        self.resize(self.size().expandedTo(QSize(*LARGE)))
        self._be_idle("")
        self.fetch.setFocus()

    def show_progress(self, progress: Progress) -> None:
        """How far it is."""
        if not self._began:
            self._began, self._first = time.monotonic(), progress.done
        self.progress.setRange(0, STEPS)
        self.progress.setValue(STEPS * progress.done // max(1, progress.total))
        done, total = gigabytes(progress.done), gigabytes(progress.total)
        self.told.setText(f"{done} of {total} · {progress.name}{self._left(progress)}")

    def _left(self, progress: Progress) -> str:
        taken, came = time.monotonic() - self._began, progress.done - self._first
        if taken < 1 or came <= 0:
            return ""
        left = (progress.total - progress.done) * taken / came
        return f" · {left / 60:.0f} min left" if left >= 120 else f" · {left:.0f} s left"

    def show_trouble(self, text: str) -> None:
        """What went wrong, in the dialog: it may be tried again at once."""
        self._be_idle(text, role="warn")
        self.id.setFocus()

    def show_stopped(self) -> None:
        """It was stopped."""
        self._be_idle("Stopped. What is here is kept: fetch again to go on from there.")

    def _be_busy(self, text: str) -> None:
        self._busy = True
        self.progress.setRange(0, 0)
        self.progress.show()
        self._say(text)
        self._enable()

    def _be_idle(self, text: str, role: str = "muted") -> None:
        self._busy = False
        self.progress.hide()
        self._say(text, role)
        self._enable()

    def _say(self, text: str, role: str = "muted") -> None:
        self.told.setProperty("role", role)
        self.told.style().unpolish(self.told)
        self.told.style().polish(self.told)
        self.told.setText(text)
        self._fit()

    def _fit(self) -> None:
        """Grow to what its words need: by itself a dialog does not for lines that are wrapped."""
        self.body.activate()
        need = self.body.totalHeightForWidth(self.width())
        room = self.screen().availableSize().height()
        if need > self.height():
            self.resize(self.width(), min(need, room))

    def _enable(self) -> None:
        whole = self._lookup is not None and self._lookup.whole
        self.id.setEnabled(not self._busy)
        self.look.setEnabled(not self._busy)
        self.fetch.setEnabled(self._lookup is not None and not self._busy)
        self.fetch.setText("Open" if whole else "Fetch")
        self.cancel.setText("Cancel" if self._busy else "Close")
        self.cancel.setEnabled(True)
