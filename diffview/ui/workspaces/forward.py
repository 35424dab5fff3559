"""The forward process: a picture noised to any t, and the one-step estimate made of it."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QSplitter, QVBoxLayout

from diffview.engine.levels import NoiseLevel
from diffview.engine.trajectory import Float32
from diffview.frames import noising as pictures
from diffview.frames.compose import Frame, Tiles
from diffview.frames.lens import DECODED, PREVIEW
from diffview.frames.pixels import Uint8
from diffview.models import forward
from diffview.ui.chosen_picture import TOPIC, ChosenPicture
from diffview.ui.desk import Desk
from diffview.ui.level_timeline import LevelTimeline
from diffview.ui.looks import Looks
from diffview.ui.noising import Answer, Noising
from diffview.ui.notices import notice_of
from diffview.ui.panels.empty_state import EmptyState
from diffview.ui.panels.forward_cards import ErrorCard, LevelCard, PlotCard, ValueCard
from diffview.ui.panels.forward_subjects import ESTIMATES, LABELS, LACKS, X_0, X_T
from diffview.ui.panels.pane import link
from diffview.ui.panels.picture_chooser import PictureChooser
from diffview.ui.panels.picture_pane import PicturePane
from diffview.ui.state import Choices
from diffview.ui.workspaces import Workspace, workspace

START_LAM = 0.0
"""Where there is no run to begin at: as much picture as noise."""


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
        self.noising, self.looks = Noising(desk, self), Looks(desk, self)
        self._strip_drawn = False
        self._shown: list[tuple[Tiles, str]] = []
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
        self.picture = ChosenPicture(self.desk, self.noising, self.chooser, self)
        self.level_card, self.error_card = LevelCard(), ErrorCard()
        self.plot_card, self.value_card = PlotCard(), ValueCard()
        self.cards = (self.level_card, self.error_card, self.plot_card, self.value_card)
        self.empty = EmptyState("forwardEmpty")
        self.empty.hide()
        self.splitter = splitter = QSplitter(Qt.Orientation.Horizontal)
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
        body.addWidget(self.empty, 1)

    def _connect(self) -> None:
        store = self.desk.store
        self.picture.used.connect(self._on_used)
        self.chooser.seedRequested.connect(self.noising.reseed)
        self.empty.modelRequested.connect(store.choose_model)
        self.levels.moved.connect(self._on_moved)
        self.plot_card.plot.stepRequested.connect(self.levels.go_to)
        self.panes[2].subjectRequested.connect(self._on_subject)
        self.noising.noised.connect(self._on_noised)
        self.noising.answered.connect(self._on_answered)
        self.noising.failed.connect(self._on_failed)
        self.looks.changed.connect(self._on_looked)
        self.looks.failed.connect(self._on_failed)
        for pane in self.panes:
            pane.view.hovered.connect(self._on_hovered)
            pane.view.unhovered.connect(self.value_card.show_nothing)
        self.listen(store.modelChanged, self._on_model)
        self.listen(store.choicesChanged, self._on_choices)
        self.listen(store.lookChanged, self.picture.on_look)
        self.listen(store.runGrew, self.picture.on_run)

    # -- from the window ----------------------------------------------------------------------

    def refresh(self) -> None:
        """The model, the picture and the choices may all be others."""
        first = not self.levels.levels
        self.picture.name()
        self._show_model()
        if first:
            self.levels.go_near(self._run_lam())
        self.picture.use()

    def _run_lam(self) -> float:
        run, index = self.desk.store.run, self.desk.store.look.index
        if run is None or not 0 <= index < len(run) - 1:
            return START_LAM
        return run[index].level.lam

    def take_picture(self, path: Path) -> None:
        """Noise this picture."""
        self.picture.take(path)

    def show_theme(self) -> None:
        """Symbols, rings and the plot in the present colours."""
        for pane in self.panes:
            pane.show_theme()
        self.plot_card.show_theme()

    def do(self, command: str) -> bool:
        """Zoom is the panes' own; there is always one picture alone."""
        zoomed = bool(self.panes[0].view.how_narrow)
        return self.do_zoom(command, self.reset_zoom, zoomed=zoomed)

    @property
    def frame(self) -> Frame | None:
        """The three panes, as they are shown."""
        if len(self._shown) < len(self.panes):
            return None
        index, count = self.levels.index, len(self.levels.levels)
        tiles, names = zip(*self._shown, strict=True)
        lens = next((name for name in (PREVIEW, DECODED) if name in names), "")
        return Frame(None, index, count, self.levels.level, None, tiles, lens)

    # -- the model and the picture ------------------------------------------------------------

    def _show_model(self) -> None:
        """Its levels; of a model that never sees noise, why there are none, and another one."""
        store, lacking = self.desk.store, self.picture.lacking
        for part in (self.noising, self.looks):
            part.begin(store.source)
        for shown in (self.chooser, self.splitter):
            shown.setVisible(not lacking)
        self.empty.setVisible(bool(lacking))
        if lacking:
            other = next((card for card in store.cards if not forward.lacking(card)), None)
            offered = ("", "") if other is None else (other.id, other.title)
            self.empty.show_words(lacking, *offered)
            self.level_card.show_nothing()
            self.error_card.show_nothing("")
        levels = () if lacking else forward.places(store.card.schedule)
        if levels != self.levels.levels:
            self.levels.show_levels(levels)
            self.plot_card.plot.show_levels(levels)

    @Slot(object)
    def _on_model(self, card: object) -> None:
        self._show_model()
        self.picture.use()

    @Slot()
    def _on_used(self) -> None:
        self._show()
        self._ask()

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
        """The present model's last answer, if its picture has the present one's shape."""
        answer, x_0 = self.noising.answer, self.noising.x_0
        if answer is None or x_0 is None or answer.asked.x_0.shape != x_0.shape:
            return None
        return answer if answer.asked.source is self.desk.store.source else None

    def _states(self) -> dict[str, Float32]:
        """x_0, x_t and the estimate (*D), as far as they are there."""
        x_0, answer = self.noising.x_0, self._answer()
        states = {} if x_0 is None else {pictures.PICTURE: x_0}
        x_t = self.noising.state(self.levels.level) if self.levels.levels else None
        if x_t is not None:
            states["xt"] = x_t
            if answer is not None:
                states["x0hat"] = answer.x0_hat
        return states

    def _seen(self) -> list[tuple[Tiles, str]]:
        """What the panes show, as far as it is there, each with the name of its lens."""
        seen, answer, shown = [], self._answer(), self.panes[2].subject
        for name, values in self._states().items():
            look = self.looks.of(name, values)
            if look is None:
                break
            made = pictures.state(name, look.picture), look.lens
            if name == "x0hat" and shown != name and answer is not None:
                lens = self.looks.quick
                made = pictures.estimate(answer.record, answer.asked.x_0, shown, lens), ""
            seen.append(made)
        return seen

    def _show(self) -> None:
        """The panes and the level."""
        if not self.levels.levels:
            self._shown = []
            return
        level = self.levels.level
        seen = self._shown = self._seen()
        self.level_card.show_level(level)
        self.plot_card.plot.show_cursor(self.levels.index)
        waiting = self.noising.x_0 is not None or self.noising.reading
        why = "The latents could not be decoded" if self.looks.failing else "Loading the model…"
        waits = why if waiting else ""
        messages = (waits or LACKS[self.picture.of], "", waits)
        for place, pane in enumerate(self.panes):
            tiles, lens = seen[place] if place < len(seen) else (None, "")
            pane.show_tiles(tiles, "" if tiles is not None else messages[place])
            pane.show_remark(self._remark(place, lens))
        if len(seen) < len(self.panes):
            self.error_card.show_nothing("")
        self.looks.ask(dict(reversed(self._states().items())))  # the estimate first

    def _remark(self, place: int, lens: str) -> str:
        """The t of what a pane shows, and through what its latents are seen; there is no room
        for both beside the list, so the estimate's t is told where it lags behind."""
        answer, here = self._answer(), self.levels.level.t
        t = (None, here, None if answer is None else answer.asked.level.t)[place]
        if place == 2 and t == here and lens:
            t = None
        return " · ".join(part for part in ("" if t is None else f"t {t:g}", lens) if part)

    @Slot(object)
    def _on_answered(self, answer: Answer) -> None:
        self.desk.store.begunAnew.emit(TOPIC)
        self._show()
        self._show_error()

    def _show_error(self) -> None:
        answer = self._answer()
        if answer is None:
            return
        asked, card = answer.asked, answer.asked.source.card
        seen = self._decoded(answer)
        error = forward.model_error(card, answer.record, asked.x_0, asked.eps, seen)
        guided = asked.spec.guidance.kind != "none"
        gamma = asked.spec.guidance.scale if guided else None
        latent = "; in units of its latents, but the PSNR is of the decoded pictures"
        who = asked.who + (latent if card.coded else "")
        self.error_card.show_error(error, asked.level, gamma, who)

    def _decoded(self, answer: Answer) -> list[Float32]:
        """x_0 and the estimate as the decoder shows them, as far as it has."""
        states = {pictures.PICTURE: answer.asked.x_0, "x0hat": answer.x0_hat}
        looks = [self.looks.of(name, values) for name, values in states.items()]
        return [look.picture for look in looks if look is not None and look.lens == DECODED]

    @Slot()
    def _on_looked(self) -> None:
        """The quick lens is there, or what the decoder makes of these states."""
        if not self._strip_drawn:
            self._show_strip()
        self._show()
        self._show_error()

    def _show_strip(self) -> None:
        x_0, eps, lens = self.noising.x_0, self.noising.eps, self.looks.small
        self._strip_drawn = not self.looks.coded or lens is not None
        if x_0 is None or eps is None or eps.shape != x_0.shape or not self._strip_drawn:
            self.levels.show_pictures(None)
            return

        def draw(level: NoiseLevel) -> Uint8:
            x_t = forward.noised(x_0, eps, level)
            shown = x_t if lens is None else lens.picture(x_t[None])[0]
            drawn: Uint8 = pictures.state("xt", shown).pixels[0]
            return drawn

        self.levels.show_pictures(draw)

    @Slot(str)
    def _on_subject(self, name: str) -> None:
        self._show()

    @Slot(int, int, int)
    def _on_hovered(self, sample: int, row: int, column: int) -> None:
        tiles = [tiles for tiles, _ in self._shown]
        names = ("x₀", "x_t", LABELS[self.panes[2].subject])
        if tiles:
            self.value_card.show_values(names[: len(tiles)], tiles, row, column)
