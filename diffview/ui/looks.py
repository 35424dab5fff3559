"""What states look like: at once through the quick lens, then as the model's decoder shows them.

Where samples are pictures a state looks like itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.trajectory import Float32
from diffview.frames import lens as lenses
from diffview.frames.lens import Lens
from diffview.ui.decoding import quick_lens
from diffview.ui.desk import Desk
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """values (*D) as a picture (*P), through the lens of that name; "" where it needs none."""

    values: Float32
    picture: Float32
    lens: str = ""


class Looks(QObject):
    """The pictures of a few named states of one model; the newest of each name is kept."""

    changed = Signal()
    failed = Signal(object)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source: ModelSource | None = None
        self.quick: Lens | None = None
        self._sharp: dict[str, Look] = {}
        self._fitter, self._decoder = Mailbox(desk.jobs, self), Mailbox(desk.jobs, self)
        self._fitter.told.connect(self._on_fitted)
        self._decoder.told.connect(self._on_decoded)
        for box in (self._fitter, self._decoder):
            box.failed.connect(self.failed)

    @property
    def busy(self) -> bool:
        """Whether anything is being fitted or decoded."""
        return self._fitter.busy or self._decoder.busy

    @property
    def coded(self) -> bool:
        """Whether the states must be decoded before they can be seen."""
        return self._source is not None and self._source.card.coded

    def begin(self, source: ModelSource) -> None:
        """The states are this model's from now on."""
        if source is self._source:
            return
        self._source, self.quick, self._sharp = source, None, {}
        if source.card.coded:
            self._fitter.put(lambda: quick_lens(source))

    def of(self, name: str, values: Float32) -> Look | None:
        """What `values` look like as far as that is known; None until anything is."""
        if not self.coded:
            return Look(values, values)
        sharp = self._sharp.get(name)
        if sharp is not None and sharp.values is values:
            return sharp
        if self.quick is None:
            return None
        return Look(values, self.quick.picture(values[None])[0], self.quick.name)

    def ask(self, states: Mapping[str, Float32]) -> None:
        """Have the decoder draw these, as far as it has not yet."""
        source = self._source
        if source is None or not self.coded:
            return
        wanted = {
            name: values
            for name, values in states.items()
            if name not in self._sharp or self._sharp[name].values is not values
        }
        if wanted:
            self._decoder.put(lambda: decoded(source, wanted))

    @Slot(object)
    def _on_fitted(self, told: tuple[str, Lens]) -> None:
        name, lens = told
        if self._source is not None and self._source.card.id == name:
            self.quick = lens
            self.changed.emit()

    @Slot(object)
    def _on_decoded(self, told: tuple[ModelSource, dict[str, Look]]) -> None:
        source, looks = told
        if source is self._source:
            self._sharp |= looks
            self.changed.emit()


def decoded(source: ModelSource, states: Mapping[str, Float32]) -> Iterator[Any]:
    """In a worker's thread: the model, and these states (*D) as its decoder shows them."""
    lens = source.decoder()
    assert lens is not None
    yield (
        source,
        {
            name: Look(values, lens.picture(values[None])[0], lenses.DECODED)
            for name, values in states.items()
        },
    )
