"""Which keys and wheel turns a field keeps for itself, and which belong to the window.

The window is steered like a video player, so Left, Right, Home, End, Space, [ and ] do the same
wherever the focus happens to be. A number field gets them only while a number is being typed; a
button keeps Space, but only tabbing gives it the focus, a click does not. The wheel scrolls the
panel unless the field under it has the focus.
"""

from __future__ import annotations

from functools import partial
from typing import cast

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QComboBox, QLineEdit, QWidget
from shiboken6 import isValid

OF_NUMBERS = set("0123456789+-.,eE")
OF_TEXT = {
    Qt.Key.Key_Left,
    Qt.Key.Key_Right,
    Qt.Key.Key_Home,
    Qt.Key.Key_End,
    Qt.Key.Key_Z,
}
"""What edits a number that is being typed, beside the characters of numbers."""


def teach(widget: QWidget) -> None:
    """Give a field or a button these manners."""
    if isinstance(widget, QAbstractButton):
        widget.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if isinstance(widget, QAbstractButton | QAbstractSpinBox | QComboBox):
        widget.installEventFilter(_Manners(widget))
    if isinstance(widget, QAbstractSpinBox):
        edit = _edit_of(widget)
        widget.editingFinished.connect(partial(_forget_typing, edit))


def _forget_typing(edit: QLineEdit) -> None:
    if isValid(edit):  # a field deleted while it has the focus says once more that it is finished
        edit.setModified(False)


class _Manners(QObject):
    """Watches one widget, its parent."""

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            return self._on_key(watched, event)
        wheel = event.type() == QEvent.Type.Wheel
        if wheel and isinstance(watched, QAbstractSpinBox | QComboBox) and not watched.hasFocus():
            event.ignore()
            return True
        return False

    def _on_key(self, watched: QObject, event: QKeyEvent) -> bool:
        """True: settled here, by accept() for the widget or by ignore() for the window."""
        if isinstance(watched, QAbstractButton) and event.key() == Qt.Key.Key_Space:
            event.accept()
            return True
        if isinstance(watched, QAbstractSpinBox) and not _edits_a_number(watched, event):
            event.ignore()
            return True
        return False


def _edits_a_number(field: QAbstractSpinBox, event: QKeyEvent) -> bool:
    edit = _edit_of(field)
    if event.key() in OF_TEXT:
        return edit.isModified()
    plain = not event.modifiers() & Qt.KeyboardModifier.ControlModifier
    printable = plain and event.text().isprintable() and event.text() != ""
    return not printable or event.text() in OF_NUMBERS


def _edit_of(field: QAbstractSpinBox) -> QLineEdit:
    return cast(QLineEdit, field.findChild(QLineEdit))
