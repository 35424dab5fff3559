"""The bar of workspaces: a quiet row of names; where room is short, only the present one's."""

from __future__ import annotations

from collections.abc import Iterable

from PySide6.QtCore import QSize, Qt, Signal, Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QButtonGroup, QFrame, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from diffview.ui import icons
from diffview.ui.panels.card import describe
from diffview.ui.workspaces import WorkspaceInfo

BESIDE = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
ALONE = Qt.ToolButtonStyle.ToolButtonIconOnly
MOST_KEYS = 9
"""Ctrl+1 to Ctrl+9."""


class WorkspaceBar(QFrame):
    """One button a workspace; exactly one is down."""

    workspaceRequested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("workspaceBar")
        self._buttons: dict[str, QToolButton] = {}
        self._group = QButtonGroup(self)
        self._row = QHBoxLayout(self)
        self._row.setContentsMargins(2, 0, 2, 0)
        self._row.setSpacing(2)
        self._row.addStretch(1)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._group.buttonClicked.connect(self._on_clicked)

    def show_workspaces(self, infos: Iterable[WorkspaceInfo]) -> None:
        """Offer these, in this order."""
        for place, info in enumerate(infos):
            button = QToolButton()
            button.setText(info.title)
            button.setIcon(icons.icon(info.icon))
            button.setIconSize(QSize(18, 18))
            button.setCheckable(True)
            button.setProperty("name", info.name)
            button.setProperty("workspace", True)
            keys = f" (Ctrl+{place + 1})" if place < MOST_KEYS else ""
            describe(button, f"{info.title} workspace", f"{info.help}{keys}",
                     f"workspace_{info.name}")  # fmt: skip
            self._group.addButton(button)
            self._row.insertWidget(self._row.count() - 1, button)
            self._buttons[info.name] = button

    def show_current(self, name: str) -> None:
        """Press the button of this workspace."""
        self._buttons[name].setChecked(True)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Names where they fit."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        for button in self._buttons.values():
            button.setToolButtonStyle(BESIDE)
        gaps = self._row.spacing() * len(self._buttons) + 4
        room = self.width() - gaps
        if sum(button.sizeHint().width() for button in self._buttons.values()) > room:
            for button in self._buttons.values():
                button.setToolButtonStyle(BESIDE if button.isChecked() else ALONE)

    @Slot(object)
    def _on_clicked(self, button: QToolButton) -> None:
        self.workspaceRequested.emit(button.property("name"))
