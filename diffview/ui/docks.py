"""The docks left and right of the middle: columns of cards that scroll where room is short."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QDockWidget,
    QFrame,
    QLayout,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

SPARE = 6
"""Room beside a scroll bar (px)."""


class CardDock(QDockWidget):
    """Cards below one another; `show_only` chooses among them."""

    def __init__(self, title: str, name: str, *cards: QWidget, head: QLayout | None = None):
        super().__init__(title)
        self.setObjectName(name)
        self._cards: list[QWidget] = []
        self._content = QWidget()
        self._column = QVBoxLayout(self._content)
        self._column.setContentsMargins(4, 4, 4, 6)
        self._column.setSpacing(6)
        if head is not None:
            self._column.addLayout(head)
        self._column.addStretch(1)
        self._add(cards)
        self._area = QScrollArea()
        self._area.setWidgetResizable(True)
        self._area.setFrameShape(QFrame.Shape.NoFrame)
        self._area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._area.setWidget(self._content)
        self._area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setWidget(self._area)

    def _add(self, cards: Sequence[QWidget]) -> None:
        for card in cards:
            self._column.insertWidget(self._column.count() - 1, card)
            self._cards.append(card)

    def show_only(self, cards: Sequence[QWidget]) -> None:
        """Show these cards and no others; those that are new here are added."""
        self._add([card for card in cards if card not in self._cards])
        for card in self._cards:
            card.setVisible(card in cards)
        self.make_room()

    def make_room(self) -> None:
        """At least as wide as its content beside a scroll bar, in the present font."""
        bar = self._area.verticalScrollBar().sizeHint().width() + SPARE
        self._area.setMinimumWidth(self._content.minimumSizeHint().width() + bar)
