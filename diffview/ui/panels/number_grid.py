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
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(4)
        for place, (name, symbol, help) in enumerate(rows):
            row, column = place // 2, 2 * (place % 2)
            label, value = MathLabel(symbol), QLabel("–")
            value.setProperty("role", "value")
            value.setObjectName(f"{prefix}_{name}")
            value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            for widget in (label, value):
                widget.setToolTip(help)
            grid.addWidget(label, row, column)
            grid.addWidget(value, row, column + 1)
            self._values[name], self._symbols[name] = value, label
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(3, 1)
        grid.setColumnMinimumWidth(2, 46)

    def show_numbers(self, texts: Mapping[str, str]) -> None:
        """Set the texts of these numbers; the others stay."""
        for name, text in texts.items():
            self._values[name].setText(text)

    def show_nothing(self) -> None:
        """A dash for every number."""
        for value in self._values.values():
            value.setText("–")

    def show_or_hide(self, name: str, shown: bool) -> None:
        """Whether there is such a number now."""
        self._values[name].setVisible(shown)
        self._symbols[name].setVisible(shown)

    def text(self, name: str) -> str:
        """What is shown for a number."""
        return self._values[name].text()
