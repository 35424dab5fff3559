"""What a command says while it works: progress for people on stderr, events as JSON on stdout."""

from __future__ import annotations

import json
import math
import shutil
import sys
import time
from typing import Any

from diffview.models import reading
from diffview.models.reading import BYTES, Reading

ON_A_TERMINAL = 0.1
IN_A_LOG = 10.0
"""Seconds between two progress lines, where they overwrite each other and where they pile up."""


class Report:
    """A context manager: however the command ends, the progress line is closed."""

    def __init__(self, *, as_json: bool = False) -> None:
        self._as_json = as_json
        self._terminal = sys.stderr.isatty()
        self._shown, self._what = 0, ""
        self._started: dict[str, float] = {}
        self._last = -math.inf if self._terminal else time.monotonic()

    def __enter__(self) -> Report:
        reading.listen(self._on_reading)
        return self

    def __exit__(self, *error: object) -> None:
        reading.unlisten(self._on_reading)
        self._close_line()

    def event(self, name: str, **facts: Any) -> None:
        """One JSON object on stdout, if --json asked for it."""
        if self._as_json:
            print(json.dumps({"event": name, **facts}), flush=True)

    def result(self, text: str) -> None:
        """What the command found, for people: on stdout unless JSON is there."""
        self._close_line()
        print(text, file=sys.stderr if self._as_json else sys.stdout, flush=True)

    def note(self, text: str) -> None:
        """Something worth knowing, on stderr."""
        self._close_line()
        print(text, file=sys.stderr, flush=True)

    def remaining(self, what: str, done: int, total: int) -> float:
        """Seconds left of `what` at its speed so far; the first call starts its clock."""
        now = time.monotonic()
        start = self._started.setdefault(what, now)
        # A clock that an odd system set back must not promise less than nothing.
        return max(0.0, (now - start) * (total - done) / done) if done > 0 else math.inf

    def progress(self, what: str, done: int, total: int, extra: str = "") -> None:
        """Show how far `what` is, now and then."""
        left = self.remaining(what, done, total)
        now = time.monotonic()
        due = now - self._last >= (ON_A_TERMINAL if self._terminal else IN_A_LOG)
        if not due and not (self._terminal and done == total):
            return
        self._last = now
        if what != self._what:
            self._close_line()
        self._what = what
        line = f"{what} {done}/{total}{extra}  {_clock(left)} left"
        if self._terminal:
            self._overwrite(line)
        else:
            print(line, file=sys.stderr, flush=True)

    def _on_reading(self, told: Reading) -> None:
        size, unit = (10**6, "MB") if told.unit == BYTES else (1, told.unit)
        self.progress(f"reading {told.what}, {unit}", told.done // size, told.total // size)

    def _overwrite(self, line: str) -> None:
        line = line[: shutil.get_terminal_size().columns - 1]
        print(f"\r{line:<{self._shown}}", end="", file=sys.stderr, flush=True)
        self._shown = len(line)

    def _close_line(self) -> None:
        if self._shown:
            print(file=sys.stderr, flush=True)
            self._shown = 0


def _clock(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "--:--"
    minutes, rest = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
