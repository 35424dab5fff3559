"""Classifier guidance: two runs from the same noise, one led by a classifier that saw no noise,
one by a classifier that did; what both classifiers say of both, and where they pull."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout

from diffview.engine.trajectory import StepRecord
from diffview.errors import InputError
from diffview.frames import compose, uphill
from diffview.frames.compose import Frame, Tiles
from diffview.frames.pixels import Uint8
from diffview.ui import theme
from diffview.ui.desk import Desk
from diffview.ui.judging import SIDES, Asked, Judging
from diffview.ui.notices import notice_of
from diffview.ui.pair_timeline import PairTimeline, beside
from diffview.ui.panels.bench_cards import HIGHEST, VerdictCard, WeightCard
from diffview.ui.panels.bench_head import BenchHead
from diffview.ui.panels.bench_panes import BenchSide
from diffview.ui.panels.pane import link
from diffview.ui.workspaces import Workspace, workspace

TOPIC = "bench"


@workspace(
    name="guidance_bench",
    title="Classifiers",
    icon="guidance-bench",
    place=70,
    help="Classifier guidance: a clean against a noisy classifier on the same noise, p over t, "
    "and where they pull",
)
class GuidanceBench(Workspace):
    """Two columns; the scrubber runs over the steps of both."""

    runs_its_own = True

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.judging = Judging(desk, self)
        self.steps = PairTimeline(self._thumbnail, self._name, ("noise", "image"), parent=self)
        self.timeline = self.steps
        self._sample = 0
        self._asked = False
        self._build()
        self._connect()

    def _build(self) -> None:
        self.head = BenchHead(self.judging.asked)
        self.sides = tuple(BenchSide(side) for side in SIDES)
        self.weight_card, self.verdict_card = WeightCard(), VerdictCard()
        self.cards = (self.weight_card, self.verdict_card)
        self.reset_zoom = link(*(side.pictures.view for side in self.sides))
        self.weight_card.show_weight(self.judging.asked.weight)
        columns = QHBoxLayout()
        columns.setSpacing(6)
        for side in self.sides:
            columns.addWidget(side, 1)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self.head)
        body.addLayout(columns, 1)

    def _connect(self) -> None:
        judging = self.judging
        self.head.askedAnew.connect(self._on_asked)
        self.head.runRequested.connect(self._on_run)
        self.weight_card.weightRequested.connect(self.choose_weight)
        judging.replaced.connect(self._on_replaced)
        judging.advanced.connect(self._on_advanced)
        judging.ended.connect(self._on_advanced)
        judging.failed.connect(self._on_failed)
        self.steps.chosen.connect(self._show)
        for side in self.sides:
            side.pictures.subjectRequested.connect(self._on_subject)
            side.pictures.view.sampleSelected.connect(self._on_sample)
            side.plot.placeRequested.connect(self._go_near)

    # -- from the window ----------------------------------------------------------------------

    def refresh(self) -> None:
        """The first time: the classes, and a run if runs begin by themselves."""
        if self._asked:
            return
        self._asked = True
        if self.judging.source is not None:
            self.head.show_classes(self.judging.source.card.classes)
        if self.desk.settings.get("autorun", True) or self.judging.lacking():
            self.start()
        self._show()

    def show_theme(self) -> None:
        """All in the present colours."""
        for side in self.sides:
            side.show_theme()
        self.steps.redraw()

    def do(self, command: str) -> bool:
        """Run, stop and the weight are the bench's own; zoom is the panes'."""
        zoomed = bool(self.sides[0].pictures.view.how_narrow)
        if command == "run":
            self.start()
        elif command == "stop" and self.judging.running:
            self.judging.stop()
        elif command in ("less_guidance", "more_guidance"):
            self.weight_card.nudge(-1 if command == "less_guidance" else 1)
        elif command == "reset_zoom" or (command == "stop" and zoomed):
            self.reset_zoom()
        else:
            return command == "focus"
        return True

    @property
    def arrangement(self) -> Mapping[str, str]:
        """The weight and the class."""
        asked, source = self.judging.asked, self.judging.source
        label = {} if source is None else {"label": source.card.classes[asked.label]}
        return {"weight": f"{asked.weight:g}", **label}

    def prepare(self, wanted: Mapping[str, str]) -> Callable[[], None]:
        """See the base; both sides are sampled anew where something changes."""
        if not wanted:
            return lambda: None
        lacking = self.judging.lacking()
        if lacking:
            raise InputError(lacking)
        source, asked = self.judging.source, self.judging.asked
        assert source is not None, "lacking() tells of it"
        weight = float(wanted.get("weight", asked.weight))
        if weight > HIGHEST:
            raise InputError(f"the weight is 0 to {HIGHEST:g} here, not {weight:g}")
        label, classes = wanted.get("label", ""), source.card.classes
        if label and label not in classes:
            raise InputError(f"there is no class '{label}'; known are {', '.join(classes)}")
        number = classes.index(label) if label else asked.label
        return lambda: self._choose(replace(self.judging.asked, weight=weight, label=number))

    def _choose(self, asked: Asked) -> None:
        self.head.show_asked(asked)
        self.weight_card.show_weight(asked.weight)
        if asked != self.judging.asked or self.judging.shown is None:
            self.judging.start(asked)

    def closing(self) -> None:
        """Let nothing run on."""
        self.judging.cancel()

    @property
    def frame(self) -> Frame | None:
        """Both sides as they are shown."""
        pair = self.judging.shown
        tiles = [self._tiles(side) for side in SIDES]
        if pair is None or None in tiles:
            return None
        level, index = pair.record(0, self.steps.index).level, self.steps.index
        shown = tuple(made for made in tiles if made is not None)
        return Frame(None, index, pair.asked.n_steps, level, pair.asked.weight, shown)

    # -- wishes -------------------------------------------------------------------------------

    def start(self) -> None:
        """Sample both as chosen, from the noise on."""
        self.judging.start(self.judging.asked)

    @Slot(float)
    def choose_weight(self, weight: float) -> None:
        """The slider's two effects: this step now, and both runs in the background."""
        asked = replace(self.judging.asked, weight=weight)
        self.head.show_asked(asked)
        self.weight_card.show_weight(weight)
        if asked == self.judging.asked:
            return
        if self.judging.shown is None or not self.judging.shown.available:
            self.judging.start(asked)
        else:
            self.judging.start(asked, index=self.steps.index)
        self.steps.redraw()
        self._show()

    @Slot(object)
    def _on_asked(self, asked: Asked) -> None:
        self.judging.start(replace(asked, weight=self.judging.asked.weight))

    @Slot()
    def _on_run(self) -> None:
        if self.judging.running:
            self.judging.stop()
        else:
            self.start()

    @Slot(int)
    def _on_sample(self, sample: int) -> None:
        self._sample = sample
        self.steps.redraw()
        self._show()

    @Slot(str)
    def _on_subject(self, name: str) -> None:
        self.steps.redraw()
        self._show()

    @Slot(float)
    def _go_near(self, t: float) -> None:
        times = self._times()[: self.steps.available]
        if times:
            self.steps.go_to(min(range(len(times)), key=lambda k: abs(times[k] - t)))

    # -- facts --------------------------------------------------------------------------------

    @Slot()
    def _on_replaced(self) -> None:
        """Another pair is on screen; a redo stays at the step that is looked at."""
        self.desk.store.begunAnew.emit(TOPIC)
        pair = self.judging.shown
        assert pair is not None
        self._sample = min(self._sample, len(pair.asked.seeds) - 1)
        if not pair.available:
            self.steps.begin()
        self.steps.show_length(pair.available, pair.runs[0].expected)
        self.steps.redraw()
        self._show()

    @Slot()
    def _on_advanced(self) -> None:
        pair = self.judging.shown
        if pair is not None:
            self.steps.show_length(pair.available, pair.runs[0].expected)
        self._show()

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self.desk.tell(notice_of(error, TOPIC))
        self._show()

    # -- showing ------------------------------------------------------------------------------

    @property
    def _there(self) -> bool:
        pair = self.judging.shown
        return pair is not None and self.steps.index < pair.available

    def _times(self) -> list[float]:
        pair = self.judging.shown
        return [] if pair is None else [level.t for level in pair.runs[0].levels]

    @Slot()
    def _show(self, *_: object) -> None:
        judging = self.judging
        self.head.show_running(judging.running, not judging.lacking())
        share = judging.share if judging.running else None
        self.weight_card.show_activity(judging.previewing, share, there=self._there)
        for side in SIDES:
            self._show_side(side)
        self._show_verdicts()

    def _show_side(self, side: int) -> None:
        column, tiles, pair = self.sides[side], self._tiles(side), self.judging.shown
        column.pictures.show_tiles(tiles, "" if tiles is not None else self._lacking())
        column.pictures.view.show_selection(self._sample)
        column.plot.show_cursor(None)
        if tiles is None or pair is None:
            column.gradient.show_message("")
            column.gradient.show_tiles(None)
            column.show_gradient_size(None)
            return
        record = pair.record(side, self.steps.index)
        self._show_gradient(column, record, clean=side == 0)
        column.show_curves(self._times(), pair.verdicts[side], self._sample)
        column.plot.show_cursor(record.level.t)
        column.heading.setText(f"p({self._class_name}) over t")

    def _show_gradient(self, column: BenchSide, record: StepRecord, *, clean: bool) -> None:
        if record.level.sigma == 0:
            column.gradient.show_message("The end is guided no more")
            column.gradient.show_tiles(None)
            column.show_gradient_size(None)
            return
        pulled = uphill.tiles(record, self._sample, clean=clean)
        column.gradient.show_tiles(pulled)
        column.show_gradient_size(pulled.values)

    def _show_verdicts(self) -> None:
        pair, card = self.judging.shown, self.verdict_card
        card.show_title(self._class_name, self._sample)
        if pair is None or not self._there:
            card.show_verdicts(None, 0)
        else:
            left, right = (pair.verdicts[side][self.steps.index] for side in SIDES)
            card.show_verdicts((left, right), self._sample)
        if pair is None or not pair.complete:
            card.show_end(None, 0, "")
        else:
            ends = (pair.verdicts[0][-1], pair.verdicts[1][-1])
            card.show_end(ends, pair.asked.label, self._class_name)

    @property
    def _class_name(self) -> str:
        source, pair = self.judging.source, self.judging.shown
        asked = self.judging.asked if pair is None else pair.asked
        return "y" if source is None else source.card.classes[asked.label]

    def _lacking(self) -> str:
        if self.judging.error:
            return self.judging.error
        return "Loading the models…" if self.judging.running else "Press Run both"

    def _tiles(self, side: int) -> Tiles | None:
        """What a side's pictures are now: recombined to the slider's weight, if it is another."""
        pair = self.judging.shown
        if pair is None or not self._there:
            return None
        record = pair.record(side, self.steps.index, self.judging.previewing)
        return compose.tiles(record, self.sides[side].pictures.subject, "clamp")

    def _name(self, index: int) -> str:
        times, steps = self._times(), max(1, len(self._times()) - 1)
        if index >= len(times):
            return "–"
        time = "image" if index == steps else f"t {times[index]:g}"
        return f"step {index}/{steps} · {time}"

    def _thumbnail(self, index: int) -> Uint8:
        colour = theme.current().colour("field")
        left, right = (self._small(side, index) for side in SIDES)
        return beside(left, right, (colour.red(), colour.green(), colour.blue()))

    def _small(self, side: int, index: int) -> Uint8 | None:
        pair = self.judging.shown
        if pair is None or index >= pair.available:
            return None
        record = compose.one_sample(pair.record(side, index), self._sample)
        return compose.tiles(record, self.sides[side].pictures.subject, "clamp").pixels[0]
