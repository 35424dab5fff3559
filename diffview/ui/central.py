"""The middle of the window: the workspaces, one in front, with notices above and the scrubber
below. A workspace is made when a person first goes there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QStackedWidget, QVBoxLayout, QWidget

from diffview.ui import workspaces
from diffview.ui.desk import Desk
from diffview.ui.panels.notice_bar import NoticeBar
from diffview.ui.panels.transport import Transport
from diffview.ui.widgets.workspace_bar import WorkspaceBar
from diffview.ui.workspaces import Workspace


class CentralArea(QWidget):
    """See the module; `desk_for` gives a workspace what it works with, by its name."""

    workspaceChanged = Signal(object)

    def __init__(self, desk_for: Callable[[str], Desk], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._desk_for = desk_for
        self._made: dict[str, Workspace] = {}
        self.name = ""
        self._build()

    def _build(self) -> None:
        self.bar = WorkspaceBar()
        self.bar.show_workspaces(workspaces.every().values())
        self.notices = NoticeBar()
        self._stack = QStackedWidget()
        self.transport = Transport()
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 2, 0, 0)
        body.setSpacing(6)
        body.addWidget(self.bar)
        body.addWidget(self.notices)
        body.addWidget(self._stack, 1)
        body.addWidget(self.transport)
        self.bar.workspaceRequested.connect(self.go_to)

    @property
    def current(self) -> Workspace:
        """The workspace in front."""
        return self._made[self.name]

    def made(self) -> list[Workspace]:
        """The workspaces that were made so far."""
        return list(self._made.values())

    def pages_in_front(self) -> dict[str, str]:
        """Of each workspace that was made and has pages."""
        return {name: made.page_in_front for name, made in self._made.items() if made.pages}

    def workspace(self, name: str) -> Workspace:
        """The workspace of this name, made now if it was not yet."""
        if name not in self._made:
            info = workspaces.every()[name]
            self._made[name] = info.make(self._desk_for(name))
            self._stack.addWidget(self._made[name])
            for card in self._made[name].cards or ():  # the dock takes them once it is in front
                card.setParent(self._made[name])
        return self._made[name]

    def go_to(self, name: str) -> None:
        """Bring a workspace to the front; the first one, if there is none of this name."""
        known = workspaces.every()
        name = name if name in known else next(iter(known))
        if name == self.name:
            return
        coming = self.workspace(name)
        if self.name:
            self.current.leave()
        self.name = name
        self._stack.setCurrentWidget(coming)
        self.bar.show_current(name)
        self.transport.setVisible(coming.timeline is not None)
        if coming.timeline is None:
            self.transport.pause()
        else:
            self.transport.follow(coming.timeline)
        self.workspaceChanged.emit(coming)
        coming.enter()

    def take_picture(self, path: Path) -> bool:
        """Give a picture to the workspace in front, or the first that needs one; False: none."""
        takers = [info.name for info in workspaces.every().values() if info.needs == "picture"]
        if not takers:
            return False
        self.go_to(self.name if self.name in takers else takers[0])
        self.current.take_picture(path)
        return True

    def show_points(self) -> None:
        """Explore the chosen model, whose samples are points, in the 2-D lab."""
        self.go_to("plane")
        self.current.turn_to("explore")

    def show_theme(self) -> None:
        """All that was made in the colours of the present theme."""
        for made in self._made.values():
            made.show_theme()
        self.transport.show_theme()
