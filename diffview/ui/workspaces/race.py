"""Two models beside one another on one clock: how far each is after as many evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout

from diffview.engine import samplers
from diffview.engine.spec import MAX_PROMPT
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.frames import clock, compose
from diffview.frames.compose import Frame, Tiles, ViewState
from diffview.frames.pixels import Uint8
from diffview.models import conditions
from diffview.ui import theme
from diffview.ui.desk import Desk
from diffview.ui.notices import notice_of
from diffview.ui.pair_timeline import PairTimeline, beside
from diffview.ui.panels.pane import link
from diffview.ui.panels.race_cards import ClockCard, EntrantCard
from diffview.ui.panels.race_head import PAIRS, RaceHead
from diffview.ui.panels.race_pane import Choice, RacePane
from diffview.ui.race_setup import arrangement, prepared
from diffview.ui.racing import SHOWN_RUN, SIDES, Entrant, Racing, Settings, Wanted, missing
from diffview.ui.state import Notice, Pane
from diffview.ui.workspaces import Workspace, workspace

TOPIC = "race"


@workspace(
    name="race",
    title="AR | Diffusion",
    icon="race",
    place=60,
    help="Two models of one prompt side by side, on one clock of network evaluations",
)
class Race(Workspace):
    """Two panes, one scrubber: its ticks are evaluations of the network."""

    runs_its_own = True

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.racing = Racing(desk, self)
        self.ticks = PairTimeline(
            self._thumbnail, _tick_name, ("start", "both done"), "x0hat", self
        )
        self.timeline = self.ticks
        self._sample = 0
        self._sharp: dict[int, tuple[Trajectory, ViewState, Frame]] = {}
        self._asked = False
        self._build()
        self._connect()

    # -- building -----------------------------------------------------------------------------

    def _build(self) -> None:
        self.head = RaceHead(self.racing.wanted)
        self.panes = (RacePane("left"), RacePane("right"))
        self.clock_card = ClockCard()
        self.entrant_cards = tuple(EntrantCard(side) for side in SIDES)
        self.cards = (self.clock_card, *self.entrant_cards)
        self.reset_zoom = link(*(pane.view for pane in self.panes))
        row = QHBoxLayout()
        row.setSpacing(6)
        for pane in self.panes:
            row.addWidget(pane, 1)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self.head)
        body.addLayout(row, 1)

    def _connect(self) -> None:
        racing = self.racing
        self.head.pairRequested.connect(self.choose_pair)
        self.head.wantedRequested.connect(self._on_wanted)
        self.head.runRequested.connect(self._on_run)
        self.head.prompt.shortened.connect(self._on_shortened)
        racing.begun.connect(self._on_begun)
        racing.advanced.connect(self._on_advanced)
        racing.ended.connect(self._show_running)
        racing.lensReady.connect(self._on_lens)
        racing.decoded.connect(self._on_decoded)
        racing.failed.connect(self._on_failed)
        self.ticks.chosen.connect(self._show)
        self.listen(self.desk.store.modelsChanged, self._on_models)
        for side, pane in enumerate(self.panes):
            pane.chosen.connect(lambda choice, side=side: self._on_chosen(side, choice))
            pane.paneRequested.connect(lambda made, side=side: self._on_pane(side, made))
            pane.view.sampleSelected.connect(self._on_sample)
            card = self.entrant_cards[side]
            card.settingsRequested.connect(lambda made, side=side: self._on_settings(side, made))

    # -- from the window ----------------------------------------------------------------------

    def refresh(self) -> None:
        """The first time: the pair that is here, run at once if runs begin by themselves."""
        if self._asked:
            self._show_choices()
            return
        self._asked = True
        self._choose(*self._remembered())
        if self.desk.settings.get("autorun", True):
            self.racing.start()

    def _remembered(self) -> tuple[str, str]:
        known, kept = self.desk.store.shelf.sources, self.desk.settings.get("race_models", [])
        if isinstance(kept, list) and len(kept) == len(SIDES) and all(k in known for k in kept):
            return str(kept[0]), str(kept[1])
        pairs = [(left, right) for _, left, right in PAIRS]
        return max(pairs, key=lambda pair: sum(name in known for name in pair))

    def show_theme(self) -> None:
        """Symbols, rings and small pictures in the present colours."""
        for pane in self.panes:
            pane.show_theme()
        self.head.show_theme()
        self.ticks.redraw()

    def do(self, command: str) -> bool:
        """Run and stop are of both sides; zoom is the panes' own."""
        if command == "run":
            self.racing.start()
        elif command == "stop" and self.racing.running:
            self.racing.stop()
        elif command == "reset_zoom" or (command == "stop" and self.panes[0].view.how_narrow):
            self.reset_zoom()
        else:
            return command == "focus"
        return True

    @property
    def arrangement(self) -> Mapping[str, str]:
        """The pair, the prompt and the class."""
        return arrangement(self.racing)

    def prepare(self, wanted: Mapping[str, str]) -> Callable[[], None]:
        """See the base; both sides run anew where something changes, or nothing has run yet."""
        pair, asked = prepared(wanted, self.racing, self.desk.store.shelf.sources)
        return lambda: self._arrange(pair, asked)

    def _arrange(self, pair: tuple[str, str] | None, wanted: Wanted) -> None:
        now = tuple(one.choice for one in self.racing.entrants)
        same = (pair or now) == now and wanted == self.racing.wanted
        if same and self.racing.runs:
            return
        self.racing.wanted = wanted
        self.head.show_wanted(wanted)
        self.choose_pair(*(pair or now))

    def closing(self) -> None:
        """Stop, and remember who ran."""
        self.racing.stop()
        if self._asked:
            self.desk.settings.save(race_models=[one.choice for one in self.racing.entrants])

    @property
    def frame(self) -> Frame | None:
        """Both sides as they are shown, sample beside sample."""
        frames = [self._frame(side) for side in SIDES]
        left, right = frames
        if left is None or right is None:
            return left or right
        pairs = zip(left.tiles[0].pixels, right.tiles[0].pixels, strict=False)
        pixels = np.stack([beside(one, other, self._blank()) for one, other in pairs])
        tiles = Tiles(left.tiles[0].quantity, pixels, pixels[..., :3].astype(np.float32))
        return Frame(None, self.ticks.index, self.racing.expected, left.level, None, (tiles,))

    # -- wishes -------------------------------------------------------------------------------

    def choose_pair(self, left: str, right: str) -> None:
        """Put these two beside one another, and run them."""
        self._choose(left, right)
        self.racing.start()

    def _choose(self, left: str, right: str) -> None:
        for entrant, choice in zip(self.racing.entrants, (left, right), strict=True):
            entrant.choose(choice)
        self._show_choices()

    def _on_chosen(self, side: int, choice: str) -> None:
        self.racing.stop()
        self.racing.entrants[side].choose(choice)
        self._show_choices()
        self.racing.start()

    def _on_settings(self, side: int, settings: Settings) -> None:
        self.racing.entrants[side].settings = settings
        self.racing.start()

    @Slot(object)
    def _on_wanted(self, wanted: Wanted) -> None:
        self.racing.wanted = wanted
        self.racing.start()
        for card in (entrant.card for entrant in self.racing.entrants):
            unread = ""
            if card is not None and card.takes_text:
                unread = conditions.reading(card, wanted.prompt).warning
            if card is not None and unread:
                self.desk.tell(Notice(f"{card.title}: {unread}", "warning", topic=TOPIC))

    @Slot(int)
    def _on_shortened(self, letters: int) -> None:
        text = f"A prompt has at most {MAX_PROMPT:,} letters: {letters:,} were left out."
        self.desk.tell(Notice(text, "warning", topic=TOPIC))

    @Slot()
    def _on_run(self) -> None:
        if self.racing.running:
            self.racing.stop()
        else:
            self.racing.start()

    def _on_pane(self, side: int, pane: Pane) -> None:
        self.panes[side].show_pane(pane)
        self.ticks.redraw()
        self._show()

    @Slot(int)
    def _on_sample(self, sample: int) -> None:
        self._sample = sample
        self.ticks.redraw()
        self._show()

    # -- facts --------------------------------------------------------------------------------

    @Slot(object)
    def _on_models(self, cards: object) -> None:
        """One that was missing may have come."""
        for entrant in self.racing.entrants:
            if entrant.error and entrant.choice in self.desk.store.shelf.sources:
                entrant.choose(entrant.choice)
        self._show_choices()

    @Slot()
    def _on_begun(self) -> None:
        self.desk.store.begunAnew.emit(TOPIC)
        self._sharp.clear()
        self._sample = min(self._sample, len(self.racing.wanted.seeds) - 1)
        for pane, entrant in zip(self.panes, self.racing.entrants, strict=True):
            if entrant.run is not None:
                spec = entrant.run.spec
                pane.show_kind(guided=spec.guidance.kind != "none", by_token=spec.by_token)
        self.ticks.begin()
        self._show_cards()
        self._show_running()

    @Slot()
    def _on_advanced(self) -> None:
        there = any(len(run) for run in self.racing.runs)
        self.ticks.show_length(self.racing.reached + 1 if there else 0, self.racing.expected + 1)
        self._show()

    @Slot()
    def _show_running(self) -> None:
        possible = any(one.source is not None for one in self.racing.entrants)
        self.head.show_running(self.racing.running, possible)
        self._show()

    @Slot()
    def _on_lens(self) -> None:
        self.ticks.redraw()
        self._show()

    @Slot(int, object, object, object)
    def _on_decoded(self, side: int, run: Trajectory, view: ViewState, frame: Frame) -> None:
        if run is self.racing.entrants[side].run:
            self._sharp[side] = run, view, frame
            self._show_side(side)

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self.desk.tell(notice_of(error, TOPIC))
        self._show()

    # -- showing ------------------------------------------------------------------------------

    def _show_choices(self) -> None:
        entrants = self.racing.entrants
        for pane, entrant in zip(self.panes, entrants, strict=True):
            pane.show_choices(self._choices(), entrant.choice)
            if entrant.run is not None:
                continue
            if entrant.card is None:
                pane.show_nothing()
            else:
                pane.show_kind(guided=False, by_token=entrant.card.by_token)
        left, right = (one.choice for one in entrants)
        self.head.show_pair((left, right))
        cards = [one.card for one in entrants if one.card is not None and not one.kept]
        self.head.show_cards(cards)
        self._show_cards()
        self._show_running()

    def _choices(self) -> list[Choice]:
        store = self.desk.store
        choices = [(card.id, card.title, "") for card in store.cards]
        known = {name for name, _, _ in choices}
        for name in dict.fromkeys(name for pair in PAIRS for name in pair[1:]):
            if name not in known:
                choices.append((name, f"{name} (not here)", missing(name)))
        nothing = "" if store.run is not None else "There is no run in Denoising yet"
        return [*choices, (SHOWN_RUN, "The run in Denoising", nothing)]

    def _show_cards(self) -> None:
        for card, entrant in zip(self.entrant_cards, self.racing.entrants, strict=True):
            card.show_choices(
                entrant.choices(self.racing.wanted), entrant.card, _sampler_words(entrant)
            )

    @Slot()
    def _show(self, *_: object) -> None:
        """Both sides at the tick of the scrubber."""
        for side in SIDES:
            self._show_side(side)
        self.clock_card.show_clock(
            self.ticks.index, [entrant.run for entrant in self.racing.entrants]
        )

    def _show_side(self, side: int) -> None:
        entrant, pane, tick = self.racing.entrants[side], self.panes[side], self.ticks.index
        frame = self._frame(side)
        message = "" if frame is not None else self._lacking(entrant)
        pane.show_tiles(
            None if frame is None else frame.tiles[0], message, "" if frame is None else frame.lens
        )
        pane.view.show_selection(self._sample)
        run = entrant.run
        if run is None:
            pane.show_clock(0, 0, self.racing.expected, "")
            return
        index = clock.record_at(run, tick)
        place = "" if index is None else _place(run[index], run)
        pane.show_clock(clock.used(run, tick), clock.expected(run), self.racing.expected, place)

    def _frame(self, side: int) -> Frame | None:
        """What a side shows: as its decoder draws it, else what can be had at once."""
        entrant, tick, pane = self.racing.entrants[side], self.ticks.index, self.panes[side].pane
        view = entrant.view(tick, pane)
        kept = self._sharp.get(side)
        if kept is not None and kept[:2] == (entrant.run, view):
            return kept[2]
        frame = entrant.frame(tick, pane)
        if frame is not None and view is not None:
            self.racing.sharpen(side, frame, view)
        return frame

    def _lacking(self, entrant: Entrant) -> str:
        if entrant.error:
            return entrant.error
        if entrant.run is None:
            return "Press Run both" if entrant.choice else "Choose a model above"
        if not len(entrant.run):
            return "Loading the model…" if self.racing.running else "Press Run both"
        return "Nothing is known before the first evaluation"

    def _thumbnail(self, tick: int) -> Uint8:
        left, right = (self._small(side, tick) for side in SIDES)
        return beside(left, right, self._blank())

    def _blank(self) -> tuple[int, int, int]:
        """What stands between two pictures, and where there is none."""
        colour = theme.current().colour("field")
        return colour.red(), colour.green(), colour.blue()

    def _small(self, side: int, tick: int) -> Uint8 | None:
        entrant, pane = self.racing.entrants[side], self.panes[side].pane
        index, run = entrant.known_at(tick, pane.quantity), entrant.run
        if index is None or run is None:
            return None
        record = compose.one_sample(run[index], min(self._sample, run.spec.batch - 1))
        made = compose.tiles(record, pane.quantity, pane.policy, entrant.lens)
        return made.pixels[0]


def _tick_name(tick: int) -> str:
    return f"{tick} evaluation{'' if tick == 1 else 's'}"


def _place(record: StepRecord, run: Trajectory) -> str:
    """Where the state that is known at a tick stands in its run."""
    what = "token" if run.spec.by_token else "step"
    if record.i == run.spec.n_steps:
        return f"done, {record.i} {what}s"
    return f"{what} {record.i} of {run.spec.n_steps}"


def _sampler_words(entrant: Entrant) -> str:
    if entrant.run is not None:
        spec = entrant.run.spec
        twice = ", two evaluations a step" if spec.guidance.kind == "cfg" else ""
        return f"{entrant.title}: {samplers.find(spec.sampler).title}{twice}"
    return entrant.title or "No model"
