"""One held-out picture at a chosen t: x_t and x̂₀, ε and ε̂, with a slider over t."""

from __future__ import annotations

import math
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSlider,
    QSpinBox,
    QVBoxLayout,
)

from diffview.frames.scatter import Colour
from diffview.training import look
from diffview.training.events import Snapshot, Watched
from diffview.training.look import Colours
from diffview.ui import theme
from diffview.ui.panels.card import FittingLabel, describe, silent
from diffview.ui.views.grid_view import PADDING, GridView
from diffview.ui.widgets.math_label import MathLabel

_SHOWN = (
    ("xt", r"\c{xt}{x_{t}}", "x_t = α x₀ + σ ε, what the network is given", "x_t"),
    ("x0hat", r"\c{x0hat}{\hat{x}_{0}}", "x̂₀, the picture that the network expects", "x0_hat"),
    ("eps", r"\epsilon", "ε, the noise that was added; drawn from −3 to 3", "eps"),
    ("eps_hat", r"\c{eps}{\hat{\epsilon}}", "ε̂ = (x_t − α x̂₀) / σ, the noise that the network "
     "sees; drawn from −3 to 3", "eps"),
)  # fmt: skip
ABOVE_AND_BELOW = 110
"""Heading, symbols and slider around the pictures (px)."""


class WatchedPanel(QFrame):
    """Shows what it is told; which picture and which level are its own."""

    placeChanged = Signal()
    """Another picture or another level is looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("card", True)
        self._watched: Watched | None = None
        self._snapshot: Snapshot | None = None
        self._build()
        self._connect()

    def _build(self) -> None:
        self.title = QLabel("One held-out picture")
        self.title.setProperty("role", "heading")
        self.error = FittingLabel()
        self.error.setProperty("role", "muted")
        self.error.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.error.setToolTip("Root mean square of ε̂ − ε over all values; noise alone has 1")
        self.picture = QSpinBox(minimum=1, maximum=1)
        describe(self.picture, "Which held-out picture", "One of the held-out pictures that are "
                 "watched", "watchedPictureSpinBox")  # fmt: skip
        self.slider = QSlider(Qt.Orientation.Horizontal)
        describe(self.slider, "Noise level", "t of the watched picture: noise on the left, "
                 "the picture on the right", "watchedLevelSlider")  # fmt: skip
        self.place = QLabel("t –")
        self.place.setProperty("role", "value")
        self.place.setMinimumWidth(self.place.fontMetrics().horizontalAdvance("t 9999"))
        self.views = {name: GridView() for name, *_ in _SHOWN}
        self._labels = []
        grid = QGridLayout()
        grid.setSpacing(4)
        for column, (name, symbol, help, _) in enumerate(_SHOWN):
            label, view = MathLabel(symbol), self.views[name]
            self._labels.append(label)
            label.setToolTip(help)
            view.setMinimumSize(56, 56)
            describe(view, name, help, f"watched_{name}")
            grid.addWidget(label, 1, column, Qt.AlignmentFlag.AlignHCenter)
            grid.addWidget(view, 2, column)
            grid.setColumnStretch(column, 1)
        for row, stretch in ((0, 1), (2, 100), (3, 1)):
            grid.setRowStretch(row, stretch)
        head = QHBoxLayout()
        head.addWidget(self.title)
        head.addWidget(self.error, 1)
        head.addWidget(self.picture)
        foot = QHBoxLayout()
        foot.addWidget(self.place)
        foot.addWidget(self.slider, 1)
        body = QVBoxLayout(self)
        body.setContentsMargins(10, 8, 10, 8)
        body.setSpacing(4)
        body.addLayout(head)
        body.addLayout(grid, 1)
        body.addLayout(foot)

    def _connect(self) -> None:
        self.slider.valueChanged.connect(self._on_moved)
        self.picture.valueChanged.connect(self._on_moved)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The pictures are square, so their symbols stay right above them."""
        room = self.width() - 40
        for view in self.views.values():
            view.setMaximumHeight(max(view.minimumHeight(), room // len(self.views)))
        super().resizeEvent(event)
        if self._watched is not None:
            self._show()

    def _side(self) -> int:
        """How large points can be drawn, in pixels of the screen."""
        view = self.views["xt"]
        high = self.height() - ABOVE_AND_BELOW
        room = min((self.width() - 40) // len(self.views), high) - 2 * PADDING
        return max(look.SMALL, math.floor(room * view.devicePixelRatioF()))

    @property
    def level(self) -> int:
        """The index of the level that is looked at, noisiest first."""
        return self.slider.value()

    def show_watched(self, watched: Watched | None) -> None:
        """What there is to look at; None: this recipe has no levels."""
        self._watched = watched
        count = 1 if watched is None else len(watched.levels)
        points = watched is not None and watched.x_0.ndim == 2
        with silent(self.slider, self.picture):
            fresh = self.slider.maximum() != count - 1
            self.slider.setMaximum(count - 1)
            if fresh:
                self.slider.setValue(count // 2)
            self.picture.setMaximum(1 if watched is None else len(watched.x_0))
            self.picture.setSuffix(f" of {self.picture.maximum()}")
        self.picture.setVisible(watched is not None and not points)
        self.title.setText("Held-out points" if points else "One held-out picture")
        self.slider.setEnabled(watched is not None)
        self._show()

    def show_snapshot(self, snapshot: Snapshot | None) -> None:
        """The estimates of this snapshot."""
        self._snapshot = snapshot
        self._show()

    def go_near(self, t: float) -> None:
        """Look at the level whose t is nearest."""
        if self._watched is not None:
            away = [abs(level.t - t) for level in self._watched.levels]
            self.slider.setValue(away.index(min(away)))

    def show_theme(self) -> None:
        """In the present colours."""
        for name, _, _, token in _SHOWN:
            self.views[name].show_role(theme.current().colour(token))
        self._show()

    def _on_moved(self) -> None:
        self._show()
        self.placeChanged.emit()

    def _show(self) -> None:
        watched, snapshot = self._watched, self._snapshot
        if watched is None:
            self._show_nothing("no levels" if snapshot is not None else "")
            return
        estimates = None if snapshot is None else snapshot.x0_hat
        picture, level = self.picture.value() - 1, self.level
        shown: dict[str, Any] = look.watched_tiles(
            watched, estimates, picture, level, colours(), self._side()
        )
        for name, view in self.views.items():
            view.show_message("")
            view.show_tiles(shown.get(name))
        self.place.setText(f"t {watched.levels[level].t:g}")
        self.error.setText("")
        if estimates is not None:
            error = look.eps_error(watched, estimates, picture, level)
            self.error.setText(f"rms error of the noise {error:.3f}")

    def _show_nothing(self, message: str) -> None:
        for view in self.views.values():
            view.show_tiles(None)
            view.show_message(message)
        self.place.setText("t –")
        self.error.setText("")


def colours() -> Colours:
    """What points are drawn in, in the present theme."""
    return Colours(*map(_rgb, ("field", "outline", "x_t", "x0_hat", "eps")))


def _rgb(token: str) -> Colour:
    colour = theme.current().colour(token)
    return colour.red(), colour.green(), colour.blue()
