"""Latents and tokens as pictures: roughly at once, and as the model's decoder shows them after it.

The quick lens is a linear map, or what each token alone looks like; it needs no torch, so every
frame of a drag goes through it. Where the view rests, the decoder draws the frame in a thread of
its own, latest wins; once a run is complete it draws the film strip too, a picture at a time, so
that a frame need not wait for the strip. Where the quick lens is exact there is nothing more to
draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.trajectory import Trajectory
from diffview.frames import lens as lenses
from diffview.frames.compose import Frame, ViewState, compose, thumbnail
from diffview.frames.lens import Lens
from diffview.frames.pixels import Uint8
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox
from diffview.ui.slices import Slices
from diffview.ui.state import is_large
from diffview.ui.workers import JobRunner

LONG = 300
"""The film strip of a run of more records is not decoded: few of them have a place on it."""


@dataclass(frozen=True, slots=True, eq=False)
class StripAsked:
    """The film strip of a run: which sample, and which quantity of it (frames.quantities)."""

    run: Trajectory
    sample: int
    quantity: str


class Decoding(QObject):
    """The lenses of the shown run; without a runner nothing is decoded."""

    lensReady = Signal()
    """The quick lens of the shown run is there."""
    decoded = Signal(object, object, object)
    """A run, a view of it, and the frame as the decoder shows it."""
    smallDecoded = Signal(object, int, object)
    """What was asked for the film strip, a place on it, its picture as the decoder shows it."""
    failed = Signal(object)

    def __init__(self, runner: JobRunner | None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source: ModelSource | None = None
        self._quick: dict[str, Lens] = {}
        self._lenses = self._frames = self._strip = None
        if runner is not None:
            self._lenses, self._frames = Mailbox(runner, self), Mailbox(runner, self)
            self._strip = Slices(runner, self)
            self._strip.told.connect(self._on_small)
            self._lenses.told.connect(self._on_lens)
            self._frames.told.connect(self._on_frame)
            self._lenses.failed.connect(self.failed)
            self._frames.failed.connect(self.failed)

    @property
    def quick(self) -> Lens | None:
        """What the shown run is looked at through at once; None where its samples are pictures."""
        return None if self._source is None else self._quick.get(self._source.card.id)

    @property
    def source(self) -> ModelSource | None:
        """Whose decoder it is; None where the shown run needs none."""
        return self._source

    def begin(self, source: ModelSource | None) -> None:
        """Another run is shown; `source` is its model, if its samples must be decoded."""
        self._source = source if source is not None and source.card.coded else None
        if self._strip is not None:
            self._strip.stop()
        if self._source is not None and self.quick is None and self._lenses is not None:
            wanted = self._source
            self._lenses.put(lambda: quick_lens(wanted))

    def ask(self, run: Trajectory, view: ViewState) -> None:
        """Draw this view with the decoder, unless the quick lens is as good."""
        source, quick = self._source, self.quick
        if self._frames is None or source is None or quick is None:
            return
        if quick.name != lenses.DECODED:
            self._frames.put(lambda: decoded_frame(source, run, view))

    def ask_strip(self, asked: StripAsked) -> None:
        """Draw the film strip of a run with the decoder too, from its end on.

        Not where the quick lens is as good, nor for a large model, whose decoder takes seconds for
        a picture, nor for a long run. What fails leaves the strip as it is: where the view rests,
        the same decoder tells why.
        """
        source, quick = self._source, self.quick
        if self._strip is None or source is None or quick is None or is_large(source.card):
            return
        if len(asked.run) > LONG:
            return
        if quick.name != lenses.DECODED:
            self._strip.start(lambda: decoded_strip(source, asked))

    @Slot(object)
    def _on_small(self, told: tuple[StripAsked, int, Uint8]) -> None:
        self.smallDecoded.emit(*told)

    @Slot(object)
    def _on_lens(self, told: tuple[str, Lens]) -> None:
        name, lens = told
        self._quick[name] = lens
        if self._source is not None and self._source.card.id == name:
            self.lensReady.emit()

    @Slot(object)
    def _on_frame(self, told: tuple[Trajectory, ViewState, Frame]) -> None:
        self.decoded.emit(*told)


def quick_lens(source: ModelSource) -> Iterator[Any]:
    """In a worker's thread: the id of a model and its quick lens."""
    from diffview.models import palette, preview

    model, card = source.model(), source.card
    if card.by_token:
        yield card.id, lenses.by_palette(palette.of(model), card.shown_shape)
    else:
        yield card.id, lenses.previewed(preview.of(model), card.data_shape, card.shown_shape)


def decoded_frame(source: ModelSource, run: Trajectory, view: ViewState) -> Iterator[Any]:
    """In a worker's thread: the run, the view, and its frame through the model's decoder."""
    yield run, view, compose(run, view, source.decoder())


def decoded_strip(source: ModelSource, asked: StripAsked) -> Iterator[Any]:
    """In a worker's thread: what was asked, a place, and its picture through the decoder."""
    lens = source.decoder()
    for place in reversed(range(len(asked.run))):
        yield asked, place, thumbnail(asked.run[place], asked.sample, asked.quantity, lens)
