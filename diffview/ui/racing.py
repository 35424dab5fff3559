"""Two runs on one clock: what takes part, the job that samples both, and what is known so far."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from diffview.engine.options import Value
from diffview.engine.spec import checked
from diffview.engine.trajectory import Trajectory
from diffview.errors import DiffviewError, InputError
from diffview.frames import clock, compose
from diffview.frames import lens as lenses
from diffview.frames.compose import Frame, ViewState
from diffview.frames.lens import Lens
from diffview.frames.quantities import find
from diffview.models import sampling
from diffview.models.card import ModelCard
from diffview.ui import choosing, state
from diffview.ui.decoding import decoded_frame, quick_lens
from diffview.ui.desk import Desk
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox
from diffview.ui.runs import FRAME_MS
from diffview.ui.state import Choices, Pane

SHOWN_RUN = "@shown"
"""In the stead of a model's id: the run that is shown in Denoising."""
SIDES = (0, 1)
NAMES = ("Left", "Right")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What both are asked for: a prompt, or a class by its name, and the seeds."""

    prompt: str = "red apple"
    label: str = "Sneaker"
    seeds: tuple[int, ...] = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True)
class Settings:
    """What one side does in its own way; None is the model's own default."""

    n_steps: int | None = None
    guidance_scale: float | None = None
    sampler: str | None = None
    options: tuple[tuple[str, Value], ...] = ()


class Entrant:
    """One side: a model to be run, or a run that is there already, or what is missing.

    lens: what its latents or tokens are looked at through at once.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.choice = ""
        self.settings = Settings()
        self.source: ModelSource | None = None
        self.run: Trajectory | None = None
        self.lens: Lens | None = None
        self.error = ""

    @property
    def card(self) -> ModelCard | None:
        """The card of its model, if that is here."""
        return None if self.source is None else self.source.card

    @property
    def kept(self) -> bool:
        """Whether its run was made elsewhere and stays as it is."""
        return self.choice == SHOWN_RUN

    @property
    def title(self) -> str:
        """What it is called."""
        if self.card is not None:
            return self.card.title
        return "" if self.run is None else self.run.spec.model_id

    def choose(self, choice: str) -> None:
        """Take part with a model by its id, or with the shown run."""
        self.choice, self.settings = choice, Settings()
        self.run = self.source = self.lens = None
        self.error = ""
        store = self._desk.store
        if choice == SHOWN_RUN:
            self._take_shown()
        elif choice in store.shelf.sources:
            self.source = store.shelf.sources[choice]
        elif choice:
            self.error = missing(choice)

    def _take_shown(self) -> None:
        store = self._desk.store
        if store.run is None or not len(store.run):
            self.error = "There is no run in Denoising yet: make one there, then choose it again."
            return
        self.run = store.run.snapshot()
        self.source = store.shelf.maker_of(store.run, store.about)

    def choices(self, wanted: Wanted) -> Choices | None:
        """The run it is asked for; None where there is none to be made."""
        if self.source is None or self.kept:
            return None
        card, own = self.source.card, self.settings
        made = replace(state.defaults(card), seeds=wanted.seeds, condition=asked(card, wanted))
        if own.sampler is not None:
            made = made.with_sampler(own.sampler)
        for name, value in own.options:
            made = made.with_option(name, value)
        if own.n_steps is not None:
            made = replace(made, n_steps=own.n_steps)
        if own.guidance_scale is not None:
            made = replace(made, guidance_scale=own.guidance_scale)
        # γ = 1 is the model under its condition, for which asking once a step will do.
        return replace(made, guidance_kind="none") if made.guidance_scale == 1 else made

    def prepare(self, wanted: Wanted, budget: int) -> bool:
        """An empty run as it is asked for; says whether there is one, else `error` says why."""
        choices = self.choices(wanted)
        if choices is None or self.source is None:
            return False
        self.run, self.error = None, ""
        try:
            spec = checked(choices.spec(self.source.card, guidable=self.source.guidable))
            choosing.check(spec, self.source)
            self.run = sampling.trajectory_for(self.source.card, spec, budget)
        except InputError as error:
            self.error = str(error)
        return self.run is not None

    def known_at(self, tick: int, quantity: str) -> int | None:
        """The record that shows `quantity` at a tick of the clock."""
        return None if self.run is None else clock.record_at(self.run, tick, quantity)

    def view(self, tick: int, pane: Pane) -> ViewState | None:
        """What a pane looks at, at a tick of the clock."""
        index = self.known_at(tick, pane.quantity)
        return None if index is None else ViewState(index, (pane.quantity,), (pane.policy,))

    def frame(self, tick: int, pane: Pane) -> Frame | None:
        """The same as it can be shown at once."""
        view = self.view(tick, pane)
        if view is None or self.run is None:
            return None
        return compose.compose(self.run, view, self.lens)


class Racing(QObject):
    """Both sides and their job: one generator in which the one that is behind goes on."""

    begun = Signal()
    """Both start anew."""
    advanced = Signal()
    ended = Signal()
    lensReady = Signal()
    decoded = Signal(int, object, object, object)
    """Side, run, view and frame, as the model's decoder shows it."""
    failed = Signal(object)

    def __init__(self, desk: Desk, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._desk = desk
        self.wanted = Wanted()
        self.entrants = tuple(Entrant(desk) for _ in SIDES)
        self._sharpeners = tuple(Mailbox(desk.jobs, self) for _ in SIDES)
        self._told: dict[int, Entrant] = {}
        self._job = 0
        self._timer = QTimer(self, singleShot=True, interval=FRAME_MS)
        self._connect()

    def _connect(self) -> None:
        jobs = self._desk.jobs
        jobs.progressed.connect(self._on_progressed)
        jobs.failed.connect(self._on_failed)
        jobs.finished.connect(self._on_ended)
        jobs.stopped.connect(self._on_ended)
        self._timer.timeout.connect(self.advanced)
        for side, box in enumerate(self._sharpeners):
            box.failed.connect(self.failed)
            box.told.connect(lambda told, side=side: self.decoded.emit(side, *told))

    @property
    def running(self) -> bool:
        """Whether a run is being sampled."""
        return self._job != 0

    @property
    def runs(self) -> list[Trajectory]:
        """The runs that are there or under way."""
        return [entrant.run for entrant in self.entrants if entrant.run is not None]

    @property
    def expected(self) -> int:
        """The last tick of the clock: all evaluations of the one that takes most."""
        return max([clock.expected(run) for run in self.runs], default=0)

    @property
    def reached(self) -> int:
        """The tick until which all is known: those that are still running have come so far."""
        under_way = [run.nfe for run in self.runs if self.running and not self._over(run)]
        return min(under_way, default=max([run.nfe for run in self.runs], default=0))

    def _over(self, run: Trajectory) -> bool:
        entrant = next(one for one in self.entrants if one.run is run)
        return run.complete or entrant.kept or bool(entrant.error)

    def start(self) -> None:
        """Sample both anew, from nothing."""
        self.stop()
        budget = self._desk.store.budget // 2
        wanted = [one for one in self.entrants if one.prepare(self.wanted, budget)]
        starts = [(one.source, one.run) for one in wanted if one.source and one.run is not None]
        blind = [one.source for one in self.entrants if one.source and one.lens is None]
        coded = [source for source in blind if source.card.coded]
        self._told = dict(enumerate(wanted))
        if starts or coded:
            self._job = self._desk.jobs.submit(lambda: sample_together(coded, starts))
        self.begun.emit()
        self.advanced.emit()

    def sharpen(self, side: int, frame: Frame, view: ViewState) -> None:
        """Have the model's decoder draw what is seen roughly; `decoded` tells it."""
        entrant = self.entrants[side]
        source, run = entrant.source, entrant.run
        rough = frame.lens == lenses.PREVIEW and find(view.quantities[0]).state
        if source is not None and run is not None and rough and not self.running:
            self._sharpeners[side].put(lambda: decoded_frame(source, run, view))

    def stop(self) -> None:
        """Stop after the step it is in; what was sampled stays."""
        if self._job:
            self._desk.jobs.cancel(self._job)
            self._job = 0
            self.ended.emit()

    @Slot(int, object)
    def _on_progressed(self, job: int, told: Any) -> None:
        if job != self._job:
            return
        place, made = told
        if isinstance(made, Lens):
            self._take_lens(place, made)
        elif made is not None:
            self._told[place].error = str(made)
            self.failed.emit(made)
        if not self._timer.isActive():
            self._timer.start()

    def _take_lens(self, model_id: str, lens: Lens) -> None:
        for entrant in self.entrants:
            if entrant.card is not None and entrant.card.id == model_id:
                entrant.lens = lens
        self.lensReady.emit()

    @Slot(int, object)
    def _on_failed(self, job: int, error: object) -> None:
        if job == self._job:
            for entrant in self.entrants:
                if entrant.run is not None and not entrant.run.complete and not entrant.error:
                    entrant.error = str(error)
            self.failed.emit(error)
            self._on_ended(job)

    @Slot(int)
    def _on_ended(self, job: int) -> None:
        if job == self._job:
            self._job = 0
            self._timer.stop()
            self.advanced.emit()
            self.ended.emit()


def sample_together(
    coded: list[ModelSource], starts: list[tuple[ModelSource, Trajectory]]
) -> Iterator[tuple[Any, Lens | DiffviewError | None]]:
    """In a worker's thread: the lenses of these models by id; then, by its place in `starts`,
    which run went on, with the error that ended it or None."""
    from diffview.models.together import Runner, together

    for source in coded:
        with suppress(DiffviewError):  # its run will say so
            yield from quick_lens(source)
    runners, places = [], []
    for place, (source, run) in enumerate(starts):
        try:
            runners.append(Runner(run, source.model()))
            places.append(place)
        except DiffviewError as error:  # the other one can go on alone
            yield place, error
    for k, made in together(runners):
        yield places[k], made if isinstance(made, DiffviewError) else None


def asked(card: ModelCard, wanted: Wanted) -> Any:
    """What is asked of a model: the prompt, the class of that name, or its own first class."""
    if card.takes_text:
        return wanted.prompt or None
    if not card.classes:
        return None
    if wanted.label in card.classes:
        return card.classes.index(wanted.label)
    return state.defaults(card).condition


def missing(model_id: str) -> str:
    """What to do about a model that is not here."""
    return (
        f"The model '{model_id}' is not here.\nChoose another one above, open its file with "
        f"Ctrl+O, or train it:\ndiffview train {model_id}"
    )
