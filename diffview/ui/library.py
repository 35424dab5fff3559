"""A person's models: those kept here, those opened last, and those of the hub."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal, Slot
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QWidget

from diffview.models import catalog, recent
from diffview.models.hf.hub import Found, Progress
from diffview.ui import opening
from diffview.ui.controller import Controller
from diffview.ui.guide_source import GuideSource
from diffview.ui.hub_dialog import HubDialog
from diffview.ui.jobs import ModelSource
from diffview.ui.notices import notice_of
from diffview.ui.opening import Lookup, Offered
from diffview.ui.state import Notice
from diffview.ui.workers import JobRunner

log = logging.getLogger(__name__)

MOST_RECENT = 10


class Library(QObject):
    """Lists models beside the bundled ones, and fetches them; at most one at a time."""

    noticed = Signal(object)
    openRequested = Signal(object)
    """The path of a model to be opened."""
    listed = Signal()
    """All of a person's own models are among the others."""

    def __init__(
        self,
        controller: Controller,
        runner_for: Callable[[str], JobRunner],
        window: QWidget,
    ) -> None:
        super().__init__(window)
        self._controller, self._window = controller, window
        self._shelves, self._hub = runner_for("library"), runner_for("hub")
        self._dialog: HubDialog | None = None
        self._fetching = ""
        self._shelves.progressed.connect(self._on_own)
        self._shelves.finished.connect(self._on_listed)
        self._shelves.failed.connect(self._on_not_listed)
        self._hub.progressed.connect(self._on_hub)
        self._hub.failed.connect(self._on_hub_failed)
        self._hub.stopped.connect(self._on_hub_stopped)
        self._hub.finished.connect(self._on_hub_finished)

    # -- a person's own -----------------------------------------------------------------------

    def list_own(self) -> None:
        """Offer the models in the models folder, in the background; then `listed` is told."""
        place = catalog.models_folder()
        if place is not None and place.is_dir():
            self._shelves.submit(opening.own)
        else:
            self.listed.emit()

    @Slot(int, object)
    def _on_own(self, job_id: int, offered: Offered) -> None:
        self._controller.offer(offered.source)

    @Slot(int)
    def _on_listed(self, job_id: int) -> None:
        self.listed.emit()

    @Slot(int, object)
    def _on_not_listed(self, job_id: int, error: BaseException) -> None:
        self.noticed.emit(notice_of(error))
        self.listed.emit()

    # -- opened last --------------------------------------------------------------------------

    def fill_recent(self, menu: QMenu) -> None:
        """The models that were opened last, newest first."""
        menu.clear()
        for path in recent.paths()[:MOST_RECENT]:
            action = menu.addAction(_short(path))
            action.setToolTip(str(path))
            action.setData(path)
        if menu.isEmpty():
            menu.addAction("None yet").setEnabled(False)

    @Slot(QAction)
    def open_recent(self, action: QAction) -> None:
        """Open what an entry of that menu stands for."""
        if isinstance(action.data(), Path):
            self.openRequested.emit(action.data())

    # -- the hub ------------------------------------------------------------------------------

    @Slot()
    def ask_hub(self) -> None:
        """Open the dialog, or bring it to the front."""
        if self._dialog is not None:
            self._dialog.raise_()
            return
        dialog = HubDialog(self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.lookRequested.connect(self._on_look)
        dialog.fetchRequested.connect(self._on_fetch)
        dialog.openRequested.connect(self.openRequested)
        dialog.stopRequested.connect(self._hub.cancel_all)
        dialog.finished.connect(self._on_closed)
        self._dialog = dialog
        dialog.open()

    @Slot(str)
    def _on_look(self, name: str) -> None:
        self._hub.submit(lambda: opening.looked_up(name))

    @Slot(object)
    def _on_fetch(self, found: Found) -> None:
        self._fetching = found.id
        self._hub.submit(lambda: opening.fetched(found))

    @Slot()
    def _on_closed(self) -> None:
        self._dialog = None
        self._window.activateWindow()

    @Slot(int, object)
    def _on_hub(self, job_id: int, item: object) -> None:
        if isinstance(item, ModelSource):
            self._controller.add_source(item)
        elif isinstance(item, GuideSource):
            self._controller.add_guide(item)
        elif self._dialog is None:
            return
        elif isinstance(item, Lookup):
            self._dialog.show_lookup(item)
        elif isinstance(item, Progress):
            self._dialog.show_progress(item)

    @Slot(int)
    def _on_hub_finished(self, job_id: int) -> None:
        if self._fetching:
            self.noticed.emit(Notice(f"{self._fetching} is here, among your models."))
            self._fetching = ""
            if self._dialog is not None:
                self._dialog.show_nothing()
                self._dialog.accept()

    @Slot(int)
    def _on_hub_stopped(self, job_id: int) -> None:
        self._fetching = ""
        if self._dialog is not None:
            self._dialog.show_stopped()

    @Slot(int, object)
    def _on_hub_failed(self, job_id: int, error: BaseException) -> None:
        self._fetching = ""
        if self._dialog is not None:
            self._dialog.show_trouble(notice_of(error).text)
        else:
            self.noticed.emit(notice_of(error))

    def losses(self) -> list[str]:
        """What closing now would leave undone, in words."""
        if not self._fetching:
            return []
        return [f"{self._fetching} is not here whole; fetched again, it goes on from there."]


def _short(path: Path) -> str:
    """The name, with the folder it lies in."""
    return f"{path.name}  ·  {path.parent.name}" if path.parent.name else path.name
