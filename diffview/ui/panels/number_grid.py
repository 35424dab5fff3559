"""Numbers with their symbols, two to a row, each with what it is on hover."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from diffview.ui.widgets.math_label import MathLabel

Row = tuple[str, str, str]
"""Name, symbol as MathLabel's markup, help."""


class NumberGrid(QWidget):
    """The values are labels called PREFIX_NAME."""

    def __init__(self, prefix: str, rows: Sequence[Row], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._values: dict[str, QLabel] = {}
        self._symbols: dict[str, MathLabel] = {}
        self._left_out: set[str] = set()
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(8)
        self._grid.setVerticalSpacing(4)
        for name, symbol, help in rows:
            label, value = MathLabel(symbol), QLabel("–")
            value.setProperty("role", "value")
            value.setObjectName(f"{prefix}_{name}")
            value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for widget in (label, value):
                widget.setToolTip(help)
            self._values[name], self._symbols[name] = value, label
        self._grid.setColumnStretch(1, 1)
        self._grid.setColumnStretch(3, 1)
        self._grid.setColumnMinimumWidth(2, 46)
        self._lay_out()

    def _lay_out(self) -> None:
        """Two numbers to a row, without gaps for those that are left out."""
        place = 0
        for name, value in self._values.items():
            shown = name not in self._left_out
            for column, widget in enumerate((self._symbols[name], value)):
                self._grid.removeWidget(widget)
                if shown:
                    self._grid.addWidget(widget, place // 2, 2 * (place % 2) + column)
                widget.setVisible(shown)
            place += shown

    def show_numbers(self, texts: Mapping[str, str]) -> None:
        """Set the texts of these numbers; the others stay."""
        for name, text in texts.items():
            self._values[name].setText(text)

    def show_nothing(self) -> None:
        """A dash for every number."""
        for value in self._values.values():
            value.setText("–")

    def leave_out(self, names: set[str]) -> None:
        """There are no such numbers now."""
        if names != self._left_out:
            self._left_out = set(names)
            self._lay_out()

    def text(self, name: str) -> str:
        """What is shown for a number."""
        return self._values[name].text()
