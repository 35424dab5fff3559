"""One of the two panes: what it shows, how it is brightened, and the grid of samples."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Signal, Slot
from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from diffview.frames.compose import LATENTS, POLICIES
from diffview.frames.quantities import QUANTITIES, find
from diffview.ui import theme
from diffview.ui.panels.card import FittingLabel, describe, narrow, silent
from diffview.ui.state import Pane
from diffview.ui.views.grid_view import GridView
from diffview.ui.widgets.math_label import MathLabel
from diffview.ui.widgets.way_out import WayOut

SYMBOLS = {
    "xt": r"\c{xt}{x_{t}}",
    "x0hat": r"\c{x0hat}{\hat{x}_{0}}",
    "x0cond": r"\c{x0cond}{\hat{x}_{0,c}}",
    "x0uncond": r"\c{x0uncond}{\hat{x}_{0,u}}",
    "diff": r"\c{diff}{\hat{x}_{0,c} - \hat{x}_{0,u}}",
    "eps": r"\c{eps}{\hat{\epsilon}}",
    "score": r"\c{score}{\nabla \log p}",
    "entropy": r"\c{entropy}{H}",
    "surprise": r"\c{surprise}{-\log p}",
}


OF_AMOUNTS = {"clamp": "0–log K", "wide": "0–log K", "stretch": "0–max", LATENTS: "0–log K"}
"""How amounts map to brightness, by the names of POLICIES."""
LENS_HELP = {
    "numbers": "The numbers of the tokens: what they look like is not known yet",
    "decoded": "As the model's own decoder shows it",
    "preview": "Roughly, at once; the decoder's picture follows where the view rests",
    "latents": "Not decoded: every channel beside the others, from −3 (blue) to 3 (amber)",
}


class PanePanel(QFrame):
    """Heading, two small lists, and the grid. `title` is "left" or "right"."""

    paneRequested = Signal(object)

    def __init__(self, title: str, view_name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self._pane = Pane("xt")
        self._by_token = False
        self._build(title, view_name)
        self._connect()

    def _build(self, title: str, view_name: str) -> None:
        self.symbol = MathLabel(SYMBOLS["xt"])
        self.symbol.setProperty("role", "title")
        self.subtitle = FittingLabel()
        self.subtitle.setProperty("role", "muted")
        self.lens = QLabel()
        self.lens.setProperty("role", "small")
        self.lens.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
        self.lens.hide()
        self.quantity = QComboBox()
        for quantity in QUANTITIES.values():
            self.quantity.addItem(quantity.word, quantity.name)
        describe(self.quantity, f"What the {title} pane shows", "What this pane shows")
        self.policy = QComboBox()
        for name, text in POLICIES.items():
            self.policy.addItem(text, name)
        describe(self.policy, f"Brightness of the {title} pane",
                 "How values become brightness: the data's range, three times it, or this "
                 "frame's own smallest to largest; or, where samples are latents, these as they "
                 "are")  # fmt: skip
        self.view = GridView()
        describe(self.view, f"Samples, {title} pane", "Click selects a sample, double-click shows "
                 "it alone; the wheel zooms, dragging moves, 0 resets", view_name)  # fmt: skip
        self.way_out = WayOut(self.view)
        for combo, least, most in ((self.quantity, 70, 130), (self.policy, 84, 104)):
            narrow(combo)
            combo.setMinimumWidth(least)
            combo.setMaximumWidth(most)
        head = QHBoxLayout()
        head.setSpacing(8)
        head.addWidget(self.symbol)
        head.addWidget(self.subtitle, 2)
        head.addWidget(self.lens)
        head.addWidget(self.quantity, 3)
        head.addWidget(self.policy, 2)
        body = QVBoxLayout(self)
        head.setContentsMargins(4, 0, 0, 0)
        body.setContentsMargins(6, 8, 6, 6)
        body.setSpacing(6)
        body.addLayout(head)
        body.addWidget(self.view, 1)

    def _connect(self) -> None:
        self.quantity.currentIndexChanged.connect(self._on_chosen)
        self.policy.currentIndexChanged.connect(self._on_chosen)

    @Slot(int)
    def _on_chosen(self, row: int) -> None:
        pane = Pane(self.quantity.currentData(), self.policy.currentData())
        self.paneRequested.emit(pane)

    def show_pane(self, pane: Pane) -> None:
        """Show what is chosen for this pane."""
        quantity = find(pane.quantity).of_kind(by_token=self._by_token)
        with silent(self.quantity, self.policy):
            self.quantity.setCurrentIndex(self.quantity.findData(pane.quantity))
            self.policy.setCurrentIndex(self.policy.findData(pane.policy))
            for row in range(self.policy.count()):
                name = self.policy.itemData(row)
                self.policy.setItemText(row, (OF_AMOUNTS if quantity.amount else POLICIES)[name])
        self.symbol.show_markup(SYMBOLS[pane.quantity])
        self.symbol.setToolTip(quantity.help)
        self.subtitle.setText(quantity.title)
        self.view.show_role(theme.colour_of(theme.current(), pane.quantity))
        self._pane = pane

    def show_run_kind(self, guided: bool, by_token: bool = False) -> None:
        """Offer what the shown run recorded, in the words of its kind."""
        offer(self.quantity, guided, by_token)
        if by_token != self._by_token:
            self._by_token = by_token
            self.show_pane(self._pane)

    def show_lens(self, lens: str) -> None:
        """Say what latents or tokens are looked at through; "" where the samples are pictures."""
        if lens and self._pane.policy == LATENTS:
            lens = "numbers" if self._by_token else "latents"
        self.lens.setText(lens)
        self.lens.setVisible(bool(lens))
        self.lens.setToolTip(LENS_HELP.get(lens, ""))

    def show_coded(self, coded: bool) -> None:
        """Whether the samples can be looked at as latents too."""
        model = self.policy.model()
        if isinstance(model, QStandardItemModel):
            item = model.item(self.policy.findData(LATENTS))
            item.setEnabled(coded)
            item.setToolTip("" if coded else "The samples are pictures, not latents")

    def show_theme(self) -> None:
        """Take over the colours of the present theme."""
        self.show_pane(self._pane)


def offer(combo: QComboBox, guided: bool, by_token: bool = False) -> None:
    """Grey out, in a list of quantities, what a run of this kind does not have."""
    model = combo.model()
    if isinstance(model, QStandardItemModel):
        for row in range(combo.count()):
            quantity = find(combo.itemData(row))
            item, lacking = model.item(row), quantity.lacking(by_token=by_token, guided=guided)
            item.setEnabled(not lacking)
            item.setToolTip(lacking[:1].upper() + lacking[1:])


def link(*views: GridView) -> Callable[[], None]:
    """Zoom, pan and cross-hair of these grids go together; returns a reset of them all."""
    for one in views:
        for other in views:
            one.viewportRequested.connect(other.show_viewport)
            one.hovered.connect(other.show_crosshair)
            one.unhovered.connect(partial(other.show_crosshair, None))

    def reset() -> None:
        for view in views:
            view.reset_viewport()

    return reset
