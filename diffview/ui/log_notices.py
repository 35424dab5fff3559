"""What is warned of while a model is opened and runs, said in the window too.

The code below the window warns by the log (a tensor that is not finite, a prompt that was cut):
it knows no window.
"""

from __future__ import annotations

import logging

from PySide6.QtCore import QObject, Signal

from diffview.ui.state import Notice

SAID = ("diffview.models.hf", "diffview.models.network")
"""The loggers whose warnings are for people."""


class LogNotices(QObject):
    """`noticed` carries each warning, from whatever thread; `close()` ends it."""

    noticed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._handler = _Handler(self)
        for name in SAID:
            logging.getLogger(name).addHandler(self._handler)

    def close(self) -> None:
        """Listen no more."""
        for name in SAID:
            logging.getLogger(name).removeHandler(self._handler)


class _Handler(logging.Handler):
    def __init__(self, notices: LogNotices) -> None:
        super().__init__(logging.WARNING)
        self._notices = notices

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        first = text.partition(" ")[0]
        if first.isalpha():  # the name of a file stays as it is
            text = text[:1].upper() + text[1:]
        self._notices.noticed.emit(Notice(text, "warning", topic="open"))
