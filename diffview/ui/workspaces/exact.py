"""The exact denoiser of a set of pictures beside a trained network, at the same x_t."""

from __future__ import annotations

import math

import numpy as np
from PySide6.QtCore import Slot
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout

from diffview.engine.trajectory import Float32, Trajectory
from diffview.frames import noising, pixels
from diffview.frames.compose import Frame, Tiles
from diffview.models.card import ModelCard
from diffview.models.exact.reading import Sum
from diffview.ui.comparing import KINDS, SCALES, Answer, Comparing
from diffview.ui.counterparts import Counterparts
from diffview.ui.desk import Desk
from diffview.ui.notices import notice_of
from diffview.ui.panels.exact_cards import BesideCard, ClassCard, PosteriorCard
from diffview.ui.panels.exact_head import ExactHead
from diffview.ui.panels.exact_lower import Curves, ExactLower
from diffview.ui.panels.forward_cards import ValueCard
from diffview.ui.panels.pane import link
from diffview.ui.panels.picture_pane import PicturePane
from diffview.ui.panels.picture_pane import Subject as Shown
from diffview.ui.state import Choices, Look
from diffview.ui.workspaces import Workspace, workspace

TOPIC = "exact"
X_T = Shown("xt", r"\c{xt}{x_{t}}", "State", "x_t of the shown run, the same for both", "x_t")
NETWORK = Shown("network", r"\c{x0hat}{\hat{x}_{0}} \; \text{network}", "Network",
                "What the trained network says of it: it generalises", "x0_hat")  # fmt: skip
BY_HEART = Shown("exact", r"\c{x0hat}{\hat{x}_{0}} \; \text{by heart}", "By heart",
                 "What the pictures say of it: their weighted mean, which memorises",
                 "x0_hat")  # fmt: skip
DIFFERENCE = Shown("difference", r"\text{network} - \text{by heart}", "Difference",
                   "Network − by heart: blue below zero, amber above", "difference")  # fmt: skip

NO_RUN = "Press Run: its states are looked at here."
TOKENS = "This run writes tokens. What is shown here is of runs that remove noise."
NO_SET = (
    "There is no set of pictures of this run's shape. Choose Fashion-MNIST or the emoji by heart "
    "among the models, or drop a folder of pictures on the window."
)
NO_NETWORK = "No trained model here has samples of this shape."
END = "The end of the run: without noise there is nothing to weigh."


@workspace(
    name="exact",
    title="By heart",
    icon="exact",
    place=35,
    needs="run",
    help="The exact denoiser of a set of pictures beside a trained network, at the same x_t",
)
class Exact(Workspace):
    """Four panes, the heaviest pictures, three curves; the scrubber runs over the shown run."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.comparing = Comparing(desk, self)
        self.kind = "guided"
        self._taken: tuple[Trajectory | None, tuple[str, ...]] = None, ()
        self.pair = Counterparts(desk.store)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.head = ExactHead()
        self.panes = (
            PicturePane("exactXt", X_T),
            PicturePane("exactNetwork", NETWORK),
            PicturePane("exactByHeart", BY_HEART),
            PicturePane("exactDifference", DIFFERENCE),
        )
        self.reset_zoom = link(*(pane.view for pane in self.panes))
        self.below = ExactLower()
        self.posterior_card, self.beside_card = PosteriorCard(), BesideCard()
        self.class_card, self.value_card = ClassCard(), ValueCard()
        self.cards = (self.posterior_card, self.beside_card, self.class_card, self.value_card)
        row = QHBoxLayout()
        row.setSpacing(6)
        for pane in self.panes:
            row.addWidget(pane, 1)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self.head)
        body.addLayout(row, 4)
        body.addWidget(self.below, 5)

    def _connect(self) -> None:
        store, head = self.desk.store, self.head
        head.networkRequested.connect(self._on_network)
        head.setRequested.connect(self._on_set)
        head.sumsRequested.connect(self._on_sums)
        head.classRequested.connect(self._on_class)
        self.below.placeRequested.connect(self._on_place)
        self.comparing.answered.connect(self._on_answered)
        self.comparing.failed.connect(self._on_failed)
        for pane in self.panes:
            pane.view.hovered.connect(self._on_hovered)
            pane.view.unhovered.connect(self.value_card.show_nothing)
        self.listen(store.lookChanged, self._on_look)
        self.listen(store.runReplaced, self._on_run)
        self.listen(store.runGrew, self._on_grew)
        self.listen(store.modelsChanged, self._on_models)
        self.listen(store.choicesChanged, self._on_choices)

    # -- from the window ----------------------------------------------------------------------

    def refresh(self) -> None:
        """The run, the models and the step may all be others."""
        self._take_run()

    def leave(self) -> None:
        """Nothing is asked while nobody looks."""
        super().leave()
        self.comparing.pause()

    def show_theme(self) -> None:
        """Plots and symbols in the present colours."""
        for pane in self.panes:
            pane.show_theme()
        self.below.show_theme()
        self.class_card.bars.update()

    def do(self, command: str) -> bool:
        """Zoom is the panes' own; there is always one sample alone."""
        zoomed = bool(self.panes[0].view.how_narrow)
        return self.do_zoom(command, self.reset_zoom, zoomed=zoomed)

    @property
    def frame(self) -> Frame | None:
        """The panes that show something, as they are shown."""
        tiles, run, look = self._tiles(), self.desk.store.run, self.desk.store.look
        if not tiles or run is None:
            return None
        level = run[look.index].level
        return Frame(None, look.index, run.spec.n_steps, level, None, tuple(tiles.values()))

    # -- what is chosen -----------------------------------------------------------------------

    @Slot(object)
    def _on_run(self, run: Trajectory) -> None:
        self._take_run()

    @Slot(object)
    def _on_grew(self, run: Trajectory) -> None:
        self._ask()
        self._show()

    @Slot(object)
    def _on_models(self, cards: object) -> None:
        self._take_run()

    @Slot(object)
    def _on_look(self, look: Look) -> None:
        self._ask()
        self._show()

    @Slot(object)
    def _on_choices(self, choices: Choices) -> None:
        self._show_head()

    @Slot(str)
    def _on_network(self, id: str) -> None:
        self.pair.network = id
        self._ask()
        self._show()

    @Slot(str)
    def _on_set(self, id: str) -> None:
        self.pair.set, self.pair.label = id, None
        self._show_head()
        self._ask()
        self._show()

    @Slot(str)
    def _on_sums(self, kind: str) -> None:
        self.kind = kind
        if kind != "all" and not self.pair.run_class and self.pair.label is None:
            self.pair.label = 0
            self._ask()
        self._show_head()
        self._show()

    @Slot(int)
    def _on_class(self, label: int) -> None:
        if label >= 0:
            self.pair.label = label
            self._ask()
            self._show()

    def _take_run(self) -> None:
        """Choose what fits the shown run; what was chosen for the same one stays."""
        taken = self.desk.store.run, tuple(card.id for card in self.desk.store.cards)
        if taken != self._taken:
            self._taken = taken
            self._choose()
        self._show_head()
        self._ask()
        self._show()

    def _choose(self) -> None:
        self.pair.take_run()
        pair = self.pair
        self.head.show_models(pair.networks, pair.sets, pair.network, pair.set)

    def _ask(self) -> None:
        if self.in_front:
            self.comparing.ask(self.pair.subject, self.desk.store.look.index)

    @Slot(int)
    def _on_place(self, place: int) -> None:
        places = self.comparing.places
        if place < len(places):
            self.desk.store.scrub_to(places[place])

    # -- showing ------------------------------------------------------------------------------

    @property
    def sums(self) -> str:
        """What is summed over: as chosen, and all pictures where nothing names a class."""
        named = self.pair.label is not None or self.pair.run_class
        return self.kind if self.pair.classes and named else "all"

    @property
    def _scale(self) -> float:
        return SCALES.get(self.sums, self.pair.gamma)

    def _show_head(self) -> None:
        source = self.pair.source(self.pair.set)
        label = self.pair.label_in(self.pair.set) or 0
        self.head.show_sums(self.sums, self.pair.classes, label, self.pair.gamma)
        if source is None:
            self.posterior_card.show_remark("", "")
            return
        pictures, memory = _size(source.card)
        self.posterior_card.show_remark(f"{pictures}, {memory}", source.card.description)

    @Slot(int)
    def _on_answered(self, index: int) -> None:
        self.desk.store.begunAnew.emit(TOPIC)
        if index == self.desk.store.look.index:
            self._show()
        else:
            self._show_plots()

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self.desk.tell(notice_of(error, TOPIC))
        self._show_nothing("What is missing is said above.")

    @property
    def answer(self) -> Answer | None:
        """What both say of the step that is looked at."""
        return self.comparing.answers.get(self.desk.store.look.index)

    def _sum(self, answer: Answer) -> Sum:
        under = answer.reading.under
        return answer.reading.free if self.sums == "all" or under is None else under

    def _estimates(self, answer: Answer) -> dict[str, Float32]:
        """x0_hat (*D) of both, as far as both are there."""
        made = {"exact": answer.reading.at(self._scale)}
        record = answer.network_at(self._scale)
        return made if record is None else {"network": record.x0_hat[0], **made}

    def _tiles(self) -> dict[str, Tiles]:
        """What the panes show, as far as it is there."""
        run, look = self.desk.store.run, self.desk.store.look
        if run is None or look.index >= len(run) or run.spec.by_token:
            return {}
        sample = min(look.sample, run.spec.batch - 1)
        made = {"xt": noising.state("xt", run[look.index].x_t[sample])}
        answer = self.answer
        if answer is None:
            return made
        estimates = self._estimates(answer)
        made |= {name: noising.state(name, values) for name, values in estimates.items()}
        if len(estimates) == 2:
            apart = estimates["network"] - estimates["exact"]
            values = np.asarray(pixels.as_pictures(apart[None]), np.float32)
            made["difference"] = Tiles("difference", pixels.signed(values, 1.0), values)
        return made

    def _show(self) -> None:
        """The panes, the heaviest pictures, the cards and the curves."""
        run, look, answer = self.desk.store.run, self.desk.store.look, self.answer
        if run is None or run.spec.by_token or self.pair.source(self.pair.set) is None:
            lacks = NO_RUN if run is None else (TOKENS if run.spec.by_token else NO_SET)
            self._show_nothing(lacks)
            return
        at_end = look.index < len(run) and run[look.index].level.sigma == 0
        waits = END if at_end else self._waiting()
        tiles = self._tiles()
        for pane in self.panes:
            message = NO_NETWORK if pane.subject in ("network", "difference") and (
                not self.pair.network) else waits  # fmt: skip
            pane.show_tiles(tiles.get(pane.subject), message)
        self.panes[0].show_remark(
            f"t {run[look.index].level.t:g}" if look.index < len(run) else ""
        )
        of_both = f"γ {self._scale:g}" if self.pair.classes else ""
        self.panes[1].show_remark(of_both if self.pair.network else "")
        self.panes[2].show_remark(of_both)
        if answer is None:
            self._show_no_answer(waits)
        else:
            self._show_answer(answer)
        self._show_plots()

    def _waiting(self) -> str:
        source = self.pair.source(self.pair.set)
        if source is None or source.ready:
            return "Asking…"
        pictures, memory = _size(source.card)
        return f"Reading {pictures} into {memory}…"

    def _show_nothing(self, message: str) -> None:
        for pane in self.panes:
            pane.show_tiles(None)
            pane.show_remark("")
        self.below.show_nothing()
        self._show_no_answer(message)

    def _show_no_answer(self, message: str) -> None:
        self.below.show_sum(None, (), message)
        self.posterior_card.show_nothing()
        self.beside_card.show_nothing()
        self.class_card.show_weights(self.pair.classes, (), -1)

    def _show_answer(self, answer: Answer) -> None:
        told, classes = self._sum(answer), self.pair.classes
        self.posterior_card.show_sum(told, told.x0_hat.size)
        label = self.pair.label_in(self.pair.set)
        chosen = -1 if label is None or self.sums == "all" else label
        self.class_card.show_weights(classes, answer.reading.free.label_weights.tolist(), chosen)
        self.below.show_sum(told, classes)
        estimates = self._estimates(answer)
        if len(estimates) < 2:
            self.beside_card.show_nothing(NO_NETWORK)
            return
        rms = _rms(estimates["network"] - estimates["exact"])
        place = KINDS.index(self.sums)
        fresh = answer.beside is not None and (
            self.sums != "guided" or self._scale == answer.beside.spec.guidance.scale
            or not answer.beside.guided
        )  # fmt: skip
        distance = answer.reading.distance[place] if fresh else math.nan
        nearest = f"nearest: picture {answer.reading.nearest[place]}" if fresh else ""
        self.beside_card.show_gap(rms, distance, nearest)

    def _show_plots(self) -> None:
        """The curves, as far as they were asked for, and the cursor."""
        run, subject, index = (
            self.desk.store.run,
            self.comparing.subject,
            self.desk.store.look.index,
        )
        if run is None or subject is None or subject.run is not run:
            return
        places = self.comparing.places
        known = [self.comparing.answers.get(place) for place in places]
        sums = [None if one is None else self._sum(one) for one in known]
        if not any(known):
            self.below.show_no_curves()
            return
        curves = Curves(
            t=np.array([run[place].level.t for place in places]),
            entropy=np.array([math.nan if one is None else one.entropy for one in sums]),
            log_prob=np.array([math.nan if one is None else _per_value(one) for one in sums]),
            apart=np.array([self._apart(one) for one in known]),
            most=math.log(next((one.count for one in sums if one is not None), 1)),
            place=min(range(len(places)), key=lambda k: abs(places[k] - index), default=None),
        )
        self.below.show_curves(curves, "" if self.pair.network else NO_NETWORK)

    def _apart(self, answer: Answer | None) -> float:
        if answer is None or answer.beside is None:
            return math.nan
        estimates = self._estimates(answer)
        return _rms(estimates["network"] - estimates["exact"])

    @Slot(int, int, int)
    def _on_hovered(self, sample: int, row: int, column: int) -> None:
        tiles = self._tiles()
        names = {
            "xt": "x_t",
            "network": "network",
            "exact": "by heart",
            "difference": "difference",
        }
        self.value_card.show_values(
            [names[name] for name in tiles], list(tiles.values()), row, column
        )


def _size(card: ModelCard) -> tuple[str, str]:
    """How many pictures there are, and what they take."""
    count = f"{card.figures.get('pictures', 0):,}".replace(",", "\u202f")
    return f"{count} pictures", f"{card.figures.get('megabytes', 0)} MB of memory"


def _per_value(told: Sum) -> float:
    return told.log_prob / told.x0_hat.size


def _rms(values: Float32) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
