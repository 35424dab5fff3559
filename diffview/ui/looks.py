"""What states look like: at once through the quick lens, then as the model's decoder shows them.

Where samples are pictures a state looks like itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.trajectory import Float32
from diffview.frames import lens as lenses
from diffview.frames.lens import Lens
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
    """The pictures of a few named states of one model; the newest of each name is kept.

    Each state is decoded alone and once, whatever comes of it: what is asked for meanwhile waits
    for one decoding, not for all of them, and a decoder that fails is not asked without end.
    """

    changed = Signal()
    failed = Signal(object)
    """What failed; the same words once only, until something succeeds again."""

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._source: ModelSource | None = None
        self.quick: Lens | None = None
        self.small: Lens | None = None
        self._wanted: dict[str, Float32] = {}
        self._tried: dict[str, Float32] = {}
        self._sharp: dict[str, Look] = {}
        self._words = ""
        self._fitter, self._decoder = Mailbox(desk.jobs, self), Mailbox(desk.jobs, self)
        self._fitter.told.connect(self._on_fitted)
        self._decoder.told.connect(self._on_decoded)
        self._decoder.emptied.connect(self._go_on)
        for box in (self._fitter, self._decoder):
            box.failed.connect(self._on_failed)

    @property
    def busy(self) -> bool:
        """Whether anything is being fitted or decoded."""
        return self._fitter.busy or self._decoder.busy

    @property
    def failing(self) -> bool:
        """Whether the last try failed."""
        return bool(self._words)

    @property
    def coded(self) -> bool:
        """Whether the states must be decoded before they can be seen."""
        return self._source is not None and self._source.card.coded

    def begin(self, source: ModelSource) -> None:
        """The states are this model's from now on; tokens have none that could be noised."""
        if source is self._source:
            return
        self._source, self.quick, self.small, self._words = source, None, None, ""
        self._wanted, self._tried, self._sharp = {}, {}, {}
        self._decoder.clear()
        if source.card.coded and not source.card.by_token:
            self._fitter.put(lambda: fitted(source))

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
        """Have the decoder draw these and no others, the first first, as far as it has not yet."""
        if self.coded:
            self._wanted = dict(states)
            self._go_on()

    @Slot()
    def _go_on(self) -> None:
        """Decode the first state that is wanted and was not tried."""
        source = self._source
        if source is None or self._decoder.busy:
            return
        for name, values in self._wanted.items():
            if self._tried.get(name) is not values:
                self._tried[name] = values
                self._decoder.put(partial(decoded, source, name, values))
                return

    @Slot(object)
    def _on_fitted(self, told: tuple[ModelSource, Lens, Lens]) -> None:
        source, quick, small = told
        if source is self._source:
            self.quick, self.small, self._words = quick, small, ""
            self.changed.emit()

    @Slot(object)
    def _on_decoded(self, told: tuple[ModelSource, str, Look]) -> None:
        source, name, look = told
        if source is self._source:
            self._sharp[name], self._words = look, ""
            self.changed.emit()

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        words = repr(error)
        if words != self._words:
            self._words = words
            self.failed.emit(error)


def fitted(source: ModelSource) -> Iterator[Any]:
    """In a worker's thread: the model, its quick lens, and the same with one pixel for each place
    of the latents, for small pictures."""
    from diffview.models import preview

    made, card = preview.of(source.model()), source.card
    whole = lenses.previewed(made, card.data_shape, card.shown_shape)
    yield source, whole, lenses.previewed(made, card.data_shape)


def decoded(source: ModelSource, name: str, values: Float32) -> Iterator[Any]:
    """In a worker's thread: the model, and a state (*D) as its decoder shows it."""
    lens = source.decoder()
    assert lens is not None
    yield source, name, Look(values, lens.picture(values[None])[0], lenses.DECODED)
