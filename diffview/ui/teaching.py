"""Lessons in the window: pages are turned, set-ups arranged, and what was before comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Qt, Slot

from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Trajectory
from diffview.errors import InputError
from diffview.lessons import lesson
from diffview.lessons.lesson import Lesson
from diffview.lessons.setup import Setup
from diffview.models.card import ModelCard
from diffview.ui import state, workspaces
from diffview.ui.panels.lesson_dock import LessonDock
from diffview.ui.racing import SHOWN_RUN
from diffview.ui.runs import Pending
from diffview.ui.state import Choices, Look, Notice, Pane

if TYPE_CHECKING:
    from diffview.ui.window import MainWindow

WIDE = 1600
"""From this width on the lessons stand beside the step's cards instead of before them (px)."""
TOPIC = "lesson"


@dataclass(frozen=True, slots=True)
class Before:
    """What a person had when the first button of a lesson was pressed."""

    choices: Choices
    look: Look
    run: Trajectory | None
    about: dict[str, Any]
    workspace: str
    pages: Mapping[str, str]
    arrangements: Mapping[str, Mapping[str, str]]
    """Of the workspaces in which the lesson's buttons chose something."""


class Teaching(QObject):
    """Owns the lessons, the one that is read, and what was before it."""

    def __init__(self, window: MainWindow) -> None:
        super().__init__(window)
        self._window, self._store = window, window.controller
        self._lessons: list[Lesson] = []
        self._before: Before | None = None
        self._to_show: tuple[Setup, Pending] | None = None
        self.dock = LessonDock()
        self.dock.hide()
        self._connect()

    def _connect(self) -> None:
        self.dock.lessonRequested.connect(self.turn_to)
        self.dock.setupRequested.connect(self.arrange)
        self.dock.wayBackRequested.connect(self.go_back)
        self.dock.visibilityChanged.connect(self._on_visible)
        self.dock.toggleViewAction().triggered.connect(self._on_toggled)
        self._store.modelsChanged.connect(self._on_models)
        self._store.runReplaced.connect(self._on_run_replaced)

    # -- pages --------------------------------------------------------------------------------

    def show(self) -> None:
        """Open the lessons where they were left."""
        self._read()
        if not self._window.settings.get("lessonsPlaced", False):
            if self._window.width() >= WIDE:
                beside = Qt.Orientation.Horizontal
                self._window.splitDockWidget(self._window.right_dock, self.dock, beside)
            self._window.settings.save(lessonsPlaced=True)
        self.dock.show()
        self.dock.raise_()

    def toggle(self) -> None:
        """Open the lessons, or close them."""
        if self.dock.isVisible() and not self.dock.visibleRegion().isEmpty():
            self.dock.hide()
        else:
            self.show()

    @Slot(bool)
    def _on_toggled(self, shown: bool) -> None:
        if shown:
            self.show()

    @Slot(bool)
    def _on_visible(self, visible: bool) -> None:
        if visible:
            self._read()

    def _read(self) -> None:
        """The lessons from their files, once; broken ones are told of."""
        if self._lessons:
            return
        self._lessons, broken = lesson.every()
        for error in broken:
            self._tell(str(error))
        self.dock.show_lessons(self._lessons)
        names = [one.name for one in self._lessons]
        remembered = str(self._window.settings.get("lesson", ""))
        self.turn_to(names.index(remembered) if remembered in names else 0)

    @Slot(int)
    def turn_to(self, number: int) -> None:
        """Show a lesson by its number."""
        self._read()
        if not 0 <= number < len(self._lessons):
            return
        chosen = self._lessons[number]
        for wrong in self.dock.show_lesson(number, chosen, self._lacking):
            self._tell(wrong)
        self._window.settings.save(lesson=chosen.name)

    @Slot(object)
    def open(self, opened: Lesson) -> None:
        """Show a lesson of one's own: after the others, or in the place of an older reading."""
        self._store.begunAnew.emit(TOPIC)
        self.show()
        paths = [one.path for one in self._lessons]
        number = paths.index(opened.path) if opened.path in paths else len(paths)
        self._lessons[number : number + 1] = [opened]
        self.dock.show_lessons(self._lessons)
        self.turn_to(number)

    def turn(self, pages: int) -> None:
        """Turn so many lessons on, or back."""
        self.show()
        self.turn_to(self.dock.number + pages)

    # -- set-ups ------------------------------------------------------------------------------

    @Slot(object)
    def arrange(self, setup: Setup) -> None:
        """Set the window up: workspace, run, step and panes."""
        self._store.begunAnew.emit(TOPIC)
        before = self._now(setup)
        try:
            self._arrange(setup)
        except InputError as error:
            self._tell(f"This cannot be set up here: {error} ({setup.place})")
            return
        self._before = before
        self.dock.way_back.setEnabled(True)

    def _now(self, setup: Setup) -> Before:
        """What there is before a set-up; what the first one found stays."""
        store, central = self._store, self._window.central
        before = self._before or Before(
            store.choices, store.look, store.run, store.about, central.name,
            central.pages_in_front(), {},
        )  # fmt: skip
        name = setup.workspace
        if not setup.own or name not in workspaces.every() or name in before.arrangements:
            return before
        own = central.workspace(name).arrangement
        return replace(before, arrangements={**before.arrangements, name: own})

    def _arrange(self, setup: Setup) -> None:
        reason = self._lacking(setup)
        if reason:
            raise InputError(reason)
        spec = self._spec(setup)  # before anything is moved: what is refused leaves all as it was
        central = self._window.central
        wanted = central.workspace(setup.workspace or central.name)
        if setup.page:
            wanted.check_page(setup.page)
        choose = wanted.prepare(setup.own)
        if spec is not None:
            problem = self._store.restore(state.from_spec(spec))
            if problem:
                raise InputError(problem)
        if setup.workspace:
            central.go_to(setup.workspace)
        if setup.page:
            central.current.turn_to(setup.page)
        choose()
        self._show(setup, spec)

    def _spec(self, setup: Setup) -> RunSpec | None:
        """The run to make; None where the set-up looks at the one that is there."""
        return setup.spec(self._card(setup), self._judge(setup)) if setup.model else None

    def _show(self, setup: Setup, spec: RunSpec | None) -> None:
        """Look at the run of `spec`, made now unless it is the one that is there."""
        store, self._to_show = self._store, None
        there = store.run is not None and store.run.complete and store.run.spec == store.spec
        if spec is None or there:
            self._look(setup)
            return
        before = store.pending
        store.request_run(show_step=setup.step(spec, self._card(setup)))
        if store.pending is not None and store.pending is not before:
            self._to_show = setup, store.pending  # else it was refused, which it has said

    @Slot(object)
    def _on_run_replaced(self, run: Trajectory) -> None:
        waiting, self._to_show = self._to_show, None
        if waiting is not None and waiting[1].run is run:
            self._show_panes(waiting[0])

    def _look(self, setup: Setup) -> None:
        """Look at the run that is there."""
        run = self._store.run
        if run is not None:
            card = self._store.card
            step = setup.step(run.spec, card)
            wanted = run.spec.n_steps if step is None else step
            self._store.scrub_to(-(-wanted // run.stride))
        self._show_panes(setup)

    def _show_panes(self, setup: Setup) -> None:
        store = self._store
        for side, quantity in enumerate(setup.panes):
            if quantity is not None:
                store.choose_pane(side, Pane(quantity, store.look.panes[side].policy))
        if setup.sample is not None:
            store.select_sample(setup.sample)
        store.focus_sample(store.look.sample if setup.alone else -1)

    def _card(self, setup: Setup) -> ModelCard:
        return self._store.shelf.sources[setup.model].card

    def _judge(self, setup: Setup) -> ModelCard | None:
        guide = self._store.shelf.guides.get(setup.guide)
        return None if guide is None else guide.card

    def _lacking(self, setup: Setup) -> str:
        shelf = self._store.shelf
        if setup.workspace and setup.workspace not in workspaces.every():
            return f"there is no workspace '{setup.workspace}'"
        for name in setup.models:
            if name not in {*shelf.sources, SHOWN_RUN}:
                return f"the model '{name}' is not here: open its file first (Ctrl+O)"
        if setup.guide and setup.guide not in {**shelf.guides, **shelf.sources}:
            return f"the guide '{setup.guide}' is not here: open its file first (Ctrl+O)"
        return ""

    @Slot()
    def go_back(self) -> None:
        """Bring back what a person had before a lesson's buttons were pressed."""
        before, self._before, self._to_show = self._before, None, None
        self.dock.way_back.setEnabled(False)
        if before is None:
            return
        self._store.begunAnew.emit(TOPIC)
        self._go_back_to_workspaces(before)
        store = self._store
        problem = store.restore(before.choices)
        if problem:
            self._tell(problem)
        if before.run is not None:
            store.show_run(before.run, before.about)
        store.look_as(before.look)

    def _go_back_to_workspaces(self, before: Before) -> None:
        """Pages, and what was chosen in them, and which was in front."""
        central = self._window.central
        for name, page in before.pages.items():
            central.workspace(name).turn_to(page)
        for name, arrangement in before.arrangements.items():
            try:
                central.workspace(name).prepare(arrangement)()
            except InputError as error:
                self._tell(str(error))
        central.go_to(before.workspace)

    @Slot(object)
    def _on_models(self, cards: list[ModelCard]) -> None:
        self.dock.page.show_lacking(self._lacking)

    def _tell(self, text: str) -> None:
        self._store.noticed.emit(Notice(text, "warning", topic=TOPIC))
