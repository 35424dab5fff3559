"""What a training asks of a person. Questions wait beside the window, which goes on living."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, Slot
from PySide6.QtWidgets import QDialog, QInputDialog, QMessageBox, QWidget


class Questions(QObject):
    """One question at a time, over the window of `owner`."""

    def __init__(self, owner: QWidget) -> None:
        super().__init__(owner)
        self._owner = owner
        self.dialog: QDialog | None = None

    def before_closing(
        self, step: int, save: Callable[[], object], leave: Callable[[], object]
    ) -> None:
        """A training is under way and the window shall close."""
        if self.dialog is not None:
            return
        box = self._box(f"A training is under way, at step {step:,}.")
        box.setInformativeText("Saved, it can go on from there at the next start.")
        first = box.addButton("Save and close", QMessageBox.ButtonRole.AcceptRole)
        second = box.addButton("Close without saving", QMessageBox.ButtonRole.DestructiveRole)
        stay = box.addButton("Go on training", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(first)
        box.setEscapeButton(stay)
        first.clicked.connect(save)
        second.clicked.connect(leave)
        self._show(box)

    def after_trouble(self, trouble: str, leave: Callable[[], object]) -> None:
        """It could not be saved: close all the same?"""
        box = self._box(trouble)
        close = box.addButton("Close all the same", QMessageBox.ButtonRole.DestructiveRole)
        back = box.addButton("Back", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(back)
        box.setEscapeButton(back)
        close.clicked.connect(leave)
        self._show(box)

    def for_a_name(self, proposed: str, take: Callable[[str], object]) -> None:
        """What shall the model be called?"""
        dialog = QInputDialog(self._owner.window())
        dialog.setWindowTitle("Save as model")
        dialog.setLabelText("Name of the model")
        dialog.setTextValue(proposed)
        dialog.setOkButtonText("Save")
        dialog.textValueSelected.connect(take)
        self._show(dialog)

    def _box(self, text: str) -> QMessageBox:
        return QMessageBox(QMessageBox.Icon.Warning, "diffview", text, parent=self._owner.window())

    def _show(self, dialog: QDialog) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.finished.connect(self._on_answered)
        self.dialog = dialog
        dialog.open()

    @Slot()
    def _on_answered(self) -> None:
        self.dialog = None
