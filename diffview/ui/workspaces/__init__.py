"""The workspaces: what fills the middle of the window, one file each.

To add one, write a file here with a class that `@workspace` registers, and draw its icon
(24 x 24, one colour) as resources/icons/ICON.svg:

    @workspace(name="forward", title="Forward", icon="forward", place=20, needs="picture",
               help="Noise a picture to any t")
    class Forward(Workspace):
        def __init__(self, desk: Desk) -> None:
            super().__init__(desk)
            ...                                   # build child widgets; self is a plain QWidget
            self.timeline = MyTimeline()          # else the scrubber runs over the shown run;
                                                  # None: no scrubber and no film strip
            self.cards = [MyCard()]               # else the right dock shows the step of the run
            self.listen(desk.store.frameChanged, self._on_frame)

        def refresh(self) -> None:                # it has come to the front: show what is now
            ...

The file is imported when the window starts, so it imports torch and pyqtgraph inside functions;
the class is made when a person first goes there. A workspace that is not in front hears nothing
of what it listens to, and catches up in `refresh`. Long work is a generator given to
`desk.jobs.submit`, or to a `Mailbox` on it where only the newest result matters. Wishes that are
the window's (scrubbing, guidance, selection, running) go to `desk.store`, messages to `desk.tell`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from PySide6.QtWidgets import QWidget

from diffview.errors import InputError
from diffview.frames.compose import Frame
from diffview.ui.desk import Desk
from diffview.ui.timeline import Timeline

Needs = Literal["nothing", "run", "picture"]


class Workspace(QWidget):
    """Base of all workspaces; see the module for how to write one."""

    runs_its_own = False
    """Whether "Run" is of runs of its own, and not of what the panels have chosen."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.timeline: Timeline | None = desk.run_timeline
        self.cards: Sequence[QWidget] | None = None
        self.pages: Mapping[str, QWidget] = {}
        self._heard: list[tuple[Any, Callable[..., object]]] = []
        self._in_front = False

    @property
    def in_front(self) -> bool:
        """Whether this is the workspace that is shown."""
        return self._in_front

    @property
    def frame(self) -> Frame | None:
        """What "Copy picture" copies."""
        return self.desk.store.frame

    def listen(self, signal: Any, slot: Callable[..., object]) -> None:
        """Connect `signal` to `slot` for as long as this workspace is in front."""
        self._heard.append((signal, slot))
        if self._in_front:
            signal.connect(slot)

    def enter(self) -> None:
        """Come to the front. The window calls this, after it has shown the workspace."""
        if not self._in_front:
            self._in_front = True
            for signal, slot in self._heard:
                signal.connect(slot)
        self.refresh()

    def leave(self) -> None:
        """Go to the back. The window calls this."""
        if self._in_front:
            self._in_front = False
            for signal, slot in self._heard:
                signal.disconnect(slot)

    def turn_to(self, page: str) -> None:
        """Bring one of its pages to the front. Raises InputError where it has no such page."""
        self.check_page(page)
        self.go_to(page)

    def check_page(self, page: str) -> None:
        """Raises InputError where it has no such page."""
        if page not in self.pages:
            known = ", ".join(self.pages) or "none"
            raise InputError(f"there is no page '{page}' here; known are {known}")

    def go_to(self, page: str) -> None:
        """Bring a page that is there to the front."""

    @property
    def page_in_front(self) -> str:
        """The name of the page that is in front; "" where there are none."""
        return ""

    @property
    def arrangement(self) -> Mapping[str, str]:
        """What is chosen here itself, as a lesson's set-up says it; see `lessons.setup.OWN`."""
        return {}

    def prepare(self, wanted: Mapping[str, str]) -> Callable[[], None]:
        """What makes these choices, to be called once this is in front.

        Raises InputError for what cannot be chosen; nothing has changed then.
        """
        if wanted:
            raise InputError(f"'{next(iter(wanted))}' cannot be chosen in this workspace")
        return lambda: None

    def refresh(self) -> None:
        """Show what is now: much may have changed while another workspace was in front."""

    def show_theme(self) -> None:
        """Take over the colours of the present theme, where the style sheet does not do it."""

    def take_picture(self, path: Path) -> None:
        """A picture file was opened or dropped; asked only of those that need a picture."""

    def do(self, command: str) -> bool:
        """Do a command of ui/actions.py in a way of its own; False leaves it to the window."""
        return False

    def do_zoom(self, command: str, reset: Callable[[], object], *, zoomed: bool) -> bool:
        """`do` where zoom is the workspace's own and there is always one sample alone: Esc shows
        all again, unless there is a run for it to stop."""
        back = command == "stop" and zoomed and not self.desk.store.activity.busy
        if command == "reset_zoom" or back:
            reset()
        return back or command in ("reset_zoom", "focus")

    def may_close(self) -> bool:
        """The window wants to close: False if a person, asked, would rather go on."""
        return True

    def closing(self) -> None:
        """The window closes: remember what shall be remembered."""


Kind = TypeVar("Kind", bound=type[Workspace])


@dataclass(frozen=True, slots=True)
class WorkspaceInfo:
    """What the window must know of a workspace before it is made.

    title: a word or two for the bar. place: its order there. needs: what it cannot do without; a
    picture that is opened goes to the workspace in front if it needs one, else to the first that
    does.
    """

    name: str
    title: str
    icon: str
    place: int
    needs: Needs
    help: str
    make: Callable[[Desk], Workspace]


_REGISTRY: dict[str, WorkspaceInfo] = {}


def workspace(
    *, name: str, title: str, icon: str, place: int, help: str, needs: Needs = "nothing"
) -> Callable[[Kind], Kind]:
    """Register the decorated class under `name` with the facts about it."""

    def register(kind: Kind) -> Kind:
        _REGISTRY[name] = WorkspaceInfo(name, title, icon, place, needs, help, kind)
        return kind

    return register


@cache
def every() -> dict[str, WorkspaceInfo]:
    """All workspaces by name, in the order of their places."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return {info.name: info for info in sorted(_REGISTRY.values(), key=lambda info: info.place)}
