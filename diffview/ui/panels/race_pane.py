"""One side of the race: which model, its samples at this tick, how many evaluations it used."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from diffview.frames.compose import Tiles
from diffview.frames.quantities import QUANTITIES, find
from diffview.ui import theme
from diffview.ui.panels.card import FIELD_HEIGHT, FittingLabel, describe, narrow, silent
from diffview.ui.panels.pane import LENS_HELP, SYMBOLS
from diffview.ui.state import Pane
from diffview.ui.views.grid_view import GridView
from diffview.ui.widgets.clock_bar import ClockBar
from diffview.ui.widgets.math_label import MathLabel
from diffview.ui.widgets.way_out import WayOut

Choice = tuple[str, str, str]
"""Of a list: what is chosen, its text, and why it cannot be ("" where it can)."""


class RacePane(QFrame):
    """`side` is "left" or "right"; shows what it is told."""

    chosen = Signal(str)
    paneRequested = Signal(object)

    def __init__(self, side: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self.pane = Pane("xt")
        self._by_token: bool | None = None
        self._build(side)
        self.model.currentIndexChanged.connect(self._on_model)
        self.quantity.currentIndexChanged.connect(self._on_quantity)

    def _build(self, side: str) -> None:
        title = side.capitalize()
        self.model = QComboBox()
        describe(self.model, f"{title} model", f"What runs on the {side}: a model, or the run "
                 "that is shown in Denoising", f"race{title}Model")  # fmt: skip
        self.symbol = MathLabel(SYMBOLS["xt"])
        self.symbol.setProperty("role", "title")
        self.subtitle = FittingLabel()
        self.subtitle.setProperty("role", "muted")
        self.lens = QLabel()
        self.lens.setProperty("role", "small")
        self.quantity = QComboBox()
        describe(self.quantity, f"What the {side} side shows", "What this side shows of a step",
                 f"race{title}Quantity")  # fmt: skip
        narrow(self.model, self.quantity)
        for combo in (self.model, self.quantity):
            combo.setFixedHeight(FIELD_HEIGHT)
        self.quantity.setFixedWidth(124)
        self.view = GridView()
        describe(self.view, f"Samples, {side}", "Click selects a sample on both sides; the wheel "
                 "zooms, dragging moves, 0 resets", f"race{title}View")  # fmt: skip
        self.way_out = WayOut(self.view)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.setContentsMargins(4, 0, 0, 0)
        head.addWidget(self.symbol)
        head.addWidget(self.subtitle, 1)
        head.addWidget(self.lens)
        head.addWidget(self.quantity)
        body = QVBoxLayout(self)
        body.setContentsMargins(8, 8, 8, 8)
        body.setSpacing(6)
        body.addWidget(self.model)
        body.addLayout(head)
        body.addWidget(self.view, 1)
        body.addLayout(self._build_clock(title))

    def _build_clock(self, title: str) -> QVBoxLayout:
        self.bar = ClockBar("accent")
        self.bar.setAccessibleName(f"{title} side on the clock")
        self.used = QLabel("–")
        self.used.setProperty("role", "value")
        self.used.setMinimumWidth(
            self.used.fontMetrics().horizontalAdvance("0000 of 0000 evaluations") + 12
        )
        self.used.setObjectName(f"race{title}Used")
        self.used.setToolTip(
            "Network evaluations of one sample so far; guidance asks twice a step"
        )
        self.place = FittingLabel()
        self.place.setProperty("role", "muted")
        self.place.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        row = QHBoxLayout()
        row.addWidget(self.used)
        row.addWidget(self.place, 1)
        column = QVBoxLayout()
        column.setSpacing(4)
        column.addWidget(self.bar)
        column.addLayout(row)
        return column

    @Slot(int)
    def _on_model(self, row: int) -> None:
        self.chosen.emit(self.model.itemData(row))

    @Slot(int)
    def _on_quantity(self, row: int) -> None:
        self.paneRequested.emit(Pane(self.quantity.itemData(row), self.pane.policy))

    # -- showing ------------------------------------------------------------------------------

    def show_choices(self, choices: Sequence[Choice], chosen: str) -> None:
        """What there is to choose from, and what is chosen of it."""
        with silent(self.model):
            self.model.clear()
            for place, (name, text, reason) in enumerate(choices):
                self.model.addItem(text, name)
                rows = self.model.model()
                if reason and isinstance(rows, QStandardItemModel):
                    rows.item(place).setEnabled(False)
                    rows.item(place).setToolTip(reason)
            self.model.setCurrentIndex(self.model.findData(chosen))

    def show_nothing(self) -> None:
        """There is no run on this side to choose a quantity of."""
        self.quantity.setEnabled(False)

    def show_kind(self, *, guided: bool, by_token: bool) -> None:
        """Offer what a run of this kind has, and begin with what says most of it."""
        has = [
            quantity.of_kind(by_token=by_token)
            for quantity in QUANTITIES.values()
            if not quantity.lacking(by_token=by_token, guided=guided)
        ]
        names = [quantity.name for quantity in has]
        self.quantity.setEnabled(True)
        if names != [self.quantity.itemData(row) for row in range(self.quantity.count())]:
            with silent(self.quantity):
                self.quantity.clear()
                for quantity in has:
                    self.quantity.addItem(quantity.word, quantity.name)
        if by_token != self._by_token or self.pane.quantity not in names:
            self.pane = Pane("xt" if by_token else "x0hat")
        self._by_token = by_token
        self.show_pane(self.pane)

    def show_pane(self, pane: Pane) -> None:
        """What is chosen to be seen."""
        self.pane = pane
        with silent(self.quantity):
            self.quantity.setCurrentIndex(self.quantity.findData(pane.quantity))
        self.symbol.show_markup(SYMBOLS[pane.quantity])
        words = find(pane.quantity).of_kind(by_token=bool(self._by_token))
        self.symbol.setToolTip(words.help)
        self.subtitle.setText(words.title)
        self.view.show_role(theme.colour_of(theme.current(), pane.quantity))

    def show_tiles(self, tiles: Tiles | None, message: str, lens: str) -> None:
        """Pictures, or words in their place; `lens` is what latents are looked at through."""
        self.view.show_message(message)
        self.view.show_tiles(tiles)
        self.lens.setText(lens)
        self.lens.setToolTip(LENS_HELP.get(lens, ""))

    def show_clock(self, used: int, own: int, last: int, place: str) -> None:
        """`used` of its `own` evaluations at a tick of a clock that ends at `last`."""
        self.bar.show_clock(used, own, last)
        self.used.setText(f"{used} of {own} evaluations" if own else "–")
        self.place.setText(place)

    def show_theme(self) -> None:
        """Symbols and rings in the present colours."""
        self.show_pane(self.pane)
        self.bar.update()
