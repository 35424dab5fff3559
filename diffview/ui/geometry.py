"""Where the window was: remembered between launches, and moved if that place is gone."""

from __future__ import annotations

from PySide6.QtCore import QByteArray
from PySide6.QtWidgets import QApplication, QMainWindow

from diffview.ui.settings import Settings

LAYOUT_VERSION = 1
FIRST_SIZE = 1280, 800


def restore(window: QMainWindow, settings: Settings) -> None:
    """The window and its docks where they were, on a screen that is there."""
    window.resize(*FIRST_SIZE)
    geometry, layout = (settings.get(name, "") for name in ("geometry", "layout"))
    if geometry:
        window.restoreGeometry(QByteArray.fromBase64(geometry.encode("ascii", "replace")))
    if layout:
        state = QByteArray.fromBase64(layout.encode("ascii", "replace"))
        window.restoreState(state, LAYOUT_VERSION)
    _move_onto_a_screen(window)


def remembered(window: QMainWindow) -> dict[str, str]:
    """What `restore` reads."""
    return {
        "geometry": window.saveGeometry().toBase64().toStdString(),
        "layout": window.saveState(LAYOUT_VERSION).toBase64().toStdString(),
    }


def _move_onto_a_screen(window: QMainWindow) -> None:
    # The screen the window was on may be gone, or smaller now (another one, another scale).
    frame = window.frameGeometry()
    screens = [screen.availableGeometry() for screen in QApplication.screens()]
    if not screens:
        return
    room = next((screen for screen in screens if screen.intersects(frame)), screens[0])
    if not room.contains(frame):
        window.resize(window.size().boundedTo(room.size()))
        window.move(room.topLeft())
