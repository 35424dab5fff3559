"""The 2-D lab's page to draw on: points by hand, and the exact model that they are.

The lecture's picture of the manifold: data on a curve, noise far away, and from every noised point
an arrow to where it would have come from on average.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PySide6.QtCore import QPointF, Qt, Signal, Slot
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtWidgets import (
    QButtonGroup,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffview.engine import schedules
from diffview.engine.levels import NoiseLevel
from diffview.errors import DiffviewError
from diffview.frames.plane import Window
from diffview.models import catalog
from diffview.models.card import ModelCard
from diffview.models.exact.mixture import Mixture
from diffview.models.exact.toys import mixture_card
from diffview.ui import theme
from diffview.ui.drawn_points import CLASSES, MOST_POINTS, NOTHING, SHAPES, DrawnPoints
from diffview.ui.mailbox import Mailbox
from diffview.ui.panels.card import Card, describe, labelled
from diffview.ui.panels.plane_page import PlanePage
from diffview.ui.plane_lab import PlaneLab
from diffview.ui.plane_paint import ground_of, legend_of, still_of
from diffview.ui.views.plane_shapes import Arrows, Dots, Shape
from diffview.ui.views.plane_view import PlaneView
from diffview.ui.workers import JobRunner

TOKENS = ("x0_hat", "gamma", "eps")
"""The colours of the classes; the data are x₀, so the first has its colour."""
LEAST_WIDTH, MOST_WIDTH, WIDTH = 0.005, 0.3, 0.03
HOME = 1.6
NOISED = 72
"""How many noised points have an arrow."""
ERASER = 0.08
BEFORE_A_RUN = schedules.named("linear").level(250)
ON = frozenset({"contours"})
EMPTY = "Draw with the mouse: a curve, a word, a cloud\nRight button: erase"


class DrawPage(PlanePage):
    """A canvas, and under what is drawn its density at the scrubbed t."""

    modelMade = Signal(object)
    keepRequested = Signal(object)

    def __init__(self, lab: PlaneLab, runner: JobRunner) -> None:
        super().__init__(lab)
        self.drawn = NOTHING
        self._label = 0
        self._box = Mailbox(runner, self)
        self._preview: Any = None
        self._front = False
        self._build()
        self._connect()
        self._show_points()

    # -- building ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.plane = PlaneView("drawView")
        self.plane.pans = False
        describe(self.plane, "Canvas", "Drag to draw, with the right button to erase, with the "
                 "middle one to move; the wheel zooms. Alt and arrows move the cross, Enter puts "
                 "a point there, Backspace takes the last stroke back", "drawView")  # fmt: skip
        self.plane.show_home(HOME)
        self.planes = (self.plane,)
        self.points_card = self._points_card()
        self.cards = (self.points_card, self.level_card)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self._head())
        body.addWidget(self.plane, 1)

    def _head(self) -> QWidget:
        head, row = QWidget(), QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        head.setLayout(row)
        self._group, self.classes = QButtonGroup(self), []
        for k in range(CLASSES):
            button = _tool(f"Class {k + 1}", f"Draw points of class {k + 1}", f"drawClass{k + 1}")
            button.setCheckable(True)
            button.setChecked(k == 0)
            button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
            self._group.addButton(button, k)
            self.classes.append(button)
            row.addWidget(button)
        row.addSpacing(8)
        self.shapes = {}
        for name in SHAPES:
            self.shapes[name] = _tool(name.capitalize(), f"Add points on a {name.rstrip('s')} "
                                      "shape", f"drawShape_{name}")  # fmt: skip
            row.addWidget(self.shapes[name])
        row.addSpacing(8)
        self.undo = _tool("Undo", "Take the last stroke back", "drawUndo")
        self.clear = _tool("Clear", "Take all points away", "drawClear")
        row.addWidget(self.undo)
        row.addWidget(self.clear)
        row.addStretch(1)
        return head

    def _points_card(self) -> Card:
        card = Card("DRAWN POINTS")
        self.width_box = QDoubleSpinBox(minimum=LEAST_WIDTH, maximum=MOST_WIDTH, decimals=3,
                                        singleStep=0.005)  # fmt: skip
        self.width_box.setValue(WIDTH)
        describe(self.width_box, "Width of a point", "Every point is a Gaussian with this "
                 "standard deviation, in data units", "drawWidthSpinBox")  # fmt: skip
        self.remark = QLabel()
        self.remark.setProperty("role", "muted")
        self.remark.setWordWrap(True)
        self.remark.setMinimumHeight(2 * self.remark.fontMetrics().lineSpacing())
        self.use = QPushButton("Use as model")
        self.use.setProperty("primary", True)
        describe(
            self.use,
            "Use as model",
            "Make an exact model of the points and choose it: it is "
            "sampled, guided and shown everywhere like any other",
            "useDrawnButton",
        )
        self.keep = QPushButton("Keep as a file")
        describe(
            self.keep,
            "Keep as a file",
            "Write the exact model of the points into the models "
            "folder, so that it is in the list at every launch",
            "keepDrawnButton",
        )
        card.body.addLayout(labelled("Width of a point", self.width_box))
        card.body.addWidget(self.remark)
        card.body.addWidget(self.use)
        card.body.addWidget(self.keep)
        return card

    def _connect(self) -> None:
        self.plane.windowChanged.connect(self._on_window)
        self.plane.pressed.connect(self._on_pressed)
        self.plane.dragged.connect(self._on_dragged)
        self.plane.released.connect(self._ask)
        self.plane.entered.connect(self._on_entered)
        self.plane.erased.connect(self._on_undo)
        self._group.idClicked.connect(self._on_class)
        for name, button in self.shapes.items():
            button.clicked.connect(lambda _=False, name=name: self._on_shape(name))
        self.undo.clicked.connect(self._on_undo)
        self.clear.clicked.connect(self._on_clear)
        self.width_box.valueChanged.connect(self._ask)
        self.use.clicked.connect(self._on_use)
        self.keep.clicked.connect(self._on_keep)
        self._box.told.connect(self._on_preview)
        self._box.failed.connect(self.lab.failed)

    # -- showing ----------------------------------------------------------------------------------

    def enter(self) -> None:
        """Show the drawn points at the present level."""
        self._front = True
        self.show_theme()
        self._ask()

    def leave(self) -> None:
        """Others need the processor."""
        self._front = False

    def show_step(self) -> None:
        """The level that is looked at."""
        super().show_step()
        self._ask()

    def show_theme(self) -> None:
        """Classes and field in the colours of the present theme."""
        for button, token in zip(self.classes, TOKENS, strict=True):
            button.setIcon(_dot(token, self.devicePixelRatioF()))
        self._show_points()
        if self._preview is not None:
            self._on_preview(self._preview)

    @property
    def level(self) -> NoiseLevel:
        """That of the scrubber; before there is a run, one of little noise."""
        return BEFORE_A_RUN if self.lab.run is None else self.lab.level

    @property
    def gamma(self) -> None:
        """What is drawn has nothing that steers yet."""

    def _show_points(self) -> None:
        shapes: dict[str, Shape | None] = {}
        for label, token in enumerate(TOKENS):
            places = self.drawn.places[self.drawn.labels == label]
            shapes[f"class{label}"] = Dots(places, token, 2.6, 0.95) if len(places) else None
        self.plane.show_moving(shapes)
        count = len(self.drawn)
        self.plane.show_message("" if count else EMPTY)
        most = f" (the most there can be: {MOST_POINTS:,})" if self.drawn.full else ""
        classes = len(np.unique(self.drawn.labels))
        self.remark.setText(
            f"{count:,} {'point' if count == 1 else 'points'} of {classes} "
            f"{'class' if classes == 1 else 'classes'}{most}"
            if count
            else "No points yet"
        )
        for button in (self.undo, self.clear, self.use, self.keep):
            button.setEnabled(count > 0)

    @Slot()
    def _ask(self) -> None:
        if not self._front:
            return
        if not len(self.drawn):
            self._preview = None
            self.plane.show_ground(None)
            self.plane.show_still(dict.fromkeys(("contours",)))
            self.plane.show_moving(dict.fromkeys(("noised", "arrows")))
            self.plane.show_legend([])
            return
        asked = (self.drawn, self.width_box.value(), self.level, self.plane.seen)
        self._box.put(lambda: _previewed(*asked))

    @Slot(object)
    def _on_preview(self, preview: Any) -> None:
        if not len(self.drawn):
            return
        self._preview = preview
        drawn, starts, ends = preview
        self.plane.show_ground(ground_of(drawn, "density"))
        self.plane.show_still(still_of(drawn, "density", ON))
        self.plane.show_legend([*legend_of(drawn, "density", ON), "arrows: x_t to E[x₀ | x_t]"])
        self.plane.show_moving(
            {
                "arrows": Arrows(starts, ends, "x0_hat", 0.55, 1.2),
                "noised": Dots(starts, "x_t", 2.6, 0.95),
            }
        )

    # -- asking -----------------------------------------------------------------------------------

    @Slot(object)
    def _on_window(self, window: Window) -> None:
        self.windowChanged.emit(window)
        self._ask()

    def _change(self, drawn: DrawnPoints) -> None:
        self.drawn = drawn
        self._show_points()

    @Slot(float, float, object)
    def _on_pressed(self, x: float, y: float, button: Qt.MouseButton) -> None:
        if button == Qt.MouseButton.LeftButton:
            self._change(self.drawn.begun(x, y, self._label))
        elif button == Qt.MouseButton.RightButton:
            self._change(self.drawn.erased(x, y, ERASER))

    @Slot(float, float, object)
    def _on_dragged(self, x: float, y: float, buttons: Qt.MouseButton) -> None:
        if buttons & Qt.MouseButton.LeftButton:
            self._change(self.drawn.drawn_to(x, y, self._label))
        elif buttons & Qt.MouseButton.RightButton:
            self._change(self.drawn.erased(x, y, ERASER))

    @Slot()
    def _on_entered(self) -> None:
        place = self.plane.probe or (0.0, 0.0)
        self._change(self.drawn.begun(*place, self._label))
        self._ask()

    @Slot(int)
    def _on_class(self, label: int) -> None:
        self._label = label

    def _on_shape(self, name: str) -> None:
        self._change(self.drawn.with_shape(name, self._label))
        self._ask()

    @Slot()
    def _on_undo(self) -> None:
        self._change(self.drawn.undone())
        self._ask()

    @Slot()
    def _on_clear(self) -> None:
        self._change(NOTHING)
        self._ask()

    @Slot()
    def _on_use(self) -> None:
        data = self.drawn.mixture(self.width_box.value())
        self.modelMade.emit(_card(data))

    @Slot()
    def _on_keep(self) -> None:
        self.keepRequested.emit(_card(self.drawn.mixture(self.width_box.value())))


def kept(drawn: tuple[ModelCard, Mixture], folder: Path) -> Iterator[catalog.Entry]:
    """Write an exact model of drawn points under a free name; yields it as it can be opened.

    Raises DiffviewError where it cannot be written.
    """
    from diffview.models.exact.mixture_denoiser import MixtureDenoiser
    from diffview.models.families.mixture import write

    card, data = drawn
    names = (f"drawn-{k}" for k in range(1, 10**6))
    name = next(one for one in names if not (folder / f"{one}{catalog.SUFFIX}").exists())
    path = folder / f"{name}{catalog.SUFFIX}"
    title = f"{card.title} {name.removeprefix('drawn-')}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write(path, MixtureDenoiser(replace(card, id=name, title=title), data))
    except OSError as error:
        raise DiffviewError(f"{path} could not be written: {error.strerror or error}") from None
    yield catalog.entry(path)


def _card(data: Mixture) -> tuple[ModelCard, Mixture]:
    words = f"{len(data.weights)} points drawn by hand."
    return mixture_card(data, "drawn", "Drawn by hand", words), data


def _previewed(
    drawn: DrawnPoints, width: float, level: NoiseLevel, window: Window
) -> Iterator[Any]:
    """The field of the drawn points, and from some noised ones where they came from."""
    import torch

    from diffview.frames.plane_field import draw, grid_of
    from diffview.models.exact.mixture_denoiser import MixtureDenoiser
    from diffview.models.exact.plane import guided_field

    card, data = _card(drawn.mixture(width))
    model = MixtureDenoiser(card, data)
    clean, _ = data.sample(NOISED, np.random.default_rng(0))
    noise = np.random.default_rng(1).standard_normal(clean.shape)
    starts = level.alpha * clean + level.sigma * noise
    ends = model(torch.from_numpy(starts), level, model.null_condition(len(starts))).numpy()
    yield draw(guided_field(model, grid_of(window), level), 0.0), starts, ends


def _tool(title: str, help: str, name: str) -> QToolButton:
    button = QToolButton()
    button.setText(title)
    button.setProperty("framed", True)
    button.setFixedHeight(30)
    describe(button, title, help, name)
    return button


def _dot(token: str, scale: float) -> QIcon:
    made = QPixmap(round(14 * scale), round(14 * scale))
    made.setDevicePixelRatio(scale)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(theme.current().colour(token))
    painter.drawEllipse(QPointF(7, 7), 5, 5)
    painter.end()
    return QIcon(made)
