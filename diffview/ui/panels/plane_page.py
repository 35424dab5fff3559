"""A page of the 2-D lab: planes that show what the lab knows, and cards beside them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QWidget

from diffview.engine.levels import NoiseLevel
from diffview.frames.plane import Window
from diffview.ui.panels.plane_cards import PlaneLevelCard
from diffview.ui.plane_lab import Place, PlaneLab
from diffview.ui.views.plane_view import PlaneView
from diffview.ui.widgets.math_label import MathLabel


class PlanePage(QWidget):
    """Told only while it is in front; the first of `planes` says what is seen."""

    windowChanged = Signal(object)

    def __init__(self, lab: PlaneLab) -> None:
        super().__init__()
        self.lab = lab
        self.level_card = PlaneLevelCard()
        self.cards: tuple[QWidget, ...] = ()
        self.planes: tuple[PlaneView, ...] = ()

    @property
    def window_seen(self) -> Window:
        """The part of the plane that is seen."""
        return self.planes[0].seen

    def enter(self) -> None:
        """It has come to the front."""

    def leave(self) -> None:
        """It goes to the back."""

    @property
    def level(self) -> NoiseLevel:
        """The level that the page shows."""
        return self.lab.level

    @property
    def gamma(self) -> float | None:
        """γ of what the page shows; None where nothing steers."""
        return self.lab.gamma if self.lab.guided else None

    def show_step(self) -> None:
        """Another step, class or γ."""
        run = self.lab.run
        of = 0 if run is None else run.spec.n_steps
        self.level_card.show_level(self.level, self.gamma, self.lab.step, of)

    def show_field(self) -> None:
        """The field was drawn."""

    def show_particles(self) -> None:
        """There are more particles."""

    def show_place(self, place: Place) -> None:
        """What the model says at the place that was asked about."""

    def show_model(self) -> None:
        """Another model."""

    def show_theme(self) -> None:
        """Other colours."""


def link(planes: tuple[PlaneView, ...]) -> None:
    """Move and zoom in one moves and zooms all."""

    def follow(leader: PlaneView) -> None:
        for plane in planes:
            if plane is not leader:
                plane.show_view(*leader.view)

    for plane in planes:
        plane.windowChanged.connect(lambda _, leader=plane: follow(leader))


def side_by_side(planes: Sequence[PlaneView], titles: Sequence[str]) -> QGridLayout:
    """Planes of one width, each under its title."""
    grid = QGridLayout()
    grid.setSpacing(6)
    for column, (plane, title) in enumerate(zip(planes, titles, strict=True)):
        label = MathLabel(title)
        grid.addWidget(label, 0, column, Qt.AlignmentFlag.AlignHCenter)
        grid.addWidget(plane, 1, column)
        grid.setColumnStretch(column, 1)
    grid.setRowStretch(1, 1)
    return grid
