"""What the scrubber runs over: the steps of the run, or whatever else a workspace goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.frames import compose as frames
from diffview.frames.pixels import Uint8
from diffview.ui.controller import Controller
from diffview.ui.decoding import StripAsked
from diffview.ui.family import branch_steps
from diffview.ui.state import Look


@dataclass(frozen=True, slots=True)
class Strip:
    """What the film strip shows: small pictures (H, W, 4) uint8 RGBX of `expected` places.

    `quantity` (a name in frames.quantities) colours its ring. `choices`: whether a person may
    choose another quantity, and `guided` whether those that need guidance are among them;
    `by_token` whether those of tokens. `ends`: other names of the scrubber's ends than its
    timeline has.
    """

    pictures: Sequence[Uint8]
    expected: int
    quantity: str
    choices: bool = False
    guided: bool = False
    by_token: bool = False
    ends: tuple[str, str] | None = None


class Timeline(QObject):
    """Places 0 .. expected - 1, of which the first `available` can be reached.

    `first` is the number of place 0 for a person and `stride` the distance of two places: the film
    strip's tool tip counts so. A timeline tells only between `start()` and `stop()`. `ends` name
    the ends of the scrubber.
    """

    ends = ("noise", "image")

    lengthChanged = Signal(int, int)
    moved = Signal(int, str)
    stripChanged = Signal(object)
    marked = Signal(object)
    """Places that are marked on the scrubber, and what they are in words; told by `start` too."""

    def start(self) -> None:
        """Tell all there is to know, and what changes from now on."""

    def stop(self) -> None:
        """Tell nothing until the next start."""

    def go_to(self, index: int) -> None:
        """Go to a place, or to the nearest that can be reached."""

    def step_by(self, steps: int) -> None:
        """Go so many places on (back if negative)."""

    def choose_strip(self, quantity: str) -> None:
        """Show another quantity on the film strip, where there is a choice."""

    def name_of(self, index: int) -> str:
        """A place in words, for a tool tip."""
        return f"step {index}"


class RunTimeline(Timeline):
    """The records of the shown run; the controller's look says which one is looked at."""

    def __init__(self, controller: Controller) -> None:
        super().__init__(controller)
        self._controller = controller
        self._started = False
        self._pictures: list[Uint8] = []
        self._key: tuple[Any, ...] = ()
        self._asked: StripAsked | None = None
        controller.decoding.smallDecoded.connect(self._on_small)

    def start(self) -> None:
        """Follow the controller."""
        c = self._controller
        c.lookChanged.connect(self._on_look)
        c.runGrew.connect(self._on_run_grew)
        self._started = True
        if c.run is None:
            self.lengthChanged.emit(0, 1)
            self.stripChanged.emit(Strip((), 0, c.look.strip, choices=True, guided=True))
            self.marked.emit(((), ""))
            self._on_look(c.look)
        else:
            self._on_run_grew(c.run)
            self._update_strip(tell=True)

    def stop(self) -> None:
        """Let go of the controller."""
        if self._started:
            c = self._controller
            c.lookChanged.disconnect(self._on_look)
            c.runGrew.disconnect(self._on_run_grew)
            self._started = False

    def go_to(self, index: int) -> None:
        """Show record `index`."""
        self._controller.scrub_to(index)

    def step_by(self, steps: int) -> None:
        """Move by so many records."""
        self._controller.step_by(steps)

    def choose_strip(self, quantity: str) -> None:
        """Choose what the film strip shows of each record."""
        self._controller.choose_strip(quantity)

    def name_of(self, index: int) -> str:
        """The step of the run, which a stride makes another number than the record's."""
        run = self._controller.run
        if run is None:
            return super().name_of(index)
        n_steps = run.spec.n_steps
        return f"step {min(index * run.stride, n_steps)}/{n_steps}"

    @Slot(object)
    def _on_look(self, look: Look) -> None:
        self.moved.emit(look.index, self._place())
        self._update_strip()

    @Slot(object)
    def _on_run_grew(self, run: Trajectory) -> None:
        self.lengthChanged.emit(len(run), run.expected)
        self._tell_marks(run)
        self.moved.emit(self._controller.look.index, self._place())
        self._update_strip()

    def _tell_marks(self, run: Trajectory) -> None:
        """Where the run left others on its way."""
        steps = branch_steps(run.spec)
        where = ", ".join(map(str, steps))
        text = f"Marked: this run is a branch, which left another at step {where}"
        self.marked.emit((tuple(-(-step // run.stride) for step in steps), text if steps else ""))

    def _place(self) -> str:
        run, index = self._controller.run, self._controller.look.index
        if run is None or index >= len(run):
            return "–"
        record, stage = run[index], self._controller.look.stage
        shown = frames.at_stage(record, stage)
        time = "clean" if shown.level.sigma == 0 else f"t {shown.level.t:g}"
        if run.spec.by_token:
            return f"token {record.i}/{run.spec.n_steps} · {_where(record)}"
        name = f" · {record.stages[stage - 1].name}" if 0 < stage <= len(record.stages) else ""
        return f"step {record.i}/{run.spec.n_steps} · {time}{name}"

    def _update_strip(self, *, tell: bool = False) -> None:
        """The selected sample at every step; what is already drawn stays."""
        run, look = self._controller.run, self._controller.look
        if run is None:
            return
        lens = self._controller.decoding.quick
        key = (run, look.sample, look.strip, lens)
        if key != self._key:
            self._pictures, self._key, self._asked, tell = [], key, None, True
        if tell or len(self._pictures) != len(run):
            for index in range(len(self._pictures), len(run)):
                picture = frames.thumbnail(run[index], look.sample, look.strip, lens)
                self._pictures.append(picture)
            self._tell_strip(run)
        if run.complete and self._asked is None:
            self._asked = StripAsked(run, look.sample, look.strip)
            self._controller.decoding.ask_strip(self._asked)

    def _tell_strip(self, run: Trajectory) -> None:
        by_token = run.spec.by_token
        ends = ("nothing", "image") if by_token else None
        shown = (self._pictures, run.expected, self._controller.look.strip)
        self.stripChanged.emit(Strip(*shown, True, run.guided, by_token, ends))

    @Slot(object, int, object)
    def _on_small(self, asked: StripAsked, place: int, picture: Uint8) -> None:
        if asked is self._asked:
            self._pictures[place] = picture
            if self._started:
                self._tell_strip(asked.run)


def _where(record: StepRecord) -> str:
    """Where the next token goes."""
    if record.level.sigma == 0:
        return "written"
    row, column = divmod(record.i, record.x_t.shape[-1])
    return f"row {row}, column {column}"
