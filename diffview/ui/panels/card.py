"""A card: a quiet frame with a heading, and labelled rows inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from PySide6.QtCore import QEvent, QObject, QSignalBlocker, Qt
from PySide6.QtGui import QPaintEvent
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from diffview.ui.panels.manners import teach

FIELD_HEIGHT = 32
"""Fields beside one another share one height, whatever their kind (px)."""


class Card(QFrame):
    """A frame with a heading; `body` is its column, `corner` the place right of the heading."""

    def __init__(self, heading: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self.body = QVBoxLayout(self)
        self.body.setContentsMargins(12, 8, 12, 10)
        self.body.setSpacing(8)
        self.corner = QHBoxLayout()
        self.heading = QLabel(heading)
        self.heading.setProperty("role", "heading")
        self.corner.addWidget(self.heading)
        self.corner.addStretch(1)
        self.body.addLayout(self.corner)


def labelled(text: str, widget: QWidget) -> QVBoxLayout:
    """A small label above a widget, tied to it for screen readers and mnemonics."""
    column = QVBoxLayout()
    column.setSpacing(3)
    label = QLabel(text)
    label.setProperty("role", "muted")
    label.setBuddy(widget)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    widget.setFixedHeight(FIELD_HEIGHT)
    column.addWidget(label)
    column.addWidget(widget)
    return column


@contextmanager
def silent(*widgets: QObject) -> Iterator[None]:
    """Set widgets from state without an echo: their signals are blocked inside."""
    blockers = [QSignalBlocker(widget) for widget in widgets]
    try:
        yield
    finally:
        for blocker in blockers:
            blocker.unblock()


def describe(widget: QWidget, name: str, help: str, object_name: str = "") -> None:
    """Accessible name, tooltip, object name and manners of an interactive widget."""
    widget.setAccessibleName(name)
    widget.setToolTip(help)
    if object_name:
        widget.setObjectName(object_name)
    teach(widget)


def narrow(*widgets: QWidget) -> None:
    """Let fields share a column's width instead of asking for the width of their longest text."""
    for widget in widgets:
        if isinstance(widget, QComboBox):
            widget.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            widget.setMinimumContentsLength(6)
        widget.setMinimumWidth(60)
        widget.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


class StillLabel(QLabel):
    """Words over so many lines; what they say moves nothing around them."""

    def __init__(self, lines: int, parent: QWidget | None = None) -> None:
        super().__init__(" ", parent)
        self.setWordWrap(True)
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self._lines = lines
        self._reserve()

    def hasHeightForWidth(self) -> bool:
        """No: a layout would make room for more lines."""
        return False

    def _reserve(self) -> None:
        height = self._lines * self.fontMetrics().lineSpacing() + 2
        if height != self.minimumHeight():
            self.setMinimumHeight(height)

    def changeEvent(self, event: QEvent) -> None:
        """As many lines of the font that is used now."""
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._reserve()
        super().changeEvent(event)


class FittingLabel(QLabel):
    """A remark that is shown whole or not at all, and asks for no room."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the text if it fits."""
        if self.fontMetrics().horizontalAdvance(self.text()) <= self.width():
            super().paintEvent(event)
