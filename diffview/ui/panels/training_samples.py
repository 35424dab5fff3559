"""The training lab's samples: what the network makes of the same seeds, snapshot by snapshot."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout

from diffview.training import look
from diffview.training.events import Snapshot, Watched
from diffview.ui import theme
from diffview.ui.panels.card import FittingLabel, describe
from diffview.ui.panels.watched_panel import colours
from diffview.ui.views.grid_view import PADDING, GridView

LEAST_SIDE = 96
"""Of a picture of points (px)."""


class SamplesPanel(QFrame):
    """A heading with the step, and the samples below it."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("card", True)
        self._build()
        self.view.viewportRequested.connect(self.view.show_viewport)

    def _build(self) -> None:
        title = QLabel("Samples")
        title.setProperty("role", "heading")
        self.step = FittingLabel()
        self.step.setProperty("role", "muted")
        self.step.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.view = GridView()
        describe(self.view, "Samples", "Always from the same seeds, by 16 steps of DDIM "
                 "without guidance, classes in turn. Click one: the film strip follows it",
                 "trainingSamples")  # fmt: skip
        head = QHBoxLayout()
        head.setContentsMargins(4, 0, 4, 0)
        head.addWidget(title)
        head.addWidget(self.step, 1)
        body = QVBoxLayout(self)
        body.setContentsMargins(6, 8, 6, 8)  # so narrow that 16 small pictures fit twice as large
        body.setSpacing(4)
        body.addLayout(head)
        body.addWidget(self.view, 1)

    def show_theme(self) -> None:
        """The ring in the present colours."""
        self.view.show_role(theme.current().colour("x0_hat"))

    def show_snapshot(
        self, snapshot: Snapshot | None, watched: Watched | None, sample: int
    ) -> None:
        """The samples of a snapshot, or words before the first. Points fill the room there is."""
        if snapshot is None:
            self.view.show_tiles(None)
            self.view.show_message("Samples appear here while it learns")
            self.step.setText("")
            return
        room = min(self.view.width(), self.view.height()) - 2 * PADDING
        side = int(max(LEAST_SIDE, room * self.view.devicePixelRatioF()))
        self.view.show_tiles(look.samples_tiles(snapshot, watched, colours(), side))
        self.view.show_selection(sample)
        self.step.setText(f"after step {snapshot.step:,}")
