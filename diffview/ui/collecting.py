"""While worker threads run, Python's cyclic garbage is collected in the GUI's thread alone.

Else Qt objects that lie in a cycle are destroyed in whichever thread happens to collect. Where the
GUI's thread destroys its own at that moment, it holds Qt's lock and waits for Python's, the worker
the other way round, and the window hangs for good.
"""

from __future__ import annotations

import gc
import time

from PySide6.QtCore import QObject, QTimerEvent

EVERY_MS = 100
SECONDS_BETWEEN_WHOLE = 300.0
"""A look through everything holds the window up: 0.1 s for torch's modules alone."""

_open: set[Collector] = set()


class Collector(QObject):
    """Takes the collecting over when it is made, in the GUI's thread, until `close()`.

    Several may be open; the last that closes gives the collecting back to Python.
    """

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._whole = time.monotonic()
        _open.add(self)
        gc.disable()
        self._timer = self.startTimer(EVERY_MS)

    def close(self) -> None:
        """Give the collecting back; harmless a second time."""
        if self in _open:
            self.killTimer(self._timer)
            _open.remove(self)
            if not _open:
                gc.enable()

    def timerEvent(self, event: QTimerEvent) -> None:
        """Collect the oldest generation that is due, as Python itself would."""
        del event
        counts, most = gc.get_count(), gc.get_threshold()
        due = [count > limit for count, limit in zip(counts, most, strict=True)]
        if due[2] and time.monotonic() - self._whole > SECONDS_BETWEEN_WHOLE:
            gc.collect()
            self._whole = time.monotonic()
        elif due[1]:
            gc.collect(1)
        elif due[0]:
            gc.collect(0)
