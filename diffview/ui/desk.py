"""What a workspace has to work with: the narrow side of the window that it sees."""

from __future__ import annotations

from dataclasses import dataclass

from diffview.ui.controller import Controller
from diffview.ui.settings import Settings
from diffview.ui.state import Notice
from diffview.ui.timeline import RunTimeline
from diffview.ui.workers import JobRunner


@dataclass(frozen=True, slots=True)
class Desk:
    """What all workspaces share, and a job runner of one's own.

    store: what is chosen, sampled and looked at; read its properties, listen to its signals, ask
    by its choose_..., scrub_... and select_... methods. jobs: one thread for this workspace's own
    generators, started by the first of them. run_timeline: the scrubber over the shown run.
    """

    store: Controller
    jobs: JobRunner
    settings: Settings
    run_timeline: RunTimeline

    def tell(self, notice: Notice) -> None:
        """Show a message in the window."""
        self.store.noticed.emit(notice)
