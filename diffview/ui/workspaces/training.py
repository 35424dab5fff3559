"""The training lab: a small model is trained while one looks at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QVBoxLayout

from diffview.errors import InputError
from diffview.exporters.place import safe_name
from diffview.frames.pixels import Uint8
from diffview.models import catalog
from diffview.training import look
from diffview.training.events import Begun, Kept, Snapshot, Trained, Watched
from diffview.training.kept import KeptTraining
from diffview.ui import guide_source
from diffview.ui.desk import Desk
from diffview.ui.jobs import source_of
from diffview.ui.panels.loss_panels import LevelLossPanel, LossPanel
from diffview.ui.panels.training_cards import OrderCard, ProgressCard, duration
from diffview.ui.panels.training_head import TrainingHead
from diffview.ui.panels.training_samples import SamplesPanel
from diffview.ui.panels.watched_panel import WatchedPanel, colours
from diffview.ui.snapshot_timeline import SnapshotTimeline
from diffview.ui.state import Activity, Notice
from diffview.ui.training_questions import Questions
from diffview.ui.training_session import CHECKPOINT, TOPIC, TrainingSession
from diffview.ui.workspaces import Workspace, workspace

MOST_LETTERS = 80
"""Of a model's name."""


@workspace(
    name="training",
    title="Training",
    icon="training",
    place=80,
    help="Train a small model and watch it learn: loss, samples, what it predicts at each level",
)
class Training(Workspace):
    """Samples, one picture's noise, two plots; the scrubber runs over the training."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.session = TrainingSession(desk.jobs, self)
        self.questions = Questions(self)
        self.timeline = self.snapshots = SnapshotTimeline(self._thumbnail, self)
        self._begun: Begun | None = None
        self._trained: Trained | None = None
        self._surveyed = self._leaving = False
        self._wanted = ""
        self._sample = 0
        self._build()
        self._connect()
        self._on_phase(self.session.phase)

    # -- building -----------------------------------------------------------------------------

    def _build(self) -> None:
        self.order_card, self.progress_card = OrderCard(), ProgressCard()
        self.cards = (self.order_card, self.progress_card)
        self.head, self.samples, self.watched = TrainingHead(), SamplesPanel(), WatchedPanel()
        self.loss, self.levels = LossPanel(), LevelLossPanel()
        grid = QGridLayout()
        grid.setSpacing(6)
        panels = (self.samples, self.watched, self.loss, self.levels)
        for place, panel in enumerate(panels):
            grid.addWidget(panel, place // 2, place % 2)
        for side in (0, 1):
            grid.setRowStretch(side, 1)
            grid.setColumnStretch(side, 1)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self.head)
        body.addLayout(grid, 1)

    def _connect(self) -> None:
        session = self.session
        self.head.startRequested.connect(self._on_start)
        self.head.stopRequested.connect(session.stop)
        self.head.saveRequested.connect(self._on_save)
        self.order_card.keptDeleted.connect(self._on_delete)
        self.order_card.begin.currentIndexChanged.connect(self._show_phase)
        session.phaseChanged.connect(self._on_phase)
        session.surveyed.connect(self._on_surveyed)
        session.begun.connect(self._on_begun)
        session.trained.connect(self._on_trained)
        session.looked.connect(self._on_looked)
        session.kept.connect(self._on_kept)
        session.published.connect(self._on_published)
        session.settled.connect(self._on_settled)
        session.noticed.connect(self._on_noticed)
        self.snapshots.chosen.connect(self._on_snapshot)
        self.samples.view.sampleSelected.connect(self._on_sample)
        self.watched.placeChanged.connect(self._show_place)
        self.loss.stepRequested.connect(self.snapshots.go_near)
        self.loss.smoothed.connect(self._show_loss)
        self.levels.timeRequested.connect(self.watched.go_near)
        # Also from behind another workspace: a run of the sampler comes first.
        self.desk.store.activityChanged.connect(self._on_activity)

    # -- from the window ----------------------------------------------------------------------

    def refresh(self) -> None:
        """Look for what can be trained, the first time."""
        if not self._surveyed:
            self._surveyed = True
            self.session.survey()

    def show_theme(self) -> None:
        """Points, rings and curves in the present colours."""
        self.samples.show_theme()
        self.watched.show_theme()
        for panel in (self.loss, self.levels):
            panel.plot.show_theme()
        self.snapshots.redraw()
        self._show_samples(self.snapshots.snapshot)

    def do(self, command: str) -> bool:
        """Zoom is the samples' own."""
        if command == "reset_zoom":
            self.samples.view.reset_viewport()
        return command == "reset_zoom"

    def may_close(self) -> bool:
        """Not while a training would be lost: then a person is asked, and it closes by itself."""
        phase = self.session.phase
        ended = phase in ("stopped", "done") and self.session.refused
        if self._leaving or not (ended or phase in ("training", "waiting", "paused")):
            return True
        if ended or phase == "paused":
            self.session.keep()
        else:
            self.questions.before_closing(self._step, self.session.keep, self._leave)
        return False

    @Slot(str)
    def _on_settled(self, trouble: str) -> None:
        """The last checkpoint is written, or it is not: then a person decides."""
        if trouble:
            self.questions.after_trouble(trouble, self._leave)
        else:
            self._leave()

    @Slot()
    def _leave(self) -> None:
        self._leaving = True
        self.session.drop()
        self.window().close()

    @property
    def arrangement(self) -> Mapping[str, str]:
        """The recipe."""
        recipe = self.order_card.recipe.currentData()
        return {"recipe": recipe} if recipe else {}

    def prepare(self, wanted: Mapping[str, str]) -> Callable[[], None]:
        """See the base; recipes that are not looked up yet are chosen once they are."""
        recipe = wanted.get("recipe", "")
        if recipe and self.session.ongoing:
            raise InputError("a training is under way: stop it first")
        if recipe and self.order_card.recipe.count() and not self._has(recipe):
            raise InputError(self._unknown(recipe))
        return lambda: self._choose(recipe)

    def _has(self, recipe: str) -> bool:
        return self.order_card.recipe.findData(recipe) >= 0

    def _unknown(self, recipe: str) -> str:
        combo = self.order_card.recipe
        known = ", ".join(str(combo.itemData(row)) for row in range(combo.count()))
        return f"there is no recipe '{recipe}'; known are {known}"

    def _choose(self, recipe: str) -> None:
        self._wanted = recipe
        combo = self.order_card.recipe
        if not recipe or not combo.count():
            return
        self._wanted = ""
        if self._has(recipe):
            combo.setCurrentIndex(combo.findData(recipe))
        else:
            self.desk.tell(Notice(f"This cannot be set up: {self._unknown(recipe)}", "warning"))

    def closing(self) -> None:
        """Remember what was trained last."""
        self.desk.settings.save(training_recipe=self.order_card.recipe.currentData() or "")

    # -- wishes -------------------------------------------------------------------------------

    @Slot()
    def _on_start(self) -> None:
        phase, session = self.session.phase, self.session
        if phase in ("training", "waiting"):
            session.pause()
        elif phase == "paused":
            session.resume()
        elif self.order_card.offer is not None:
            self._clear()
            if self.order_card.kept is not None:
                session.go_on_with(self.order_card.kept, self.order_card.samples.value())
            else:
                session.start(self.order_card.order)

    def _clear(self) -> None:
        for topic in (TOPIC, CHECKPOINT):
            self.desk.store.begunAnew.emit(topic)
        self._begun = self._trained = None
        self.snapshots.clear()
        self.loss.clear()
        self.progress_card.clear()
        self.watched.show_watched(None)
        self.levels.show_watched(None, known=False)
        self.levels.show_snapshots((), None)

    @Slot()
    def _on_save(self) -> None:
        folder = catalog.models_folder()
        if folder is None:
            self.desk.tell(Notice("There is no home folder to keep models in.", "error"))
        else:
            self.questions.for_a_name(_proposed(folder, self._begun), self._on_named)

    @Slot(str)
    def _on_named(self, title: str) -> None:
        folder, title = catalog.models_folder(), _title(title)
        if folder is None or not title:
            return
        path = folder / _file_name(title)
        if path.exists() or path.stem in {card.id for card in self.desk.store.cards}:
            text = f"There is a model “{path.stem}” already: choose another name."
            self.desk.tell(Notice(text, "warning"))
        else:
            self.session.publish(path, title)

    @Slot(object)
    def _on_delete(self, kept: KeptTraining) -> None:
        try:
            kept.delete()
        except OSError as error:
            text = f"{kept.folder} could not be deleted: {error.strerror or error}"
            self.desk.tell(Notice(text, "error"))
        self.session.survey()

    @Slot(int)
    def _on_sample(self, sample: int) -> None:
        self._sample = sample
        self.samples.view.show_selection(sample)
        self.snapshots.redraw()

    @Slot(object)
    def _on_activity(self, activity: Activity) -> None:
        self.session.give_way(activity.busy)

    # -- facts --------------------------------------------------------------------------------

    @Slot(object)
    def _on_surveyed(self, offers: Any) -> None:
        first = self.order_card.offer is None
        self.order_card.show_offers(offers)
        if first:
            self.order_card.remember(self.desk.settings.get("training_recipe", ""))
        self._choose(self._wanted)
        self._show_phase()

    @Slot(str)
    def _on_phase(self, phase: str) -> None:
        self.order_card.setEnabled(not self.session.ongoing)
        self._show_phase()
        self._show_step()
        if phase == "training":
            self.session.give_way(self.desk.store.activity.busy)
        elif phase in ("stopped", "done", "failed"):
            self.session.survey()

    @Slot()
    def _show_phase(self) -> None:
        self.head.show_phase(
            self.session.phase,
            ready=self.order_card.offer is not None,
            goes_on=self.order_card.kept is not None,
            has_network=self.session.has_network,
        )

    @property
    def _step(self) -> int:
        if self._trained is not None:
            return self._trained.step
        return 0 if self._begun is None else self._begun.step

    @property
    def _watched(self) -> Watched | None:
        return None if self._begun is None else self._begun.watched

    def _show_step(self) -> None:
        steps = 0 if self._begun is None else self._begun.steps
        left = "" if self._trained is None else duration(self._trained.seconds_left)
        self.head.show_step(self.session.phase, self._step, steps, left)

    @Slot(object)
    def _on_begun(self, begun: Begun) -> None:
        self._begun, self._trained = begun, None
        self.progress_card.show_begun(begun)
        self.watched.show_watched(begun.watched)
        self.levels.show_watched(begun.watched)
        self.loss.show_begun(begun)
        self.snapshots.show_begun(begun)
        self._show_place()
        self._show_step()

    @Slot(object)
    def _on_trained(self, trained: Trained) -> None:
        self._trained = trained
        self.loss.add(trained)
        self.progress_card.show_trained(trained)
        self._show_loss()
        self._show_step()

    @Slot(object)
    def _on_looked(self, snapshot: Snapshot) -> None:
        self.loss.add_snapshot(snapshot)
        self.snapshots.add(snapshot)

    @Slot(object)
    def _on_noticed(self, notice: Notice) -> None:
        """In place of what was told of the same before, so that a full disk is told of once."""
        self.desk.store.begunAnew.emit(notice.topic)
        self.desk.tell(notice)

    @Slot(object)
    def _on_kept(self, kept: Kept) -> None:
        self.desk.store.begunAnew.emit(CHECKPOINT)
        if self.session.phase in ("stopped", "done"):
            self.session.survey()

    @Slot(object)
    def _on_published(self, entry: catalog.Entry) -> None:
        """Offer the new model: to be run, or to guide if it judges."""
        title, folder = entry.card.title, entry.path.parent
        if entry.card.samples:
            self.desk.store.add_source(source_of(entry))
            text = f"“{title}” is in the model list now, and being run in Denoising."
        elif entry.card.prediction == "class":
            self.desk.store.add_guide(guide_source.of_entry(entry))
            text = f"“{title}” can be chosen now as a guide."
        else:
            text = f"“{title}” is kept in {folder}."
        self.desk.tell(Notice(text))

    # -- what is looked at --------------------------------------------------------------------

    def _thumbnail(self, snapshot: Snapshot) -> Uint8:
        return look.thumbnail(snapshot, self._watched, colours(), self._sample)

    @Slot(object)
    def _on_snapshot(self, snapshot: Snapshot | None) -> None:
        self._show_samples(snapshot)
        self.watched.show_snapshot(snapshot)
        self.levels.show_snapshots(self.snapshots.snapshots, snapshot)
        self.loss.plot.show_cursor(None if snapshot is None else snapshot.step)
        self._show_loss()

    def _show_samples(self, snapshot: Snapshot | None) -> None:
        self.samples.show_snapshot(snapshot, self._watched, self._sample)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Points are drawn as large as there is room."""
        super().resizeEvent(event)
        self._show_samples(self.snapshots.snapshot)

    def _show_place(self) -> None:
        watched = self._watched
        self.levels.show_place(None if watched is None else watched.levels[self.watched.level].t)

    @Slot()
    def _show_loss(self) -> None:
        snapshot = self.snapshots.snapshot
        held = None if snapshot is None else snapshot.held_out
        self.progress_card.show_loss(self.loss.recent, held)


def _proposed(folder: Path, begun: Begun | None) -> str:
    """A name that is still free."""
    recipe = "model" if begun is None else begun.recipe
    names = (f"My {recipe} {k}" for k in range(1, 10**6))
    return next(name for name in names if not (folder / _file_name(name)).exists())


def _title(typed: str) -> str:
    """What a model can be called: one short line, with no marks that turn text round."""
    return "".join(letter for letter in typed if letter.isprintable()).strip()[:MOST_LETTERS]


def _file_name(title: str) -> str:
    """The file of a model: its name as every system can write it."""
    return f"{safe_name(title, 'model').lower().replace(' ', '-')}{catalog.SUFFIX}"
