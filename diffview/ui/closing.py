"""Closing the window: asked only where work would be lost, and never twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from diffview.engine.trajectory import Trajectory

LONG = 60.0
"""Seconds of sampling that are worth a question; a shorter run is made again at once."""


class Closing:
    """Whether the window may close now; else the question is put, and `close` called on a yes."""

    def __init__(self, window: QWidget, close: Callable[[], object]) -> None:
        self._window, self._close = window, close
        self._question: QMessageBox | None = None
        self._agreed = False

    def may_close(self, losses: Sequence[str]) -> bool:
        """`losses` are what would be lost, in words; asked a second time, it is a yes."""
        if not losses or self._agreed or self._question is not None:
            return True
        self._ask(losses)
        return False

    def _ask(self, losses: Sequence[str]) -> None:
        question = QMessageBox(self._window)
        question.setObjectName("closeQuestion")
        question.setIcon(QMessageBox.Icon.Warning)
        question.setWindowTitle("Close diffview?")
        question.setText("\n".join(losses))
        question.setInformativeText("Close all the same?")
        close = question.addButton("Close", QMessageBox.ButtonRole.DestructiveRole)
        stay = question.addButton("Stay", QMessageBox.ButtonRole.RejectRole)
        question.setDefaultButton(stay)
        question.setEscapeButton(stay)
        question.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        question.finished.connect(lambda: self._answer(question.clickedButton() is close))
        self._question = question
        question.open()

    def _answer(self, agreed: bool) -> None:
        self._question, self._agreed = None, agreed
        if agreed:
            self._close()


def loss_of(run: Trajectory | None, saved: Trajectory | None, busy: bool) -> list[str]:
    """What closing loses of sampling: a long run that is nowhere on the disk."""
    if run is None or run is saved:
        return []
    seconds = sum(record.seconds for record in run)
    if seconds < LONG:
        return []
    took = f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
    if busy:
        return [f"A run is under way, {took} so far; its steps are not saved."]
    return [f"The shown run took {took} and is not saved (Ctrl+S saves it)."]
