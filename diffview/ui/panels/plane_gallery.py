"""What the 2-D lab shows while no points are chosen: the distributions there are, as pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon, QImage, QPixmap
from PySide6.QtWidgets import QGridLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from diffview.frames.scatter import blank, scatter
from diffview.models.exact.toys import Toy, toys
from diffview.ui.panels.card import Card, describe
from diffview.ui.plane_paint import rgb

SIDE = 132
DRAWS = 900
DRAW = "draw"


class Gallery(QWidget):
    """A large button for each distribution, and one to draw another."""

    modelRequested = Signal(str)
    drawRequested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.buttons: dict[str, QToolButton] = {}
        self._build()

    def _build(self) -> None:
        title = QLabel("Choose data in the plane")
        title.setProperty("role", "title")
        title.setAlignment(Qt.AlignmentFlag.AlignCenter)
        remark = QLabel(
            "Of each its noised density, its score and its estimate are known exactly. Or drop "
            "points of your own on the window: a .csv with x, y and perhaps a class, or a .npy."
        )
        remark.setProperty("role", "muted")
        remark.setAlignment(Qt.AlignmentFlag.AlignCenter)
        remark.setWordWrap(True)
        grid = QGridLayout()
        grid.setSpacing(10)
        for place, toy in enumerate(toys().values()):
            self._add(grid, place, toy.id, toy.title, toy.description)
            self.buttons[toy.id].clicked.connect(
                lambda _=False, id=toy.id: self.modelRequested.emit(id)
            )
        self._add(grid, len(toys()), DRAW, "Draw your own", "Draw points by hand: an exact model "
                  "is made of them")  # fmt: skip
        self.buttons[DRAW].clicked.connect(self.drawRequested)
        body = QVBoxLayout(self)
        body.addStretch(1)
        body.addWidget(title)
        body.addWidget(remark)
        body.addSpacing(10)
        body.addLayout(grid)
        body.addStretch(2)
        grid.setAlignment(Qt.AlignmentFlag.AlignCenter)

    def _add(self, grid: QGridLayout, place: int, id: str, title: str, help: str) -> None:
        button = QToolButton()
        button.setText(title)
        button.setProperty("framed", True)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setIconSize(QSize(SIDE, SIDE))
        describe(button, title, help, f"planeData_{id}")
        self.buttons[id] = button
        grid.addWidget(button, place // 3, place % 3)

    def show_theme(self) -> None:
        """The pictures in the present colours."""
        for id, button in self.buttons.items():
            button.setIcon(_picture(toys().get(id), self.devicePixelRatioF()))


class PagesCard(Card):
    """What there is to see once data are chosen: a page each, with a line about it."""

    def __init__(self, pages: Sequence[tuple[str, str]]) -> None:
        super().__init__("TO SEE HERE")
        for title, help in pages:
            name, about = QLabel(title), QLabel(help)
            about.setProperty("role", "muted")
            about.setWordWrap(True)
            column = QVBoxLayout()
            column.setSpacing(2)
            column.addWidget(name)
            column.addWidget(about)
            self.body.addLayout(column)


def _picture(toy: Toy | None, scale: float) -> QIcon:
    """Draws from the distribution; a hand-drawn curve where there is none yet."""
    if toy is None:
        u = np.linspace(0, 2 * np.pi, 160)
        points = np.stack([0.75 * np.sin(u), 0.45 * np.sin(2 * u)], axis=1)
    else:
        points = toy.mixture.sample(DRAWS, np.random.default_rng(0))[0]
    side = round(SIDE * scale)
    token = "x0_hat" if toy is None else "x_t"
    pixels = scatter(points, rgb(token), blank(rgb("panel"), side))
    image = QImage(pixels.data, side, side, 4 * side, QImage.Format.Format_RGBX8888).copy()
    made = QPixmap.fromImage(image)
    made.setDevicePixelRatio(scale)
    return QIcon(made)
