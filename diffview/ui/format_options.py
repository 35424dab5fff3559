"""The options that the chosen formats declare: one field for each, seen while its format is."""

from __future__ import annotations

from collections.abc import Collection

from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QVBoxLayout, QWidget

from diffview import exporters
from diffview.engine.options import Option, Value
from diffview.exporters import ExporterInfo
from diffview.ui.panels.card import describe


class FormatOptions(QWidget):
    """Fields by format and option, made from what `exporters` declares."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fields: dict[tuple[str, str], QComboBox | QDoubleSpinBox] = {}
        self._build()

    def _build(self) -> None:
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        for info in exporters.every().values():
            for option in info.options:
                field = _field(info, option)
                self._fields[info.name, option.name] = field
                column.addWidget(field)

    def show_for(self, formats: Collection[str]) -> None:
        """Show the fields of these formats only."""
        for (name, _), field in self._fields.items():
            field.setVisible(name in formats)

    def field(self, format_name: str, option: str) -> QComboBox | QDoubleSpinBox:
        """The field of one option."""
        return self._fields[format_name, option]

    def values(self, formats: Collection[str]) -> dict[str, dict[str, Value]]:
        """What is chosen for these formats, as `exporters.job.export` takes it."""
        chosen: dict[str, dict[str, Value]] = {}
        for (name, option), field in self._fields.items():
            if name in formats:
                chosen.setdefault(name, {})[option] = _value(field)
        return chosen


def _field(info: ExporterInfo, option: Option) -> QComboBox | QDoubleSpinBox:
    what = f"{info.name.upper()} {option.title.lower()}"
    field = _choices(what, option) if option.choices else _number(what, option)
    describe(field, what, option.help, f"{info.name}_{option.name}")
    return field


def _choices(what: str, option: Option) -> QComboBox:
    combo = QComboBox()
    for choice in option.choices:
        combo.addItem(f"{what}: {choice}", choice)
    combo.setCurrentIndex(option.choices.index(str(option.default)))
    return combo


def _number(what: str, option: Option) -> QDoubleSpinBox:
    spin = QDoubleSpinBox(minimum=option.low or 0.0, maximum=option.high or 1e6, decimals=0)
    spin.setPrefix(f"{what}: ")
    spin.setValue(float(option.default))
    return spin


def _value(field: QComboBox | QDoubleSpinBox) -> Value:
    if isinstance(field, QComboBox):
        return str(field.currentData())
    return field.value()
