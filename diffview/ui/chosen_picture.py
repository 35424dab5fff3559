"""Which picture the forward process noises: a sample of the run, a file, or a bundled emoji."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.trajectory import Float32, Trajectory
from diffview.models import forward
from diffview.ui.desk import Desk
from diffview.ui.noising import Noising, Taken
from diffview.ui.panels.picture_chooser import OF_EMOJI, OF_FILE, OF_RUN, PictureChooser
from diffview.ui.state import Look, Notice

TOPIC = "forward"
FIRST_EMOJI = "red apple"


@dataclass(slots=True)
class Given:
    """A picture that was asked for by name, how it is read, and what became of it."""

    name: str
    read: Callable[[], None]
    taken: Taken | None = None


class ChosenPicture(QObject):
    """Has `noising` noise what is chosen in `chooser`, in the form that the model takes."""

    used = Signal()
    """What is noised may be another, or there is none."""

    def __init__(
        self, desk: Desk, noising: Noising, chooser: PictureChooser, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._desk, self._noising, self._chooser = desk, noising, chooser
        self.of = OF_RUN
        self._sample: tuple[Trajectory, int, Float32] | None = None
        self._given: dict[str, Given] = {}
        self._names: tuple[str, ...] = ()
        self._connect()

    def _connect(self) -> None:
        self._chooser.sourceRequested.connect(self._on_source)
        self._chooser.fileRequested.connect(self.take)
        self._chooser.emojiRequested.connect(self._on_emoji)
        self._chooser.unknownTyped.connect(self._on_unknown)
        self._noising.named.connect(self._on_named)
        self._noising.read.connect(self._on_read)

    @property
    def lacking(self) -> str:
        """Why the chosen model has no forward process; "" if it has one."""
        return forward.lacking(self._desk.store.card)

    def name(self) -> None:
        """Find the names of the bundled emoji, unless they are known."""
        if not self._names:
            self._noising.name()

    def take(self, path: Path) -> None:
        """Choose this picture."""
        self._given[OF_FILE] = Given(str(path), lambda: self._noising.read_file(path))
        self.of = OF_FILE
        self._chooser.show_file(path)
        if self.lacking:
            self._desk.tell(Notice(self.lacking, "warning", topic=TOPIC))
        else:
            self._given[OF_FILE].read()

    def use(self) -> None:
        """Noise the picture that is chosen, as the model that is chosen takes it."""
        given = self._given.get(self.of)
        if self.lacking:
            self._noising.use(None)
        elif self.of == OF_RUN:
            self._noising.use(self._sample_of_run())
        elif given is None:
            self._noising.use(None)
        elif given.taken is None or given.taken.space != forward.space(self._desk.store.card):
            given.read()
        else:
            self._noising.use(given.taken.x_0)
        self.used.emit()

    def _sample_of_run(self) -> Float32 | None:
        store = self._desk.store
        run = store.run
        if run is None or not run.complete or run.data_shape != store.card.data_shape:
            return None
        if store.card.coded and run.spec.model_id != store.card.id:  # others' latents
            return None
        sample = min(store.look.sample, run.spec.batch - 1)
        if self._sample is None or self._sample[:2] != (run, sample):
            self._sample = run, sample, run[-1].x_t[sample]
            self._chooser.show_sample(sample)
        return self._sample[2]

    @Slot(object)
    def on_run(self, run: Trajectory) -> None:
        """The shown run has another step, or is another one."""
        if self.of == OF_RUN and run.complete:
            self.use()

    @Slot(object)
    def on_look(self, look: Look) -> None:
        """Another sample of it may be looked at."""
        if self.of == OF_RUN and self._sample is not None and self._sample[1] != look.sample:
            self.use()

    @Slot(str)
    def _on_source(self, source: str) -> None:
        self.of = source
        if source == OF_EMOJI and OF_EMOJI not in self._given and self._names:
            known = FIRST_EMOJI in self._names
            self._take_emoji(self._names.index(FIRST_EMOJI) if known else 0)
        self.use()

    @Slot(object)
    def _on_named(self, names: tuple[str, ...]) -> None:
        if not self._names:
            self._names = names
            self._chooser.emoji.show_names(names)
            if self.of == OF_EMOJI:
                self._on_source(OF_EMOJI)

    @Slot(int)
    def _on_emoji(self, place: int) -> None:
        self._take_emoji(place)
        self.use()

    def _take_emoji(self, place: int) -> None:
        name = self._names[place]
        self._given[OF_EMOJI] = Given(name, lambda: self._noising.read_emoji(place, name))
        self._chooser.emoji.show_title(name)

    @Slot(str)
    def _on_unknown(self, typed: str) -> None:
        text = f"There is no bundled emoji called '{typed[:60]}': type a part of a name and choose"
        self._desk.tell(Notice(f"{text} from the list.", "warning", topic=TOPIC))

    @Slot(object)
    def _on_read(self, taken: Taken) -> None:
        given = self._given.get(self.of)
        if given is None or given.name != taken.name:
            return
        given.taken = taken
        if taken.space == forward.space(self._desk.store.card):
            self._noising.use(taken.x_0)
            if taken.done and self.of == OF_FILE:
                self._desk.tell(Notice(f"{Path(taken.name).name}: {', '.join(taken.done)}."))
