"""Workspaces: registered one file each, made when first needed, heard only while in front."""

import pkgutil
import subprocess
import sys

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QWidget

from diffview import resources
from diffview.ui import workspaces
from diffview.ui.settings import Settings
from diffview.ui.timeline import Timeline
from diffview.ui.workspaces import Workspace, WorkspaceInfo


class Quiet(Workspace):
    """A workspace with a card of its own and no scrubber."""

    def __init__(self, desk):
        super().__init__(desk)
        self.timeline = None
        self.cards = [QLabel("its own card")]
        self.heard, self.refreshed, self.pictures = [], 0, []
        self.listen(desk.store.lookChanged, self.heard.append)

    def refresh(self):
        self.refreshed += 1

    def take_picture(self, path):
        self.pictures.append(path)


class Counting(Timeline):
    """Ten places."""

    def __init__(self):
        super().__init__()
        self.index = 0

    def start(self):
        self.lengthChanged.emit(10, 10)
        self.go_to(self.index)

    def go_to(self, index):
        self.index = max(0, min(9, index))
        self.moved.emit(self.index, f"place {self.index}")

    def step_by(self, steps):
        self.go_to(self.index + steps)


class Own(Workspace):
    """A workspace with a scrubber of its own."""

    def __init__(self, desk):
        super().__init__(desk)
        self.timeline = Counting()


@pytest.fixture
def session(monkeypatch, make_session, wait):
    """A window that shows a finished run, with two workspaces more."""
    infos = {
        **{name: workspaces.every()[name] for name in ("denoising",)},
        "quiet": WorkspaceInfo("quiet", "Quiet", "info", 900, "picture", "Says nothing", Quiet),
        "own": WorkspaceInfo("own", "Own", "help", 901, "nothing", "Counts", Own),
    }
    monkeypatch.setattr(workspaces, "every", lambda: infos)
    made = make_session()
    made.controller.request_run()
    wait(lambda: not made.controller.activity.busy)
    return made


def switch(session, key):
    target = QApplication.focusWidget() or session.window
    QTest.keyClick(target, key, Qt.KeyboardModifier.ControlModifier)


def test_every_file_registers_one_workspace_with_an_icon_and_a_place_of_its_own():
    infos = workspaces.every()
    files = [module.name for module in pkgutil.iter_modules(workspaces.__path__)]
    assert len(files) == len(infos)
    assert len({info.place for info in infos.values()}) == len(infos)
    assert next(iter(infos)) == "denoising"
    for info in infos.values():
        assert resources.path("icons", f"{info.icon}.svg").exists(), info.icon
        assert info.title and info.help


def test_the_files_of_workspaces_import_nothing_heavy():
    code = (
        "import sys; from diffview.ui import workspaces; workspaces.every(); "
        "print([name for name in ('torch', 'pyqtgraph') if name in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_only_the_first_workspace_is_made_at_the_start(session):
    assert session.window.central.name == "denoising"
    assert len(session.window.central.made()) == 1
    threads = {runner._thread.objectName() for runner in session._runners}
    assert threads & workspaces.every().keys() <= {"denoising"}


def test_keys_menu_palette_and_bar_switch(session):
    central, view = session.window.central, session.window.commands.actions
    switch(session, Qt.Key.Key_2)
    assert central.name == "quiet" and view["workspace_quiet"].isChecked()
    switch(session, Qt.Key.Key_1)
    assert central.name == "denoising" and view["workspace_denoising"].isChecked()
    view["workspace_own"].trigger()
    assert central.name == "own"
    session.window.findChild(QWidget, "workspace_quiet").click()
    assert central.name == "quiet"
    session.window.commands.do("palette")
    palette = QApplication.activeModalWidget()
    QTest.keyClicks(palette.edit, "counts")
    QTest.keyClick(palette.edit, Qt.Key.Key_Return)
    assert central.name == "own"


def test_a_workspace_behind_hears_nothing_and_catches_up(session):
    central = session.window.central
    central.go_to("quiet")
    quiet = central.current
    assert quiet.refreshed == 1
    session.controller.scrub_to(3)
    assert [look.index for look in quiet.heard] == [3]
    central.go_to("denoising")
    session.controller.scrub_to(7)
    assert len(quiet.heard) == 1
    central.go_to("quiet")
    assert quiet.refreshed == 2


def test_the_panes_catch_up_when_denoising_comes_back(session):
    central, panes = session.window.central, session.window.denoising
    central.go_to("quiet")
    session.controller.scrub_to(4)
    session.controller.select_sample(2)
    central.go_to("denoising")
    assert panes.left.view._selection == 2
    assert (panes.left.view._tiles.values == session.controller.frame.tiles[0].values).all()
    assert session.window.run_cards.step.numbers.text("i") == "4/50"


def test_the_right_dock_shows_the_cards_of_the_workspace_in_front(session):
    run_cards = session.window.run_cards.cards
    assert all(card.isVisible() for card in run_cards)
    session.window.central.go_to("quiet")
    assert session.window.central.current.cards[0].isVisible()
    assert not any(card.isVisible() for card in run_cards)
    session.window.central.go_to("own")
    assert all(card.isVisible() for card in run_cards)
    session.window.central.go_to("denoising")
    assert all(card.isVisible() for card in run_cards)


def test_the_scrubber_is_that_of_the_workspace_in_front(session):
    central, transport = session.window.central, session.window.transport
    session.controller.scrub_to(20)
    central.go_to("own")
    assert transport.scrubber.maximum() == 9 and transport.place.text() == "place 0"
    QTest.keyClick(QApplication.focusWidget() or session.window, Qt.Key.Key_End)
    assert central.current.timeline.index == 9 and transport.scrubber.value() == 9
    transport.scrubber.setValue(4)
    assert central.current.timeline.index == 4
    assert session.controller.look.index == 20, "the run stays where it was"
    central.go_to("denoising")
    assert transport.scrubber.maximum() == 50 and transport.scrubber.value() == 20
    transport.scrubber.setValue(21)
    assert session.controller.look.index == 21


def test_without_a_timeline_there_is_no_scrubber_and_its_keys_do_nothing(session):
    session.window.central.go_to("quiet")
    assert not session.window.transport.isVisible()
    for name in ("play", "next", "previous_ten", "last"):
        session.window.commands.do(name)
    session.window.central.go_to("denoising")
    assert session.window.transport.isVisible()
    assert session.controller.look.index == 50


def test_the_workspace_is_remembered(session, settings, make_session, wait):
    session.window.central.go_to("own")
    session.window.close()
    again = make_session(settings=Settings(settings._path))
    assert again.window.central.name == "own"
    assert len(again.window.central.made()) == 1


def test_an_unknown_workspace_in_the_settings_is_the_first(settings, make_session):
    settings.save(workspace="of another version")
    assert make_session().window.central.name == "denoising"


def test_a_picture_goes_to_the_workspace_that_needs_one(session, tmp_path):
    assert session.window.central.take_picture(tmp_path / "a.png")
    assert session.window.central.name == "quiet"
    assert session.window.central.current.pictures == [tmp_path / "a.png"]


def test_names_make_way_where_the_bar_is_narrow(session):
    bar = session.window.central.bar
    buttons = list(bar._buttons.values())
    bar.resize(2000, 40)
    assert all(b.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonTextBesideIcon for b in buttons)
    bar.resize(90, 40)
    shown = [b.toolButtonStyle() == Qt.ToolButtonStyle.ToolButtonTextBesideIcon for b in buttons]
    assert shown == [button.isChecked() for button in buttons]


def test_the_film_strip_names_steps_not_records(session, wait):
    run = session.controller.run
    session.controller.budget = 10 * run[0].nbytes
    session.controller.request_run()
    wait(lambda: not session.controller.activity.busy)
    stride = session.controller.run.stride
    assert stride > 1
    name_of = session.window.transport.strip._name_of
    assert name_of(1) == f"step {stride}/50"
    assert name_of(len(session.controller.run) - 1) == "step 50/50"


def test_the_further_evaluation_of_a_step_is_shown_everywhere(session, wait):
    session.controller.choose_sampler("heun")
    session.controller.choose_steps(6)
    session.controller.request_run()
    wait(lambda: not session.controller.activity.busy)
    session.controller.scrub_to(2)
    stages = session.window.run_cards.step.stages
    assert stages.isVisible()
    stages.setCurrentIndex(1)
    stage = session.controller.run[2].stages[0]
    shown = session.window.denoising.left.view._tiles.values
    assert (shown[..., 0] == stage.x_t[:, 0]).all()
    assert "second stage" in session.window.transport.place.text()
    assert session.window.run_cards.step.numbers.text("t") == f"{stage.level.t:g}"
    session.controller.scrub_to(6)
    assert not stages.isVisible(), "the clean end is evaluated no more"
    session.controller.scrub_to(3)
    assert stages.currentIndex() == 1, "scrubbing stays with the evaluation"
