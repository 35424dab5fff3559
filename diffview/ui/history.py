"""What undo goes back to: the choices before each change. A drag is one change."""

from __future__ import annotations

from diffview.ui.state import Choices


class History:
    """Choices to go back to and forward to; changes that merge under one name count as one."""

    def __init__(self) -> None:
        self._past: list[Choices] = []
        self._future: list[Choices] = []
        self._merging = ""

    def changed(self, before: Choices, merge: str = "") -> None:
        """A change is made to `before`; it joins the last one if both `merge` under one name."""
        if not merge or merge != self._merging:
            self._past.append(before)
        self._merging = merge
        self._future.clear()

    def end_merging(self) -> None:
        """What is changed from here on is a step of its own."""
        self._merging = ""

    def back(self, now: Choices) -> Choices | None:
        """The choices before the last change, if there was one."""
        return self._travel(self._past, self._future, now)

    def forth(self, now: Choices) -> Choices | None:
        """The choices before the last step back, if there was one."""
        return self._travel(self._future, self._past, now)

    def forget(self) -> None:
        """Let undo begin here."""
        self._past.clear()
        self._future.clear()
        self._merging = ""

    def _travel(
        self, source: list[Choices], target: list[Choices], now: Choices
    ) -> Choices | None:
        self._merging = ""
        if not source:
            return None
        target.append(now)
        return source.pop()
