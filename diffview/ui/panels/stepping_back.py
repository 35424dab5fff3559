"""The cards of stepping back in, kept up to date, and the dialogs that their wishes open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal, Slot
from PySide6.QtWidgets import QDialog, QWidget

from diffview.engine.trajectory import Trajectory
from diffview.ui import family, state
from diffview.ui.branch_dialogs import InvertDialog, StateDialog
from diffview.ui.branches import WISHES
from diffview.ui.family import Member
from diffview.ui.panels.branch_panel import BranchPanel
from diffview.ui.panels.inversion_panel import InversionPanel
from diffview.ui.state import Look

if TYPE_CHECKING:
    from diffview.ui.controller import Controller

UPDATE_MS = 120
"""What can be done is found out by trying; so often at most, while a person scrubs."""


class SteppingBack(QObject):
    """Wishes go to the store's `branches`; `possible` tells the reasons against them."""

    possible = Signal(object)
    cardsChanged = Signal()

    def __init__(self, store: Controller) -> None:
        super().__init__(store)
        self._store, self._branches = store, store.branches
        self.panel, self.errors = BranchPanel(), InversionPanel()
        self._picture: Path | None = None
        self._inverted = False
        self._due = QTimer(self.panel, singleShot=True, interval=UPDATE_MS)
        self._connect()

    def _connect(self) -> None:
        store, panel, branches = self._store, self.panel, self._branches
        panel.branchRequested.connect(branches.branch)
        panel.completeRequested.connect(branches.complete)
        panel.resumeRequested.connect(branches.resume)
        panel.parentRequested.connect(branches.go_to_parent)
        panel.memberRequested.connect(branches.go_to)
        panel.count.valueChanged.connect(self._update_soon)
        self.errors.stepRequested.connect(store.scrub_to)
        store.lookChanged.connect(self._on_look)
        store.runReplaced.connect(self._on_run)
        branches.changed.connect(self._on_changed)
        for signal in (store.choicesChanged, store.activityChanged, store.modelsChanged):
            signal.connect(self._update_soon)
        self._due.timeout.connect(self._update)

    @property
    def inverted(self) -> bool:
        """Whether the shown run is the way back of a picture, with its errors known."""
        return self._inverted

    @Slot()
    def _update_soon(self, *_: object) -> None:
        if not self._due.isActive():
            self._due.start()

    @Slot()
    def _update(self) -> None:
        if self._store.closed:
            return
        count = self.panel.count.value()
        reasons = {wish: self._branches.reason(wish, count) for wish in WISHES}
        self.panel.show_possible(reasons)
        self.possible.emit(reasons)

    @Slot(object)
    def _on_look(self, look: Look) -> None:
        self.errors.show_step(look.index)
        self._update_soon()

    @Slot(object)
    def _on_run(self, run: Trajectory) -> None:
        self._on_changed()

    @Slot()
    def _on_changed(self) -> None:
        """Another run is shown, or is kept."""
        run, branches = self._store.run, self._branches
        if run is None:
            return
        shown, members = branches.shown, branches.family.members
        titles = [family.title(member, self._classes(member)) for member in members]
        self.panel.show_run(members, titles, shown, run.spec)
        self.errors.show_errors(() if shown is None else shown.errors)
        self.errors.show_step(self._store.look.index)
        inverted = shown is not None and bool(shown.errors)
        if inverted != self._inverted:
            self._inverted = inverted
            self.cardsChanged.emit()
        self._update_soon()

    def _classes(self, member: Member) -> tuple[str, ...]:
        """The classes a kept run could ask for; () where its model is not here."""
        store, guidance = self._store, member.run.spec.guidance
        maker = store.shelf.maker_of(member.run, member.about)
        guide = next((card for card in store.known if card.id == guidance.guide), None)
        return () if maker is None else state.offered(maker.card, guidance.kind, guide)

    # -- dialogs ------------------------------------------------------------------------------

    def note_picture(self, path: Path) -> None:
        """A picture was opened or dropped: it is what would be inverted."""
        self._picture = path

    def state_dialog(self, window: QWidget) -> QDialog:
        """Ask for another x_t to branch with."""
        run = self._store.run
        first = 0 if run is None else run.spec.seeds[-1] + 1
        pictures = run is not None and len(run.data_shape) == 3
        dialog = StateDialog(first, pictures=pictures, parent=window)
        dialog.noiseRequested.connect(self._branches.branch_with_noise)
        dialog.fileRequested.connect(self._branches.branch_with_file)
        return dialog

    def invert_dialog(self, window: QWidget) -> QDialog:
        """Ask which picture to invert, and how."""
        store = self._store
        asked = store.choices
        steered = store.guidable and asked.condition is not None
        sample, path = self._sample(), self._picture
        dialog = InvertDialog(asked, store.card, sample, path, steered=steered, parent=window)
        dialog.pictureRequested.connect(self._branches.invert)
        return dialog

    def _sample(self) -> Callable[[], object] | None:
        """The selected sample's last picture, if the run has one of the chosen model's shape."""
        run, sample = self._store.run, self._store.look.sample
        if run is None or not run.complete or run.data_shape != self._store.card.data_shape:
            return None
        return lambda: run[-1].x_t[sample : sample + 1]
