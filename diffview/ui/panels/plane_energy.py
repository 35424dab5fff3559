"""The 2-D lab's page on energy: a landscape, its Z, what Z costs, and who does not need it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QVBoxLayout,
)

from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox
from diffview.ui.panels.card import Card, describe
from diffview.ui.panels.plane_cards import PlaceCard, Rows
from diffview.ui.panels.plane_page import PlanePage
from diffview.ui.plane_lab import Answer, Place, PlaneLab
from diffview.ui.plane_paint import ground_of, legend_of, still_of
from diffview.ui.slices import Slices
from diffview.ui.views.cost_bars import MEASURED, CostBars, costs
from diffview.ui.views.plane_shapes import Arrows
from diffview.ui.views.plane_view import PlaneView
from diffview.ui.widgets.math_label import MathLabel
from diffview.ui.workers import JobRunner

if TYPE_CHECKING:
    from diffview.models.exact.partition import Partition
    from diffview.models.exact.shift import Shift

SHOWN = frozenset({"contours", "score"})
FINENESS = (32, 64, 128)
MOST_SHIFT = 5.0
NOTCHES = 10
SHORT, REPEATS = 20_000, 7
_ENERGIES = {
    "free": r"E(x_{t}) = -\log p(x_{t}) + c",
    "given": r"E(x_{t}) = -\log p(x_{t}|y) + c",
    "tilted": r"E(x_{t}) = -\log \c{gamma}{p_{\gamma}}(x_{t}) + c",
}
_SHIFT = (
    ("c", "c", "The constant that is added to the energy, in nats"),
    ("z", r"Z = \int e^{-E}dx", "The partition function, summed over the grid"),
    ("known", r"\text{by formula}", "Z = e^(−c), since p(x_t) itself is known and sums to 1"),
    ("score", r"\text{change of the score}", "The largest change of −∂E/∂x by c at 64 places, by "
     "automatic differentiation"),
)  # fmt: skip


class ShiftCard(Card):
    """A constant added to the energy, and what it changes."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__("A CONSTANT IN THE ENERGY")
        self.formula = MathLabel(_ENERGIES["free"])
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(round(-MOST_SHIFT * NOTCHES), round(MOST_SHIFT * NOTCHES))
        describe(self.slider, "Constant c", "A constant that is added to the energy, −5 to 5 nats",
                 "energyShiftSlider")  # fmt: skip
        self.rows = Rows("shift", _SHIFT)
        self.words = QLabel("p = e⁻ᴱ / Z and the score −∇E stay as they are: Z swallows c, and a "
                            "gradient does not see it. So a score needs no Z.")  # fmt: skip
        self.words.setWordWrap(True)
        self.words.setProperty("role", "muted")
        for widget in (self.formula, self.slider, self.rows, self.words):
            self.body.addWidget(widget)
        self.slider.valueChanged.connect(self.changed)

    @property
    def constant(self) -> float:
        """c in nats."""
        return self.slider.value() / NOTCHES

    def show_energy(self, label: int | None, gamma: float) -> None:
        """Whose energy it is."""
        name = "free" if label is None or gamma == 0 else "given" if gamma == 1 else "tilted"
        self.formula.show_markup(_ENERGIES[name])

    def show_shift(self, shift: Shift | str) -> None:
        """What it changes, or why that cannot be said."""
        if isinstance(shift, str):
            self.rows.show_nothing()
            return
        known = "none for p_γ" if shift.known is None else f"{math.exp(shift.known):.4g}"
        self.rows.show_texts(
            c=f"{shift.constant:.1f} nats".replace("-", "−"),
            z=f"{math.exp(shift.log_z):.4g}",
            known=known,
            score=f"{shift.score_change:.1g} per unit",
        )


class EnergyPage(PlanePage):
    """The energy of p(x_t) as a landscape; beside it the price of Z in more dimensions."""

    def __init__(self, lab: PlaneLab, runner: JobRunner) -> None:
        super().__init__(lab)
        self._box, self._slices = Mailbox(runner, self), Slices(runner, self)
        self._done: dict[int, Partition] = {}
        self._front = False
        self._build()
        self._connect()

    def _build(self) -> None:
        self.plane = PlaneView("energyView")
        describe(self.plane, "Energy landscape", "−log p in nats above its lowest, and the score, "
                 "which leads downhill. Drag moves, the wheel zooms, 0 shows all again",
                 "energyView")  # fmt: skip
        self.planes = (self.plane,)
        self.shift_card, self.place_card = ShiftCard(), PlaceCard()
        self.cards = (self.shift_card, self.level_card, self.place_card)
        body = QHBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self.plane, 3)
        body.addWidget(self._cost_panel(), 2)

    def _cost_panel(self) -> QFrame:
        panel = QFrame()
        panel.setProperty("card", True)
        title = QLabel("WHAT Z COSTS")
        title.setProperty("role", "heading")
        energy = MathLabel(r"E(x) = \sum_{d} (4 x_{d}^{2} - 1)^{2}")
        energy.setToolTip("A double well in each dimension: 2^D valleys")
        self.fineness = QComboBox()
        for cells in FINENESS:
            self.fineness.addItem(f"{cells} cells an axis", cells)
        self.fineness.setCurrentIndex(1)
        describe(self.fineness, "Cells along each axis", "A grid of n cells along each axis takes "
                 "n^D evaluations of the energy", "zCellsCombo")  # fmt: skip
        self.measure = QPushButton("Measure")
        describe(self.measure, "Measure the cost of Z", "Sum e^(−E) over the grid in one, two and "
                 "three dimensions, on this computer, now", "measureZButton")  # fmt: skip
        self.bars = CostBars()
        describe(
            self.bars,
            "Cost of Z by dimension",
            "Evaluations of the energy, on a logarithmic "
            "scale; amber: measured here, grey: foreseen at the same pace",
            "zCostBars",
        )
        words = QLabel("Each dimension multiplies the price by the cells of an axis. A score "
                       "model never pays it.")  # fmt: skip
        words.setWordWrap(True)
        words.setProperty("role", "muted")
        buttons = QHBoxLayout()
        buttons.addWidget(self.fineness, 1)
        buttons.addWidget(self.measure)
        body = QVBoxLayout(panel)
        body.setContentsMargins(12, 10, 12, 12)
        body.setSpacing(8)
        body.addWidget(title)
        body.addWidget(energy)
        body.addLayout(buttons)
        body.addWidget(self.bars)
        body.addWidget(words)
        body.addStretch(1)
        panel.setMinimumWidth(280)
        return panel

    def _connect(self) -> None:
        self.plane.windowChanged.connect(self.windowChanged)
        self.plane.probed.connect(self.lab.probe)
        self.plane.unprobed.connect(self._on_unprobed)
        self.shift_card.changed.connect(self._ask)
        self.measure.clicked.connect(self._on_measure)
        self.fineness.currentIndexChanged.connect(self._on_measure)
        self._box.told.connect(self.shift_card.show_shift)
        self._slices.told.connect(self._on_part)
        for work in (self._box, self._slices):
            work.failed.connect(self.lab.failed)

    def enter(self) -> None:
        """Measure once by itself."""
        self._front = True
        if not self._done:
            self._on_measure()
        self._ask()

    def leave(self) -> None:
        """Measure no more."""
        self._front = False
        self._slices.stop()

    def show_theme(self) -> None:
        """All of it in the colours of the present theme."""
        self.show_field()
        self.bars.update()

    def show_step(self) -> None:
        """The step that is looked at."""
        super().show_step()
        lab = self.lab
        self.shift_card.show_energy(lab.label, lab.gamma)
        self._ask()

    def show_field(self) -> None:
        """The landscape."""
        answer = self.lab.answer
        if not isinstance(answer, Answer):
            self.plane.show_ground(None)
            return
        drawn = answer.drawn
        self.plane.show_ground(ground_of(drawn, "energy"))
        self.plane.show_still(still_of(drawn, "energy", SHOWN))
        self.plane.show_legend(legend_of(drawn, "energy", SHOWN))

    def show_place(self, place: Place) -> None:
        """What the model says under the mouse."""
        if self.plane.probe is not None:
            self.place_card.show_place(place)
            arrow = Arrows(place.x_t[None], place.x0_hat[None], "x0_hat", 1.0, 2.0, dots=True)
            self.plane.show_moving({"probe": arrow})

    @Slot()
    def _on_unprobed(self) -> None:
        self.place_card.show_nothing()
        self.plane.show_moving({"probe": None})

    @Slot()
    def _ask(self) -> None:
        lab, source = self.lab, self.lab.source
        if not self._front or source is None:
            return
        asked = (lab.level, lab.label, lab.gamma, self.shift_card.constant)
        self._box.put(lambda: _shifted(source, *asked))

    @Slot()
    def _on_measure(self) -> None:
        cells = self.fineness.currentData()
        self._done = {}
        self._slices.start(lambda: _parts(cells))

    @Slot(object)
    def _on_part(self, part: Partition) -> None:
        self._done[part.dims] = part
        self.bars.show_costs(costs(self._done))


def _parts(cells: int) -> Iterator[Partition]:
    from diffview.models.exact.partition import double_well, partitions

    for dims in MEASURED:
        # What takes no time is timed several times: the first one pays for what torch sets up.
        if cells**dims < SHORT:
            alike = [list(partitions(double_well, per_axis=cells, dims=(dims,)))[-1]
                     for _ in range(REPEATS)]  # fmt: skip
            yield min(alike, key=lambda part: part.seconds)
        else:
            yield from partitions(double_well, per_axis=cells, dims=(dims,))


def _shifted(
    source: ModelSource, level: NoiseLevel, label: int | None, gamma: float, constant: float
) -> Iterator[Shift | str]:
    from diffview.models.exact.shift import shift

    try:
        yield shift(source.model(), level, label, gamma, constant)
    except InputError as error:
        yield str(error)
