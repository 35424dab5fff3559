"""Two ends of an interval of σ/α, from 0 to ∞; both at their ends mean everywhere."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QLabel, QWidget

from diffview.engine.options import INTERVAL, numbers
from diffview.ui.panels.card import FIELD_HEIGHT, describe, narrow

MOST = float(INTERVAL.high or 0)
LEAST = 0.001
"""Between the ends: as fine as they are shown."""


class _End(QDoubleSpinBox):
    """One end; the largest number reads ∞."""

    def __init__(self, name: str, help: str, object_name: str) -> None:
        super().__init__(minimum=0.0, maximum=MOST, decimals=3)
        self.setStepType(QDoubleSpinBox.StepType.AdaptiveDecimalStepType)
        self.setKeyboardTracking(False)
        describe(self, name, help, object_name)
        narrow(self)
        self.setFixedHeight(FIELD_HEIGHT)

    def textFromValue(self, value: float) -> str:
        """Without the zeros behind."""
        return "∞" if value >= MOST else f"{value:.3f}".rstrip("0").rstrip(".")

    def valueFromText(self, text: str) -> float:
        """∞ is the largest number."""
        return MOST if "∞" in text else super().valueFromText(text)


class IntervalField(QWidget):
    """Its value is the option's text: "" for everywhere, else "low, high"."""

    changed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        help = f"{INTERVAL.help}\n{INTERVAL.source}"
        self.low = _End("Guide above this σ/α", help, "intervalLowSpinBox")
        self.high = _End("Guide up to this σ/α", help, "intervalHighSpinBox")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.low, 1)
        row.addWidget(QLabel("to"))
        row.addWidget(self.high, 1)
        self.show_interval("")
        for end in (self.low, self.high):
            end.valueChanged.connect(self._on_value)

    def interval(self) -> str:
        """The option's value."""
        low, high = self.low.value(), self.high.value()
        return "" if low == 0 and high == MOST else f"{low:.6g}, {high:.9g}"

    def show_interval(self, text: str) -> None:
        """Show an option's value; whoever calls has blocked this widget's signals."""
        low, high = numbers(text) or (0.0, MOST)
        for end, value in ((self.low, low), (self.high, high)):
            blocked = end.blockSignals(True)
            end.setRange(0.0, MOST)
            end.setValue(value)
            end.blockSignals(blocked)
        self._keep_apart()

    def _on_value(self, value: float) -> None:
        self._keep_apart()
        self.changed.emit(self.interval())

    def _keep_apart(self) -> None:
        self.low.setMaximum(self.high.value() - LEAST)
        self.high.setMinimum(self.low.value() + LEAST)
