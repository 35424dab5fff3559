"""Knobs: a labelled field for each declared option, greyed out with its reason where it is idle.

The options are declared once, in the engine; whatever is declared has a knob here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PySide6.QtCore import Qt
from PySide6.QtGui import QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from diffview.engine.options import INTERVAL, Option, Value
from diffview.errors import InputError
from diffview.ui.panels.card import FIELD_HEIGHT, describe, narrow, silent
from diffview.ui.widgets.interval_field import IntervalField

LABEL_WIDTH = 92
WORDS = {"own": "Own", "edm": "EDM", "v": "v", "eps": "ε", "x0": "x₀"}
"""What is shown of choices whose names are no words; of others the first letter is raised."""

Request = Callable[[str, Value], None]


class Knob(QWidget):
    """One option: label beside field, or above it (`stacked`), and why it is idle below."""

    def __init__(
        self,
        option: Option,
        request: Request,
        *,
        stacked: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.option = option
        self._help = f"{option.help}\n{option.source}"
        self.field = _field(option, lambda value: request(option.name, value))
        self._build(stacked)

    def _build(self, stacked: bool) -> None:
        narrow(self.field)
        describe(self.field, self.option.title, self._help, f"option_{self.option.name}")
        self.field.setFixedHeight(self.field.sizeHint().height() if isinstance(
            self.field, IntervalField) else FIELD_HEIGHT)  # fmt: skip
        label = QLabel(self.option.title)
        label.setProperty("role", "muted")
        label.setBuddy(self.field)
        label.setToolTip(self._help)
        self.reason = QLabel()
        self.reason.setProperty("role", "small")
        self.reason.setWordWrap(True)
        self.reason.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        if stacked or isinstance(self.field, IntervalField | QLineEdit):
            column.addWidget(label)
            column.addWidget(self.field)
        else:
            row = QHBoxLayout()
            label.setFixedWidth(LABEL_WIDTH)
            row.addWidget(label)
            row.addWidget(self.field, 1)
            column.addLayout(row)
        self.trouble = QLabel()
        self.trouble.setProperty("role", "warn")
        self.trouble.setWordWrap(True)
        self.trouble.hide()
        column.addWidget(self.reason)
        column.addWidget(self.trouble)

    def show_value(self, value: Value) -> None:
        """Show a value without an echo."""
        with silent(self.field):
            _show_value(self.field, value)
        self.trouble.setText(self._trouble(value))
        self.trouble.setVisible(bool(self.trouble.text()))

    def _trouble(self, value: Value) -> str:
        """What is wrong with what was typed; only text can be."""
        try:
            if isinstance(self.field, QLineEdit):
                self.option.checked(value)
        except InputError as error:
            return str(error)
        return ""

    def show_reason(self, reason: str) -> None:
        """Grey out and say why; "" makes it usable."""
        self.field.setEnabled(not reason)
        self.field.setToolTip(f"{self._help}\n\nNot used: {reason}" if reason else self._help)
        self.reason.setText(f"Not used: {reason}" if reason else "")
        self.reason.setVisible(bool(reason))
        self.trouble.setVisible(bool(self.trouble.text()) and not reason)

    def show_barred(self, reasons: Mapping[str, str]) -> None:
        """Grey out the choices that cannot be made; keys as in the option's `choices`."""
        if isinstance(self.field, QComboBox):
            bar(
                self.field, {self.option.choices.index(name): why for name, why in reasons.items()}
            )


def bar(combo: QComboBox, reasons: Mapping[int, str]) -> None:
    """Grey out rows of a combo box, each with its reason beside it and on hover."""
    model = combo.model()
    if not isinstance(model, QStandardItemModel):
        return
    for row in range(combo.count()):
        item: QStandardItem = model.item(row)
        reason = reasons.get(row, "")
        item.setEnabled(not reason)
        plain = item.data(PLAIN) or item.text()
        item.setData(plain, PLAIN)
        item.setText(f"{plain} – {reason}" if reason and row != combo.currentIndex() else plain)
        item.setToolTip(reason)


PLAIN = Qt.ItemDataRole.UserRole + 7
"""An item's text without a reason."""


def _field(option: Option, request: Callable[[Value], None]) -> QWidget:
    if option.choices:
        return _combo(option, request)
    if option.name == INTERVAL.name:
        interval = IntervalField()
        interval.changed.connect(request)
        return interval
    if isinstance(option.default, bool):
        box = QCheckBox("on")
        box.toggled.connect(request)
        return box
    if isinstance(option.default, str):
        line = QLineEdit(placeholderText="none")
        line.editingFinished.connect(lambda: request(line.text()))
        return line
    return _number(option, request)


def _combo(option: Option, request: Callable[[Value], None]) -> QComboBox:
    combo = QComboBox()
    words = (WORDS.get(name, name.replace("_", " ").capitalize()) for name in option.choices)
    combo.addItems(list(words))
    combo.currentIndexChanged.connect(lambda row: request(option.choices[row]))
    combo.setProperty("choices", list(option.choices))
    return combo


def _number(option: Option, request: Callable[[Value], None]) -> QSpinBox | QDoubleSpinBox:
    low = -1e6 if option.low is None else option.low
    high = 1e6 if option.high is None else option.high
    if isinstance(option.default, int):
        whole = QSpinBox(minimum=int(low), maximum=int(high))
        whole.setKeyboardTracking(False)
        whole.valueChanged.connect(request)
        return whole
    spin = QDoubleSpinBox(minimum=low, maximum=high, decimals=3, singleStep=0.1)
    spin.setKeyboardTracking(False)
    spin.valueChanged.connect(request)
    return spin


def _show_value(field: QWidget, value: Value) -> None:
    if isinstance(field, QComboBox):
        field.setCurrentIndex(field.property("choices").index(value))
    elif isinstance(field, QCheckBox):
        field.setChecked(bool(value))
    elif isinstance(field, QLineEdit):
        field.setText(str(value))
    elif isinstance(field, IntervalField):
        field.show_interval(str(value))
    elif isinstance(field, QSpinBox):
        field.setValue(int(value))
    elif isinstance(field, QDoubleSpinBox):
        field.setValue(float(value))
