"""What is coded and what was changed of it: the state behind the codebook's panes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PySide6.QtCore import QObject, Signal, Slot

from diffview.datasets.emoji_sprite import emoji_sprite
from diffview.frames import picture_file
from diffview.models.codebook import Codebook, Coded, Float32, Int64
from diffview.ui.desk import Desk
from diffview.ui.mailbox import Mailbox

Exchanged = tuple[tuple[int, int, int], ...]

BATCH = 16
"""Pictures counted at a time: between two batches the thread decodes what was changed."""


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A picture that was coded. title: its name or file. done: how the file became x.

    exchanged: (row, column, code) of the tokens it is to begin with in place of its own.
    """

    title: str
    coded: Coded
    vectors: Float32
    done: tuple[str, ...] = ()
    file: Path | None = None
    exchanged: Exchanged = ()


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """What the decoders make of `indices` (h, w) of a picture: pictures (C, S, S)."""

    of: Opened
    indices: Int64
    pictures: tuple[Float32, ...]


class Coding(QObject):
    """Holds a picture's codes and their changes; works in the desk's own thread."""

    named = Signal(object)
    """The names of the bundled emoji are known."""
    opened = Signal()
    changed = Signal()
    """`indices` are others."""
    decoded = Signal()
    counted = Signal(int, int)
    """So many of so many pictures."""
    looked = Signal()
    """What each code alone looks like is known."""
    failed = Signal(object)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._book: Codebook | None = None  # the worker's alone
        self.picture: Opened | None = None
        self.made: Decoded | None = None
        self.counts: Int64 | None = None
        self.counting = False
        self.looks: Float32 | None = None
        self._past: list[Int64] = []
        self._present: Int64 | None = None
        self._in_stroke = self._stroke_is_kept = False
        self._namer, self._opener, self._decoder, self._counter, self._looker = (
            Mailbox(desk.jobs, self) for _ in range(5)
        )
        self._looker.told.connect(self._on_looked)
        self._namer.told.connect(self.named)
        self._opener.told.connect(self._on_opened)
        self._decoder.told.connect(self._on_decoded)
        self._counter.told.connect(self._on_counted)
        for box in (self._namer, self._opener, self._decoder, self._looker):
            box.failed.connect(self.failed)
        self._counter.failed.connect(self._on_count_failed)

    @property
    def busy(self) -> bool:
        """Whether a picture is being opened or decoded."""
        return self._namer.busy or self._opener.busy or self._decoder.busy

    @property
    def indices(self) -> Int64 | None:
        """(h, w), with what was changed; None before there is a picture."""
        return self._present

    @property
    def exchanged(self) -> Exchanged:
        """(row, column, code) of every token that is not the picture's own."""
        if self.picture is None or self._present is None:
            return ()
        changed = np.argwhere(self._present != self.picture.coded.indices)
        return tuple((int(row), int(col), int(self._present[row, col])) for row, col in changed)

    @property
    def edited(self) -> bool:
        """Whether anything can be undone."""
        return bool(self._past)

    # -- opening ------------------------------------------------------------------------------

    def name(self) -> None:
        """Find the names of the bundled emoji."""

        def make() -> Iterator[tuple[str, ...]]:
            yield emoji_sprite().names

        self._namer.put(make)

    def open_emoji(self, place: int, exchanged: Exchanged = ()) -> None:
        """Code a bundled emoji, and put codes at tokens."""

        def make() -> Iterator[Opened]:
            book, emoji = self._ready(), emoji_sprite()
            x = emoji.pictures[place].astype(np.float32) / 127.5 - 1
            title = emoji.names[place]
            yield Opened(title, book.code(x), book.vectors, exchanged=exchanged)

        self._opener.put(make)

    def open_file(self, path: Path, exchanged: Exchanged = ()) -> None:
        """Code a picture file, and put codes at tokens."""

        def make() -> Iterator[Opened]:
            book = self._ready()
            picture = picture_file.read(path, book.shape)
            coded = book.code(picture.values)
            yield Opened(path.name, coded, book.vectors, picture.done, path, exchanged)

        self._opener.put(make)

    def _ready(self) -> Codebook:
        if self._book is None:
            self._book = Codebook.open()
        return self._book

    @Slot(object)
    def _on_opened(self, picture: Opened) -> None:
        self.picture, self.made = picture, None
        self._past, self._present = [], picture.coded.indices
        if picture.exchanged:
            self._past, self._present = [self._present], self._present.copy()
            for row, column, code in picture.exchanged:
                self._present[row, column] = code
        self.end_stroke()
        self.opened.emit()
        self._decode()
        if self.looks is None and not self._looker.busy:
            self._looker.put(self._look)

    def _look(self) -> Iterator[Float32]:
        yield self._ready().looks()

    @Slot(object)
    def _on_looked(self, looks: Float32) -> None:
        self.looks = looks
        self.looked.emit()

    # -- changing -----------------------------------------------------------------------------

    def replace(self, row: int, column: int, code: int) -> None:
        """Put another code at a token."""
        if self._present is None or self._present[row, column] == code:
            return
        changed = self._present.copy()
        changed[row, column] = code
        if not self._stroke_is_kept:
            self._past.append(self._present)
        self._stroke_is_kept = self._in_stroke
        self._show(changed)

    def begin_stroke(self) -> None:
        """What is replaced until the stroke ends is one step for undo."""
        self._in_stroke, self._stroke_is_kept = True, False

    def end_stroke(self) -> None:
        """What is replaced from here on is a step of its own."""
        self._in_stroke = self._stroke_is_kept = False

    def undo(self) -> None:
        """Take back the last change."""
        if self._past:
            self._show(self._past.pop())

    def reset(self) -> None:
        """Take back all changes."""
        if self._past:
            first = self._past[0]
            self._past = []
            self._show(first)

    def _show(self, indices: Int64) -> None:
        self._present = indices
        self.changed.emit()
        self._decode()

    def _decode(self) -> None:
        picture, indices = self.picture, self._present
        assert picture is not None
        assert indices is not None

        def make() -> Iterator[Decoded]:
            yield Decoded(picture, indices, self._ready().decode(indices))

        self._decoder.put(make)

    @Slot(object)
    def _on_decoded(self, made: Decoded) -> None:
        if made.of is self.picture:
            self.made = made
            self.decoded.emit()

    # -- counting -----------------------------------------------------------------------------

    def start_counting(self) -> None:
        """Count the codes of all bundled emoji."""
        self.counting, self.counts = True, None
        self._count_from(0)

    def stop_counting(self) -> None:
        """Leave the count as it is."""
        self.counting = False
        self._counter.clear()

    def _count_from(self, start: int) -> None:
        def make() -> Iterator[tuple[int, int, Int64]]:
            pictures = emoji_sprite().pictures
            stop = min(start + BATCH, len(pictures))
            yield stop, len(pictures), self._ready().count(pictures[start:stop])

        self._counter.put(make)

    @Slot(object)
    def _on_counted(self, told: tuple[int, int, Int64]) -> None:
        done, of, counts = told
        if not self.counting:
            return
        self.counts = counts if self.counts is None else self.counts + counts
        self.counting = done < of
        if self.counting:
            self._count_from(done)
        self.counted.emit(done, of)

    @Slot(object)
    def _on_count_failed(self, error: object) -> None:
        self.counting = False
        self.failed.emit(error)
