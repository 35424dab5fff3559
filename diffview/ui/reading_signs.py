"""Signs of a large file that is read in some worker's thread: for the status bar."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal

from diffview.models import reading


class ReadingSigns(QObject):
    """`told` carries each Reading to the window's thread; `close()` ends it."""

    told = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._tell = self.told.emit
        reading.listen(self._tell)

    def close(self) -> None:
        """Listen no more."""
        reading.unlisten(self._tell)
