"""The forward process: a picture noised to any t, and the one-step estimate made of it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QSplitter, QVBoxLayout

from diffview.engine.trajectory import Float32, Trajectory
from diffview.frames import noising as pictures
from diffview.frames.compose import Frame, Tiles
from diffview.frames.picture_file import Picture
from diffview.models import forward
from diffview.ui.desk import Desk
from diffview.ui.level_timeline import LevelTimeline
from diffview.ui.noising import Answer, Noising
from diffview.ui.notices import notice_of
from diffview.ui.panels.forward_cards import ErrorCard, LevelCard, PlotCard, ValueCard
from diffview.ui.panels.pane import link
from diffview.ui.panels.picture_chooser import OF_FILE, OF_RUN, PictureChooser
from diffview.ui.panels.picture_pane import PicturePane, Subject
from diffview.ui.state import Choices, Look, Notice
from diffview.ui.workspaces import Workspace, workspace

TOPIC = "forward"
START_LAM = 0.0
"""Where there is no run to begin at: as much picture as noise."""

X_0 = Subject("x0", r"x_{0}", "Picture", "x₀, the picture that is noised")
X_T = Subject("xt", r"\c{xt}{x_{t}}", "State", "x_t = α x₀ + σ ε at this t", "x_t")
ESTIMATES = (
    Subject("x0hat", r"\c{x0hat}{\hat{x}_{0}}", "Estimate",
            "x̂₀, the one-step estimate of the chosen model, under the chosen class and γ",
            "x0_hat"),
    Subject(pictures.ERROR, r"\c{diff}{\hat{x}_{0} - x_{0}}", "Error",
            "x̂₀ − x₀: blue below zero, amber above", "difference"),
    Subject("eps", r"\c{eps}{\hat{\epsilon}}", "Noise", "ε̂, the noise that goes with the "
            "estimate; drawn from −3 to 3", "eps"),
)  # fmt: skip
LABELS = {"x0hat": "x̂₀", pictures.ERROR: "x̂₀ − x₀", "eps": "ε̂"}
LACKS = {
    OF_RUN: "Run the model, open a picture, or drop one here",
    OF_FILE: "This picture could not be read",
}


@workspace(
    name="forward",
    title="Forward",
    icon="forward",
    place=20,
    needs="picture",
    help="The forward process: a picture noised to any t, beside the model's one-step estimate",
)
class Forward(Workspace):
    """Three panes: x_0, x_t and the estimate; the scrubber runs over every t."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.levels = LevelTimeline(self)
        self.timeline = self.levels
        self.noising = Noising(desk, self)
        self._of = OF_RUN
        self._sample: tuple[Trajectory, int, Float32] | None = None
        self._file: tuple[Path, Picture | None] | None = None
        self._build()
        self._connect()

    def _build(self) -> None:
        self.panes = (
            PicturePane("forwardX0", X_0),
            PicturePane("forwardXt", X_T),
            PicturePane("forwardX0Hat", *ESTIMATES),
        )
        self.reset_zoom = link(*(pane.view for pane in self.panes))
        self.chooser = PictureChooser(self.desk.settings)
        self.level_card, self.error_card = LevelCard(), ErrorCard()
        self.plot_card, self.value_card = PlotCard(), ValueCard()
        self.cards = (self.level_card, self.error_card, self.plot_card, self.value_card)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.setChildrenCollapsible(False)
        for place, pane in enumerate(self.panes):
            splitter.addWidget(pane)
            splitter.setStretchFactor(place, 1)
        splitter.setSizes([1000] * len(self.panes))
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self.chooser)
        body.addWidget(splitter, 1)

    def _connect(self) -> None:
        store = self.desk.store
        self.chooser.sourceRequested.connect(self._on_source)
        self.chooser.fileRequested.connect(self.take_picture)
        self.chooser.seedRequested.connect(self.noising.reseed)
        self.levels.moved.connect(self._on_moved)
        self.plot_card.plot.stepRequested.connect(self.levels.go_to)
        self.panes[2].subjectRequested.connect(self._on_subject)
        self.noising.noised.connect(self._on_noised)
        self.noising.answered.connect(self._on_answered)
        self.noising.read.connect(self._on_read)
        self.noising.failed.connect(self._on_failed)
        for pane in self.panes:
            pane.view.hovered.connect(self._on_hovered)
            pane.view.unhovered.connect(self.value_card.show_nothing)
        self.listen(store.modelChanged, self._on_model)
        self.listen(store.choicesChanged, self._on_choices)
        self.listen(store.lookChanged, self._on_look)
        self.listen(store.runGrew, self._on_run)

    # -- from the window ----------------------------------------------------------------------

    def refresh(self) -> None:
        """The model, the picture and the choices may all be others."""
        first = not self.levels.levels
        self._show_model()
        if first:
            self.levels.go_near(self._run_lam())
        self._use_picture()

    def _run_lam(self) -> float:
        run, index = self.desk.store.run, self.desk.store.look.index
        if run is None or not 0 <= index < len(run) - 1:
            return START_LAM
        return run[index].level.lam

    def take_picture(self, path: Path) -> None:
        """Noise this picture."""
        self._file, self._of = (path, None), OF_FILE
        self.chooser.show_file(path)
        self.noising.read_file(path)

    def show_theme(self) -> None:
        """Symbols, rings and the plot in the present colours."""
        for pane in self.panes:
            pane.show_theme()
        self.plot_card.show_theme()

    def do(self, command: str) -> bool:
        """Zoom is the panes' own; there is always one picture alone."""
        zoomed = bool(self.panes[0].view.how_narrow)
        back = command == "stop" and zoomed and not self.desk.store.activity.busy
        if command == "reset_zoom" or back:
            self.reset_zoom()
        return back or command in ("reset_zoom", "focus")

    @property
    def frame(self) -> Frame | None:
        """The three panes, as they are shown."""
        tiles = self._tiles()
        if len(tiles) < len(self.panes):
            return None
        index, count = self.levels.index, len(self.levels.levels)
        return Frame(None, index, count, self.levels.level, None, tuple(tiles))

    # -- the picture --------------------------------------------------------------------------

    def _show_model(self) -> None:
        levels = forward.places(self.desk.store.card.schedule)
        if levels != self.levels.levels:
            self.levels.show_levels(levels)
            self.plot_card.plot.show_levels(levels)

    def _use_picture(self) -> None:
        """The picture that is chosen, in the shape of the model that is chosen."""
        if self._of == OF_RUN:
            self.noising.use(self._sample_of_run())
        elif self._file is not None:
            path, picture = self._file
            if picture is None or picture.values.shape != self.desk.store.card.data_shape:
                self.noising.read_file(path)
            else:
                self.noising.use(picture.values)
        self._show()
        self._ask()

    def _sample_of_run(self) -> Float32 | None:
        store = self.desk.store
        run = store.run
        if run is None or not run.complete or run.data_shape != store.card.data_shape:
            return None
        sample = min(store.look.sample, run.spec.batch - 1)
        if self._sample is None or self._sample[:2] != (run, sample):
            self._sample = run, sample, run[-1].x_t[sample]
            self.chooser.show_sample(sample)
        return self._sample[2]

    @Slot(object)
    def _on_model(self, card: object) -> None:
        self._show_model()
        self._use_picture()

    @Slot(str)
    def _on_source(self, source: str) -> None:
        self._of = source
        self._use_picture()

    @Slot(object)
    def _on_run(self, run: Trajectory) -> None:
        if self._of == OF_RUN and run.complete:
            self._use_picture()

    @Slot(object)
    def _on_look(self, look: Look) -> None:
        if self._of == OF_RUN and self._sample is not None and self._sample[1] != look.sample:
            self._use_picture()

    @Slot(object)
    def _on_read(self, picture: Picture) -> None:
        if self._file is None:
            return
        self._file = self._file[0], picture
        if self._of == OF_FILE:
            self.noising.use(picture.values)
            if picture.done:
                self.desk.tell(Notice(f"{self._file[0].name}: {', '.join(picture.done)}."))

    # -- noising and asking -------------------------------------------------------------------

    @Slot(object)
    def _on_choices(self, choices: Choices) -> None:
        self._ask()

    @Slot(int, str)
    def _on_moved(self, index: int, text: str) -> None:
        self._show()
        self._ask()

    @Slot()
    def _on_noised(self) -> None:
        self._show_strip()
        self._show()
        self._ask()

    def _ask(self) -> None:
        if self.in_front and self.levels.levels:
            self.noising.ask(self.levels.level)

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self.desk.tell(notice_of(error, TOPIC))
        self._show()

    # -- showing ------------------------------------------------------------------------------

    def _answer(self) -> Answer | None:
        """The last answer, if its picture has the present one's shape."""
        answer, x_0 = self.noising.answer, self.noising.x_0
        if answer is None or x_0 is None or answer.asked.x_0.shape != x_0.shape:
            return None
        return answer

    def _tiles(self) -> list[Tiles]:
        """What the panes show, as far as it is there."""
        x_0, answer = self.noising.x_0, self._answer()
        x_t = self.noising.state(self.levels.level) if self.levels.levels else None
        tiles = [] if x_0 is None else [pictures.state(pictures.PICTURE, x_0)]
        if x_t is not None:
            tiles.append(pictures.state("xt", x_t))
        if x_t is not None and answer is not None:
            shown = self.panes[2].subject
            tiles.append(pictures.estimate(answer.record, answer.asked.x_0, shown))
        return tiles

    def _show(self) -> None:
        """The panes and the level."""
        if not self.levels.levels:
            return
        level, tiles = self.levels.level, self._tiles()
        self.level_card.show_level(level)
        self.plot_card.plot.show_cursor(self.levels.index)
        self.panes[1].show_remark(f"t {level.t:g}")
        self.panes[0].show_tiles(tiles[0] if tiles else None, "" if tiles else LACKS[self._of])
        waits = "Loading the model…" if self.noising.x_0 is not None else ""
        for place, pane in enumerate(self.panes[1:], 1):
            there = place < len(tiles)
            pane.show_tiles(tiles[place] if there else None, waits if place == 2 else "")
        if len(tiles) < len(self.panes):
            self.error_card.show_nothing("")

    @Slot(object)
    def _on_answered(self, answer: Answer) -> None:
        self.desk.store.begunAnew.emit(TOPIC)
        self._show()
        if self._answer() is None:
            return
        asked = answer.asked
        low, high = self.desk.store.card.value_range
        error = forward.error(answer.record, asked.x_0, asked.eps, high - low)
        guided = asked.spec.guidance.kind != "none"
        gamma = asked.spec.guidance.scale if guided else None
        self.error_card.show_error(error, asked.level, gamma, asked.who)
        self.panes[2].show_remark(f"t {asked.level.t:g}")

    def _show_strip(self) -> None:
        x_0, eps = self.noising.x_0, self.noising.eps
        if x_0 is None or eps is None or eps.shape != x_0.shape:
            self.levels.show_pictures(None)
            return
        self.levels.show_pictures(
            lambda level: pictures.state("xt", forward.noised(x_0, eps, level)).pixels[0]
        )

    @Slot(str)
    def _on_subject(self, name: str) -> None:
        self._show()

    @Slot(int, int, int)
    def _on_hovered(self, sample: int, row: int, column: int) -> None:
        tiles = self._tiles()
        names = ("x₀", "x_t", LABELS[self.panes[2].subject])
        if tiles:
            self.value_card.show_values(names[: len(tiles)], tiles, row, column)
