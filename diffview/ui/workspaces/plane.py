"""The 2-D lab: points in the plane, of which everything is known exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from PySide6.QtCore import Slot
from PySide6.QtWidgets import (
    QApplication,
    QButtonGroup,
    QHBoxLayout,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffview.errors import InputError
from diffview.models import catalog
from diffview.models.card import ModelCard
from diffview.models.exact.mixture import Mixture
from diffview.ui.desk import Desk
from diffview.ui.jobs import ModelSource, source_of
from diffview.ui.mailbox import Mailbox
from diffview.ui.notices import notice_of
from diffview.ui.panels.card import describe
from diffview.ui.panels.plane_draw import DrawPage, kept
from diffview.ui.panels.plane_energy import EnergyPage
from diffview.ui.panels.plane_explore import ExplorePage
from diffview.ui.panels.plane_gallery import Gallery, PagesCard
from diffview.ui.panels.plane_guidance import GuidancePage
from diffview.ui.panels.plane_learn import LearnPage
from diffview.ui.panels.plane_page import PlanePage
from diffview.ui.plane_lab import Place, PlaneLab
from diffview.ui.plane_timeline import PlaneTimeline
from diffview.ui.state import Notice
from diffview.ui.workspaces import Workspace, workspace

TOPIC = "plane"
EXPLORE, DRAW = "explore", "draw"


@workspace(
    name="plane",
    title="2-D lab",
    icon="plane",
    place=30,
    help="Points in the plane: density, energy, score, guidance and a network, beside the truth",
)
class PlaneWorkspace(Workspace):
    """Pages over one lab; the scrubber runs over the shown run."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.lab = PlaneLab(desk, self)
        self.timeline = self.strip = PlaneTimeline(desk.store, self.lab)
        self._keeper = Mailbox(desk.jobs, self)
        self.pages: dict[str, PlanePage] = {}
        self.name = EXPLORE
        self._build()
        self._connect()

    # -- building ---------------------------------------------------------------------------------

    def _build(self) -> None:
        self.explore = ExplorePage(self.lab)
        self.guidance = GuidancePage(self.lab, self.desk.jobs)
        self.energy = EnergyPage(self.lab, self.desk.jobs)
        self.learn = LearnPage(self.lab, self.desk.jobs)
        self.draw = DrawPage(self.lab, self.desk.jobs)
        self._titles = (
            (EXPLORE, "Explore", "Density, energy, score, flow and particles at this step",
             self.explore),
            ("guidance", "Guidance", "The density that γ is said to sample, beside what it gives",
             self.guidance),
            ("energy", "Energy", "An energy without Z, what Z costs, and why the score needs none",
             self.energy),
            ("learn", "Learn", "A small network learns the field while you look", self.learn),
            (DRAW, "Draw", "Points drawn by hand, and the exact model that they are", self.draw),
        )  # fmt: skip
        self.gallery, self.stack = Gallery(), QStackedWidget()
        self.stack.addWidget(self.gallery)
        self._buttons: dict[str, QToolButton] = {}
        self.bar, self._group = QWidget(), QButtonGroup(self)
        row = QHBoxLayout(self.bar)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        for name, title, help, page in self._titles:
            self.pages[name] = page
            self.stack.addWidget(page)
            row.addWidget(self._button(name, title, help))
        row.addStretch(1)
        self.bar.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.pages_card = PagesCard([(title, help) for _, title, help, _ in self._titles])
        of_pages = dict.fromkeys(card for page in self.pages.values() for card in page.cards)
        self.cards = (self.pages_card, *of_pages)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(self.bar)
        body.addWidget(self.stack, 1)

    def _button(self, name: str, title: str, help: str) -> QToolButton:
        button = QToolButton()
        button.setText(title)
        button.setCheckable(True)
        button.setProperty("workspace", True)
        describe(button, title, help, f"planePage_{name}")
        button.clicked.connect(lambda: self.go_to(name))
        self._group.addButton(button)
        self._buttons[name] = button
        return button

    def _connect(self) -> None:
        lab, store = self.lab, self.desk.store
        lab.stepped.connect(self._on_stepped)
        lab.answered.connect(self._on_answered)
        lab.placed.connect(self._on_placed)
        lab.particlesChanged.connect(self._on_particles)
        lab.modelChanged.connect(self._on_model)
        lab.failed.connect(self._on_failed)
        self.gallery.modelRequested.connect(store.choose_model)
        self.gallery.drawRequested.connect(lambda: self.go_to(DRAW))
        self.explore.sampleRequested.connect(store.select_sample)
        self.learn.modelMade.connect(self._on_made)
        self.draw.modelMade.connect(self._on_drawn_model)
        self.draw.keepRequested.connect(self._on_keep)
        self._keeper.told.connect(self._on_kept)
        self._keeper.failed.connect(self._on_failed)
        self.guidance.plot.placeRequested.connect(self._on_place)
        for page in self.pages.values():
            page.windowChanged.connect(self._on_window)
        for signal in (store.modelChanged, store.choicesChanged, store.runReplaced, store.runGrew,
                       store.lookChanged):  # fmt: skip
            self.listen(signal, self._on_store)

    # -- from the window --------------------------------------------------------------------------

    def refresh(self) -> None:
        """The model, the run and the step may all be others."""
        self.lab.refresh()
        self._show_page()

    def leave(self) -> None:
        """Other workspaces need the processor more."""
        super().leave()
        if self.page is not None:
            self.page.leave()

    def show_theme(self) -> None:
        """All pages in the present colours."""
        self.gallery.show_theme()
        self.strip.show_theme()
        for page in self.pages.values():
            page.show_theme()

    def do(self, command: str) -> bool:
        """Zoom is the planes' own, and so is the picture that is copied."""
        page = self.page
        if page is None:
            return command in ("focus", "copy")
        plane = page.planes[0]
        if command == "copy":
            self._copy(page)
            return True
        return self.do_zoom(command, plane.reset_window, zoomed=plane.zoomed)

    def _copy(self, page: PlanePage) -> None:
        area = page.planes[0] if len(page.planes) == 1 else page
        picture = area.grab()
        QApplication.clipboard().setPixmap(picture)
        size = f"{picture.width()} × {picture.height()}"
        self.desk.tell(Notice(f"Copied a picture of {size} pixels."))

    # -- pages ------------------------------------------------------------------------------------

    @property
    def page(self) -> PlanePage | None:
        """The page in front; None while there is nothing to show on it."""
        shown = self.stack.currentWidget()
        return shown if isinstance(shown, PlanePage) else None

    @property
    def page_in_front(self) -> str:
        """The one that is chosen; it is shown once there is something to show on it."""
        return self.name

    @property
    def arrangement(self) -> Mapping[str, str]:
        """What is shown of the first page: its layers and its ground."""
        layers = self.explore.layers
        return {"layers": ", ".join(sorted(layers.on)), "ground": layers.ground}

    def prepare(self, wanted: Mapping[str, str]) -> Callable[[], None]:
        """See the base."""
        bar = self.explore.layers
        names = wanted.get("layers")
        on = bar.on if names is None else frozenset(filter(None, map(str.strip, names.split(","))))
        ground = wanted.get("ground", bar.ground)
        unknown = sorted(on - bar.buttons.keys())
        if unknown:
            known = ", ".join(bar.buttons)
            raise InputError(f"there is no layer '{unknown[0]}'; known are {known}")
        if bar.combo.findData(ground) < 0:
            known = ", ".join(str(bar.combo.itemData(row)) for row in range(bar.combo.count()))
            raise InputError(f"there is no ground '{ground}'; known are {known}")
        return lambda: self.explore.show_layers(ground, on)

    def go_to(self, name: str) -> None:
        """Bring a page to the front."""
        self.name = name
        self._show_page()

    def _show_page(self) -> None:
        there = self.lab.source is not None or self.name == DRAW
        page = self.pages[self.name] if there else None
        before = self.page
        if before is not None and before is not page:
            before.leave()
        self.stack.setCurrentWidget(page or self.gallery)
        self._buttons[self.name].setChecked(True)
        shown = (self.pages_card,) if page is None else page.cards
        for card in self.cards or ():
            card.setVisible(card in shown)
        if page is None:
            self.gallery.show_theme()
            return
        page.enter()
        self.lab.see(page.window_seen)
        page.show_field()
        page.show_step()
        page.show_particles()

    @Slot(object)
    def _on_window(self, window: object) -> None:
        if self.in_front and self.page is not None:
            self.lab.see(self.page.window_seen)

    @Slot(object)
    def _on_made(self, model: Any) -> None:
        """Choose a model that was made here."""
        guidable = bool(model.card.classes)
        self.desk.store.add_source(ModelSource(model.card, lambda _: model, guidable=guidable))

    @Slot(object)
    def _on_drawn_model(self, drawn: tuple[ModelCard, Mixture]) -> None:
        """Choose the exact model of points that were drawn, and explore it."""
        card, data = drawn

        def make(device: str) -> Any:
            from diffview.models.exact.mixture_denoiser import MixtureDenoiser

            return MixtureDenoiser(card, data)

        self.desk.store.add_source(ModelSource(card, make, guidable=bool(card.classes)))
        self.go_to(EXPLORE)

    @Slot(object)
    def _on_keep(self, drawn: tuple[ModelCard, Mixture]) -> None:
        folder = catalog.models_folder()
        if folder is None:
            self.desk.tell(Notice("There is no home folder to keep models in.", "error"))
        else:
            self._keeper.put(lambda: kept(drawn, folder))

    @Slot(object)
    def _on_kept(self, entry: catalog.Entry) -> None:
        self.desk.store.add_source(source_of(entry))
        self.go_to(EXPLORE)
        text = f"“{entry.card.title}” is in the model list from now on, kept in {entry.path}."
        self.desk.tell(Notice(text))

    @Slot(float)
    def _on_place(self, step: float) -> None:
        """Go to the record nearest to a step of the run."""
        run = self.lab.run
        if run is not None:
            away = [abs(record.i - step) for record in run]
            self.desk.store.scrub_to(away.index(min(away)))

    @Slot()
    def _on_store(self, *_: object) -> None:
        self.lab.refresh()

    @Slot()
    def _on_stepped(self) -> None:
        self.explore.show_sample(self.desk.store.look.sample)
        if self.page is not None:
            self.page.show_step()

    @Slot()
    def _on_answered(self) -> None:
        if self.page is not None:
            self.page.show_field()

    @Slot(object)
    def _on_placed(self, place: Place) -> None:
        if self.page is not None:
            self.page.show_place(place)

    @Slot()
    def _on_particles(self) -> None:
        if self.page is not None:
            self.page.show_particles()

    @Slot()
    def _on_model(self) -> None:
        for page in self.pages.values():
            page.show_model()
        self._show_page()

    @Slot(object)
    def _on_failed(self, error: BaseException) -> None:
        self.desk.tell(notice_of(error, TOPIC))
