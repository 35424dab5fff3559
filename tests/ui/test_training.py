"""The training lab in the window: what is trained is shown, paused, kept, made a model of."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from PySide6.QtWidgets import QMessageBox

from diffview.errors import DiffviewError, InputError
from diffview.models import catalog
from diffview.training import kept as keeping
from diffview.training import lab as labs
from diffview.training import recipes, watching
from diffview.training.events import Begun
from diffview.training.kept import Order
from diffview.training.loop import TrainSettings
from diffview.training.points import PointsRecipe, PointsTask
from diffview.training.recipes import RecipeInfo
from diffview.ui import training_session
from diffview.ui.settings import Settings
from diffview.ui.workspaces import training

ENDLESS = 10**7
SETTINGS = TrainSettings(samples=320, batch=16, warmup_steps=5)


@dataclass(frozen=True)
class Tiny(PointsRecipe):
    """Two moons for 20 steps."""

    settings: TrainSettings = SETTINGS
    width: int = 8
    toy_id: ClassVar[str] = "moons"
    name: ClassVar[str] = "tiny"


@dataclass(frozen=True)
class Absent(Tiny):
    """Its data are not there."""

    name: ClassVar[str] = "absent"

    def task(self, device, split="train"):
        raise InputError("nothing is here: install something, or give --data FOLDER")


@dataclass(frozen=True)
class Unseen(Tiny):
    """A recipe without levels."""

    name: ClassVar[str] = "unseen"
    clean = None


pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def wait(qtbot):
    """Wait until something holds; two threads share what another program leaves of a core."""

    def until(condition):
        qtbot.waitUntil(lambda: bool(condition()), timeout=120_000)

    return until


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Recipes that take a second."""
    infos = {
        make.name: RecipeInfo(make.name, f"A {make.name} one", "nothing", "no time", True, make)
        for make in (Absent, Tiny, Unseen)
    }
    monkeypatch.setattr(recipes, "every", lambda: infos)
    monkeypatch.setattr(watching, "POINTS", 32)
    monkeypatch.setattr(watching, "POINT_STEPS", 2)
    monkeypatch.setattr(watching, "LEVELS", 4)


@pytest.fixture
def enter(make_session, wait):
    """enter(settings) -> (session, workspace) in front, knowing what can be trained."""

    def go(**more):
        session = make_session(**more)
        session.window.central.go_to("training")
        lab = session.window.central.current
        wait(lambda: lab.order_card.offer is not None)
        return session, lab

    return go


@pytest.fixture
def lab(enter):
    return enter()[1]


def choose(lab, recipe="tiny", samples=None):
    lab.order_card.recipe.setCurrentIndex(lab.order_card.recipe.findData(recipe))
    if samples is not None:
        lab.order_card.samples.setValue(samples)


def train(lab, wait, recipe="tiny", samples=None):
    """Start, and wait until something was learned and seen."""
    choose(lab, recipe, samples)
    lab.head.start.click()
    wait(lambda: lab._step > 0 and lab.snapshots.snapshots)


def answer(lab, wait, text):
    """Press the button `text` of the question that is asked."""
    wait(lambda: lab.questions.dialog is not None)
    box = lab.questions.dialog
    assert isinstance(box, QMessageBox)
    next(button for button in box.buttons() if button.text() == text).click()


def texts(session):
    return " ".join(notice.text for notice in session.window.notices._notices)


# -- training ---------------------------------------------------------------------------------


def test_a_training_is_shown_to_its_end(lab, wait):
    choose(lab)
    lab.head.start.click()
    wait(lambda: lab.session.phase == "done")
    assert lab.head.status.text() == "Done: step 20 of 20"
    assert [shot.step for shot in lab.snapshots.snapshots][-1] == 20
    assert len(lab.loss._losses) == 20
    assert lab.samples.view._tiles.pixels.shape[0] == 1, "all points are one picture"
    assert lab.watched.views["eps_hat"]._tiles is not None
    assert lab.progress_card.numbers.text("step") == "20"
    assert lab.head.save.isEnabled() and lab.head.start.text() == "Start"
    assert lab.order_card.samples.value() == 320


def test_what_was_ordered_stays_when_it_is_looked_again_for_what_can_be_trained(lab, wait):
    """After each training, and when a kept one is deleted."""
    choose(lab, "unseen", samples=48)
    lab.order_card.rate.setValue(0.0005)
    lab.head.start.click()
    wait(lambda: lab.session.phase == "done" and lab.order_card.offer.kept)
    assert lab.order_card.order.samples == 48 and lab.order_card.order.learning_rate == 0.0005
    lab.order_card.begin.setCurrentIndex(lab.order_card.begin.count() - 1)
    lab.order_card.samples.setValue(96)
    lab.head.start.click()
    wait(lambda: lab.session.phase == "done" and lab.order_card.kept is None)
    assert lab.head.start.text() == "Start", "it is at its end: a new one is offered"


def test_a_pause_shows_every_step_that_was_taken(lab, wait, qtbot):
    train(lab, wait, samples=16 * ENDLESS)
    for _ in range(3):
        wait(lambda: lab.session.phase == "training")
        before = lab._step
        wait(lambda before=before: lab._step > before)
        lab.head.start.click()
        kept = []
        lab.session.kept.connect(kept.append)
        wait(lambda kept=kept: kept)
        assert lab._step == kept[-1].step == lab.snapshots.snapshots[-1].step
        lab.head.start.click()
    lab.head.stop.click()
    wait(lambda: lab.session.phase == "stopped")


def test_a_pause_tells_also_of_steps_whose_news_was_dropped(tmp_path):
    """What is under way between two threads when a job is cancelled is not delivered."""
    lab = next(labs.start(Order("tiny"), tmp_path / "kept"))
    for _ in lab.train():
        if lab.trainer.step:  # how many steps an event tells of is a matter of time
            break
    told = [event for event in training_session._settled(lab) if isinstance(event, Begun)]
    assert len(told[-1].losses) == told[-1].step == lab.trainer.step > 0


def test_pausing_stops_the_steps_and_keeps_a_checkpoint(lab, wait):
    train(lab, wait, samples=ENDLESS)
    lab.head.start.click()
    assert lab.session.phase == "paused" and lab.head.start.text() == "Resume"
    wait(lambda: keeping.kept_trainings() and not lab.desk.jobs.busy)
    step = lab.session._lab.trainer.step
    assert keeping.kept_trainings()[0].step == step == lab.snapshots.snapshot.step
    lab.head.start.click()
    wait(lambda: lab._step > step + 5)
    assert len(lab.loss._losses) == lab._step, "the curve has every step, also over a pause"


def test_stopping_keeps_it_and_it_goes_on_from_there(lab, wait):
    train(lab, wait, samples=ENDLESS)
    lab.head.stop.click()
    wait(lambda: lab.order_card.offer.kept and not lab.desk.jobs.busy)
    assert lab.session.phase == "stopped" and lab.order_card.isEnabled()
    step = lab.session._lab.trainer.step
    lab.order_card.begin.setCurrentIndex(lab.order_card.begin.count() - 1)
    assert f"go on at step {step:,}" in lab.order_card.begin.currentText()
    assert lab.head.start.text() == "Go on"
    lab.head.start.click()
    wait(lambda: lab._step > step)
    assert lab.snapshots.snapshots[0].step == 0, "the pictures of before are there again"


def test_a_training_that_was_stopped_can_be_deleted(lab, wait):
    train(lab, wait, samples=ENDLESS)
    lab.head.stop.click()
    wait(lambda: lab.order_card.offer.kept and not lab.desk.jobs.busy)
    lab.order_card.begin.setCurrentIndex(lab.order_card.begin.count() - 1)
    lab.order_card.delete.click()
    wait(lambda: not lab.order_card.offer.kept)
    assert not keeping.kept_trainings()


def test_a_run_of_the_sampler_comes_first(enter, wait, network):
    session, lab = enter()
    train(lab, wait, samples=ENDLESS)
    network.hold()
    session.controller.request_run()
    wait(lambda: lab.session.phase == "waiting")
    assert "waits while a run is sampled" in lab.head.status.text()
    wait(lambda: not lab.desk.jobs.busy)
    network.release()
    wait(lambda: lab.session.phase == "training")


def test_scrubbing_back_stays_there_and_the_end_follows(lab, wait):
    train(lab, wait, samples=ENDLESS)
    wait(lambda: len(lab.snapshots.snapshots) > 2)
    lab.snapshots.go_to(0)
    count = len(lab.snapshots.snapshots)
    assert lab.samples.step.text() == "after step 0"
    wait(lambda: len(lab.snapshots.snapshots) > count)
    assert lab.snapshots.index == 0
    lab.snapshots.go_to(10**6)
    count = len(lab.snapshots.snapshots)
    wait(lambda: len(lab.snapshots.snapshots) > count)
    assert lab.snapshots.index == len(lab.snapshots.snapshots) - 1


def test_the_slider_over_t_shows_the_noise_that_was_added(lab, wait):
    train(lab, wait)
    wait(lambda: lab.session.phase == "done")
    panel, watched = lab.watched, lab._begun.watched
    panel.slider.setValue(0)
    assert panel.place.text() == f"t {watched.levels[0].t:g}"
    noisy = panel.views["xt"]._tiles.pixels
    panel.slider.setValue(panel.slider.maximum())
    assert (panel.views["xt"]._tiles.pixels != noisy).any()
    lab.levels.timeRequested.emit(watched.levels[0].t)
    assert panel.slider.value() == 0


def test_a_recipe_without_levels_shows_its_sheet_and_says_so(lab, wait):
    train(lab, wait, "unseen")
    wait(lambda: lab.session.phase == "done")
    assert lab.samples.view._tiles.pixels.shape == (1, 320, 320, 4)
    assert lab.levels.plot._message == "This recipe has no noise levels."


# -- a model of it ----------------------------------------------------------------------------


def test_a_saved_model_is_listed_chosen_and_runs(enter, wait, make_session, settings):
    session, lab = enter()
    train(lab, wait, samples=ENDLESS)
    lab.head.save.click()
    dialog = lab.questions.dialog
    assert dialog.textValue() == "My tiny 1"
    dialog.setTextValue("Two Moons!")
    dialog.accept()
    wait(lambda: "two-moons!" in [card.id for card in session.controller.cards])
    assert session.controller.card.title == "Two Moons!"
    wait(lambda: session.controller.run is not None and session.controller.run.complete)
    assert session.controller.run.spec.model_id == "two-moons!"
    wait(lambda: lab.session.phase == "training")  # it goes on meanwhile
    lab.head.stop.click()
    assert catalog.find("two-moons!").path.parent == catalog.models_folder()
    again = make_session(settings=Settings(settings._path))
    wait(lambda: "two-moons!" in [card.id for card in again.controller.cards])


@pytest.mark.parametrize(
    ("typed", "title"),
    [(" two\u202e moons\n\x00", "two moons"), ("\u202e\t", ""), ("é" * 900, "é" * 80)],
)
def test_a_name_is_one_short_line_without_marks_that_turn_it_round(typed, title):
    assert training._title(typed) == title


def test_a_name_that_is_taken_is_refused(enter, wait):
    session, lab = enter()
    train(lab, wait)
    wait(lambda: lab.session.phase == "done")
    for expected in (0, 1):
        lab.head.save.click()
        lab.questions.dialog.setTextValue("Same")
        lab.questions.dialog.accept()
        wait(lambda: not lab.desk.jobs.busy)
        assert ("choose another name" in texts(session)) == bool(expected)


# -- closing ----------------------------------------------------------------------------------


def test_closing_while_it_trains_asks_and_staying_trains_on(enter, wait):
    session, lab = enter()
    train(lab, wait, samples=ENDLESS)
    session.window.close()
    answer(lab, wait, "Go on training")
    step = lab._step
    wait(lambda: lab._step > step)
    assert session.window.isVisible() and lab.session.phase == "training"


def test_closing_and_saving_can_be_gone_on_with_at_the_next_start(enter, wait, settings):
    session, lab = enter()
    train(lab, wait, samples=ENDLESS)
    session.window.close()
    answer(lab, wait, "Save and close")
    wait(lambda: not session.window.isVisible())
    step = keeping.kept_trainings()[0].step
    assert step > 0
    _, lab = enter(settings=Settings(settings._path))
    assert f"go on at step {step:,}" in lab.order_card.begin.currentText()
    lab.head.start.click()
    wait(lambda: lab._step > step)
    assert len(lab.loss._losses) == lab._step


def test_closing_without_saving_keeps_nothing(enter, wait):
    session, lab = enter()
    train(lab, wait, samples=ENDLESS)
    session.window.close()
    answer(lab, wait, "Close without saving")
    wait(lambda: not session.window.isVisible())
    assert not keeping.kept_trainings()


@pytest.mark.parametrize("leave", [True, False])
def test_a_disk_that_refuses_at_closing_is_told_of_first(enter, wait, monkeypatch, leave):
    session, lab = enter()
    train(lab, wait, samples=ENDLESS)

    def full(trainer, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("diffview.training.loop.Trainer.save", full)
    session.window.close()
    answer(lab, wait, "Save and close")
    wait(lambda: lab.questions.dialog and "No space left" in lab.questions.dialog.text())
    answer(lab, wait, "Close all the same" if leave else "Back")
    if leave:
        wait(lambda: not session.window.isVisible())
    else:
        assert session.window.isVisible() and lab.session.phase == "paused"


def test_a_finished_training_that_no_disk_took_is_not_lost_by_closing(enter, wait, monkeypatch):
    """It is tried once more; where that fails too, a person decides."""
    session, lab = enter()
    write = labs.Trainer.save

    def full(trainer, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(labs.Trainer, "save", full)
    train(lab, wait)
    wait(lambda: lab.session.phase == "done" and lab.session.refused)
    session.window.close()
    answer(lab, wait, "Back")
    assert session.window.isVisible()
    monkeypatch.setattr(labs.Trainer, "save", write)
    session.window.close()
    wait(lambda: not session.window.isVisible())
    assert keeping.kept_trainings()[0].step == 20


def test_a_finished_training_does_not_hold_the_window(enter, wait):
    session, lab = enter()
    train(lab, wait)
    wait(lambda: lab.session.phase == "done")
    session.window.close()
    assert not session.window.isVisible()


# -- bad input --------------------------------------------------------------------------------


def test_missing_data_are_told_of_and_nothing_is_trained(enter, wait):
    session, lab = enter()
    choose(lab, "absent")
    lab.head.start.click()
    wait(lambda: "install something, or give “Data folder…”" in texts(session))
    assert lab.session.phase == "idle" and lab.order_card.isEnabled()
    assert not lab.head.save.isEnabled()


@pytest.mark.parametrize(
    "error", [RuntimeError("it broke"), DiffviewError("the loss became nan at step 3")]
)
def test_a_training_that_fails_says_so_and_another_can_start(enter, wait, monkeypatch, error):
    session, lab = enter()
    whole = PointsTask.loss

    def broken(task, network, indices, generator):
        raise error

    monkeypatch.setattr(PointsTask, "loss", broken)
    choose(lab)
    lab.head.start.click()
    wait(lambda: lab.session.phase == "failed")
    assert str(error) in texts(session) and lab.head.status.text().startswith("Failed at step 0")
    monkeypatch.setattr(PointsTask, "loss", whole)
    wait(lambda: not lab.desk.jobs.busy)
    assert lab.head.start.isEnabled()
    lab.head.start.click()
    wait(lambda: lab.session.phase == "done")
    assert str(error) not in texts(session), "the next training has begun: that is over"


def test_a_training_that_is_gone_on_with_says_whose_pictures_it_is_of(lab, wait, tmp_path):
    (tmp_path / "cats").mkdir()
    choose(lab, samples=ENDLESS)
    lab.order_card.use_data(tmp_path / "cats")
    lab.head.start.click()
    wait(lambda: lab._step > 0)
    lab.head.stop.click()
    wait(lambda: lab.order_card.offer.kept)
    lab.order_card.use_data(tmp_path)
    lab.order_card.begin.setCurrentIndex(lab.order_card.begin.count() - 1)
    assert lab.order_card.begin.currentText().endswith(" · cats")
    assert lab.order_card.remark.text() == f"Data: {tmp_path / 'cats'}"
    assert not lab.order_card.data.isEnabled(), "it keeps the data it was begun with"


def test_a_refused_checkpoint_is_told_of_while_it_trains_on(enter, wait, monkeypatch):
    session, lab = enter()

    def full(trainer, path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("diffview.training.loop.Trainer.save", full)
    train(lab, wait)
    wait(lambda: lab.session.phase == "done")
    assert "Free some space: save it as a model" in texts(session)
    assert "No checkpoint of step 20" in texts(session) and "there is none yet" in texts(session)
    assert texts(session).count("No checkpoint") == 1
    monkeypatch.undo()
    lab.session._settle("stopped")  # tried again
    wait(lambda: "No checkpoint" not in texts(session))


def test_the_curves_survive_both_themes_and_a_smaller_window(lab, wait):
    from diffview.ui import theme

    train(lab, wait)
    wait(lambda: lab.session.phase == "done")
    window = lab.window()
    for name in ("light", "dark"):
        window.use_theme(name)
        field = theme.current().colour("field")
        corner = lab.samples.view._tiles.pixels[0, 0, 0, :3]
        assert corner.tolist() == [field.red(), field.green(), field.blue()]
    window.resize(1000, 700)
    lab.loss.log.click()
    lab.loss.slider.setValue(0)
    assert lab.loss.smoothing == 1
    assert np.isclose(lab.loss.recent, lab.loss._losses[-1])
