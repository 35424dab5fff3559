"""A pane of one picture, with its symbol and what it is; or a choice of what it shows."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QComboBox, QFrame, QHBoxLayout, QVBoxLayout, QWidget

from diffview.frames.compose import Tiles
from diffview.ui import theme
from diffview.ui.panels.card import FIELD_HEIGHT, FittingLabel, describe, narrow
from diffview.ui.views.grid_view import GridView
from diffview.ui.widgets.math_label import MathLabel
from diffview.ui.widgets.way_out import WayOut


@dataclass(frozen=True, slots=True)
class Subject:
    """What a pane can show: name, symbol as markup, a word for the list, and what it is."""

    name: str
    symbol: str
    word: str
    help: str
    token: str = "text"


class PicturePane(QFrame):
    """Its subjects are offered in a list if there is more than one."""

    subjectRequested = Signal(str)

    def __init__(self, name: str, *subjects: Subject, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self._subjects = {subject.name: subject for subject in subjects}
        self._shown = subjects[0]
        self._build(name)
        self._show_subject()

    def _build(self, name: str) -> None:
        self._symbol = MathLabel(self._shown.symbol)
        self._symbol.setProperty("role", "title")
        self._remark = FittingLabel()
        self._remark.setProperty("role", "muted")
        self._list = QComboBox()
        for subject in self._subjects.values():
            self._list.addItem(subject.word, subject.name)
        self._list.setVisible(len(self._subjects) > 1)
        narrow(self._list)
        self._list.setMaximumWidth(120)
        describe(self._list, f"What {name} shows", "What this pane shows", f"{name}Combo")
        self._list.currentIndexChanged.connect(self._on_chosen)
        self.view = GridView()
        describe(self.view, self._shown.word, "The wheel zooms, dragging moves, 0 resets", name)
        self.way_out = WayOut(self.view)
        head = QHBoxLayout()
        head.setContentsMargins(4, 0, 0, 0)
        head.setSpacing(8)
        head.addStrut(FIELD_HEIGHT)  # the same height with a list and without
        head.addWidget(self._symbol)
        head.addWidget(self._remark, 1)
        head.addWidget(self._list)
        body = QVBoxLayout(self)
        body.setContentsMargins(6, 8, 6, 6)
        body.setSpacing(6)
        body.addLayout(head)
        body.addWidget(self.view, 1)

    @property
    def subject(self) -> str:
        """The name of what is shown."""
        return self._shown.name

    @Slot(int)
    def _on_chosen(self, row: int) -> None:
        self._shown = self._subjects[self._list.itemData(row)]
        self._show_subject()
        self.subjectRequested.emit(self._shown.name)

    def _show_subject(self) -> None:
        self._symbol.show_markup(self._shown.symbol)
        self._symbol.setToolTip(self._shown.help)
        self.view.show_role(theme.current().colour(self._shown.token))

    def show_theme(self) -> None:
        """Take over the colours of the present theme."""
        self._show_subject()

    def show_remark(self, text: str) -> None:
        """A few words beside the symbol."""
        self._remark.setText(text)

    def show_tiles(self, tiles: Tiles | None, message: str = "") -> None:
        """A picture, or words in its place."""
        self.view.show_message(message)
        self.view.show_tiles(tiles)
