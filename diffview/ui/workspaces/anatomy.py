"""The anatomy of a run: its step written out, everything over t, and what a state could become."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from PySide6.QtCore import QSize, Slot
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffview.engine.origin import in_force
from diffview.engine.spec import Condition
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.errors import InputError
from diffview.frames import compose, picture_file
from diffview.frames.picture_file import Picture
from diffview.ui.completing import Completing, Wish
from diffview.ui.desk import Desk
from diffview.ui.jobs import ModelSource
from diffview.ui.mailbox import Mailbox
from diffview.ui.notices import notice_of
from diffview.ui.over_t import OverT
from diffview.ui.panels.card import describe
from diffview.ui.panels.completions_page import CompletionsPage
from diffview.ui.panels.curves_page import CurvesPage
from diffview.ui.panels.pixel_page import PixelPage
from diffview.ui.panels.spectrum_page import SpectrumPage
from diffview.ui.panels.update_card import UpdateCard
from diffview.ui.state import Look, Notice
from diffview.ui.workspaces import Workspace, workspace

TOPIC = "anatomy"
PAGES = (
    ("curves", "Over t", "Signal, norms, change, guidance and loss at every step"),
    ("spectrum", "Spectrum", "How much of x_t and x̂₀ is coarse and how much fine"),
    ("pixel", "A pixel", "One pixel or a region at every step"),
    ("completions", "What could this become", "This state completed again and again"),
)
NO_RUN = "Press Run: a run's steps are taken apart here."
TOKENS = "This run writes tokens. What is shown here is of runs that remove noise."
NOT_HERE = "The model of this run is not here: open its file (Ctrl+O)."
AT_END = "This is the end, or its last step: nothing is left to chance. Go to an earlier step."


@workspace(
    name="anatomy",
    title="Anatomy",
    icon="anatomy",
    place=25,
    needs="picture",
    help="One step written out with its numbers, everything over t, and what x_t could become",
)
class Anatomy(Workspace):
    """The update above; below it one of four pages. The scrubber runs over the shown run."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.over_t = OverT(desk, self)
        self.completing = Completing(desk, self)
        self._reader = Mailbox(desk.jobs, self)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.update_card = UpdateCard()
        self.curves, self.spectrum = CurvesPage(), SpectrumPage()
        self.pixel, self.completions = PixelPage(), CompletionsPage()
        self._pages = QStackedWidget()
        self._pages.setMinimumSize(1, 200)  # no page may push what lies around it
        self.pages: dict[str, QWidget] = dict(
            zip(
                (name for name, _, _ in PAGES),
                (self.curves, self.spectrum, self.pixel, self.completions),
                strict=True,
            )
        )
        frame = QFrame()
        frame.setProperty("card", True)
        inside = QVBoxLayout(frame)
        inside.setContentsMargins(4, 6, 4, 4)
        inside.setSpacing(4)
        inside.addLayout(self._switches())
        inside.addWidget(self._pages, 1)
        for page in self.pages.values():
            self._pages.addWidget(page)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self.update_card, 4)
        body.addWidget(frame, 7)

    def _switches(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setContentsMargins(6, 0, 6, 0)
        row.setSpacing(4)
        # No QButtonGroup: Tab would reach only the button that is down, and the arrows are taken.
        self._buttons: dict[str, QToolButton] = {}
        for name, title, help in PAGES:
            button = QToolButton()
            button.setText(title)
            button.setCheckable(True)
            button.setChecked(name == PAGES[0][0])
            button.setProperty("small", True)
            button.setMinimumSize(QSize(0, 24))
            describe(button, title, help, f"anatomy_{name}")
            button.clicked.connect(partial(self.go_to, name))
            self._buttons[name] = button
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _connect(self) -> None:
        store = self.desk.store
        self.update_card.weightedToggled.connect(self._show)
        self.curves.stepRequested.connect(store.scrub_to)
        self.curves.lossRequested.connect(self._on_loss)
        self.curves.lossStopRequested.connect(self.over_t.stop)
        self.pixel.stepRequested.connect(store.scrub_to)
        self.completions.startRequested.connect(self._on_complete)
        self.completions.stopRequested.connect(self.completing.stop)
        self.over_t.grown.connect(self._show_curves)
        self.over_t.measured.connect(self._show_losses)
        self.completing.changed.connect(self._show_completions)
        self._reader.told.connect(self._on_read)
        for part in (self.over_t, self.completing, self._reader):
            part.failed.connect(self._on_failed)
        for pane in self.pixel.panes:
            pane.view.hovered.connect(self._on_hovered)
            pane.view.unhovered.connect(store.unpointed)
        self.listen(store.lookChanged, self._on_look)
        self.listen(store.runGrew, self._on_run)
        self.listen(store.choicesChanged, self._on_choices)

    # -- from the window ----------------------------------------------------------------------

    def refresh(self) -> None:
        """The run, the step and the sample may all be others."""
        run = self.desk.store.run
        if run is not None:
            self._follow(run)
        self._show()
        self._show_curves()

    def _follow(self, run: Trajectory) -> None:
        """Count this run, and work no more on another."""
        self.over_t.follow(run)
        self.completing.keep_to(run)

    def take_picture(self, path: Path) -> None:
        """Measure the loss of every t on this picture."""
        run, maker = self.desk.store.run, self._maker
        if run is None or run.spec.by_token or maker is None:
            self.desk.tell(Notice(NO_RUN if run is None else NOT_HERE, "warning", topic=TOPIC))
            return
        self.go_to("curves")

        def make() -> Iterator[tuple[Path, Picture]]:
            yield path, picture_file.read(path, run.data_shape, *maker.card.value_range)

        self._reader.put(make)

    def show_theme(self) -> None:
        """Plots and symbols in the present colours."""
        self.update_card.update()
        for page in (self.curves, self.spectrum, self.pixel, self.completions):
            page.show_theme()

    @property
    def page_in_front(self) -> str:
        """The page below the update."""
        return next(name for name, button in self._buttons.items() if button.isChecked())

    def go_to(self, name: str, *_: object) -> None:
        """Show a page by its name."""
        for other, button in self._buttons.items():
            button.setChecked(other == name)
        self._pages.setCurrentWidget(self.pages[name])
        self._show()

    # -- what happens -------------------------------------------------------------------------

    @Slot(object)
    def _on_look(self, look: Look) -> None:
        self._show()

    @Slot(object)
    def _on_choices(self, choices: object) -> None:
        self._show_completions()

    @Slot(object)
    def _on_run(self, run: Trajectory) -> None:
        self._follow(run)
        self._show()

    @Slot(int, int, int)
    def _on_hovered(self, sample: int, row: int, column: int) -> None:
        store = self.desk.store
        if store.frame is not None:
            store.pointed.emit(store.look.sample, row, column)

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self.desk.tell(notice_of(error, TOPIC))

    @Slot()
    def _on_loss(self) -> None:
        run, sample = self.desk.store.run, self.desk.store.look.sample
        if run is not None and run.complete and self._maker is not None:
            self._measure(run, run[-1].x_t[sample], f"sample {sample}")

    def _measure(self, run: Trajectory, x_0: Float32, of: str) -> None:
        assert self._maker is not None
        self.desk.store.begunAnew.emit(TOPIC)
        self.over_t.measure(run, self._maker, x_0, of, self._condition(run))

    def _condition(self, run: Trajectory) -> Condition:
        """The condition of the selected sample."""
        condition = run.spec.condition
        if isinstance(condition, tuple):
            return condition[self.desk.store.look.sample % len(condition)]
        return condition

    @Slot(object)
    def _on_read(self, read: tuple[Path, Picture]) -> None:
        path, picture = read
        run = self.desk.store.run
        if picture.done:
            self.desk.tell(Notice(f"{path.name}: {', '.join(picture.done)}."))
        if run is not None and picture.values.shape == run.data_shape and self._maker is not None:
            self._measure(run, picture.values, path.name)

    @Slot(int, str)
    def _on_complete(self, count: int, scale: str) -> None:
        store, run = self.desk.store, self.desk.store.run
        if run is None or self._maker is None:
            return
        store.begunAnew.emit(TOPIC)
        try:
            guide = store.guide_of(in_force(run.spec, run[store.look.index].i))
        except InputError as error:
            self._on_failed(error)
            return
        gamma = 1.0 if scale == "one" else self._slider(run)
        sample, index = store.look.sample, store.look.index
        wish = Wish(run, index, sample, count, gamma if run.guided else None, self._maker, guide)
        self.completing.start(wish)

    def _slider(self, run: Trajectory) -> float:
        shown = self.desk.store.look.guidance_scale
        return run.spec.guidance.scale if shown is None else shown

    @property
    def _maker(self) -> ModelSource | None:
        store = self.desk.store
        return None if store.run is None else store.shelf.maker_of(store.run, store.about)

    # -- showing ------------------------------------------------------------------------------

    @property
    def _record(self) -> StepRecord | None:
        """What is looked at, under the γ of the slider."""
        run, look = self.desk.store.run, self.desk.store.look
        if run is None or not 0 <= look.index < len(run):
            return None
        return compose.at_scale(run, run[look.index], look.guidance_scale)

    @Slot()
    def _show(self) -> None:
        """The step and the page in front."""
        store, record = self.desk.store, self._record
        run, look = store.run, store.look
        if run is None or record is None or run.spec.by_token:
            self._show_nothing(NO_RUN if run is None else TOKENS)
            return
        self.update_card.show_step(
            run, look.index, look.sample, look.guidance_scale, store.decoding.quick
        )
        page = self._pages.currentWidget()
        if page is self.curves:
            self._show_curves()
        elif page is self.spectrum:
            self.spectrum.show_step(run, look.sample, record)
        elif page is self.pixel:
            coded = store.decoding.quick is not None
            self.pixel.show_step(run, look.index, look.sample, record, coded=coded)
        else:
            self._show_completions()

    def _show_nothing(self, message: str) -> None:
        self.update_card.show_nothing(message)
        for page in (self.curves, self.spectrum, self.pixel):
            page.show_nothing(message)
        self._show_losses()
        self._show_completions()

    @Slot()
    def _show_curves(self) -> None:
        table, store = self.over_t.table, self.desk.store
        if table is not None and table.run is store.run:
            self.curves.show_table(table, store.look.sample, store.look.index)
        self._show_losses()

    @Slot()
    def _show_losses(self) -> None:
        run, losses = self.desk.store.run, self.over_t.losses
        able = run is not None and run.complete and not run.spec.by_token and self._maker
        ready = f"on sample {self.desk.store.look.sample}" if able else ""
        mine = losses if losses is not None and losses.run is run else None
        self.curves.show_losses(mine, mine is not None and self.over_t.measuring, ready)

    @Slot()
    def _show_completions(self) -> None:
        store, made = self.desk.store, self.completing.made
        run = store.run
        mine = made if made is not None and made.wish.run is run else None
        guided = run is not None and run.guided and not run.spec.by_token
        self.completions.show_scale(self._slider(run) if guided and run is not None else None)
        self.completions.show_made(
            mine, busy=self.completing.busy, lens=store.decoding.quick, lacking=self._lacking()
        )

    def _lacking(self) -> str:
        """Why nothing can be completed from here, "" if something can."""
        store = self.desk.store
        run = store.run
        if run is None:
            return NO_RUN
        if run.spec.by_token:
            return TOKENS
        if self._maker is None:
            return NOT_HERE
        last = store.look.index >= len(run) or run[store.look.index].i >= run.spec.n_steps - 1
        return AT_END if last else ""
