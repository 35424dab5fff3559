"""Opening, saving and dropping: what comes back, and what is refused without harm."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import QEvent, QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtWidgets import QApplication

from diffview.engine import session as sessions
from diffview.exporters import job, recipe
from diffview.exporters.sequence import Selection
from diffview.ui.files import as_session


def done(session):
    return not session.controller.activity.busy and not session.filing.busy


def notice(session):
    bar = session.window.notices
    return bar.text.text() if bar.isVisible() else ""


def drop(session, *paths):
    """Drag files over the window and let them go."""
    data = QMimeData()
    data.setUrls([QUrl(str(p)) if "://" in str(p) else QUrl.fromLocalFile(str(p)) for p in paths])
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    copy = Qt.DropAction.CopyAction
    enter = QDragEnterEvent(QPoint(300, 300), copy, data, left, none)
    QApplication.sendEvent(session.window, enter)
    if enter.isAccepted():
        event = QDropEvent(QPointF(300, 300), copy, data, left, none, QEvent.Type.Drop)
        QApplication.sendEvent(session.window, event)
    return enter.isAccepted()


@pytest.fixture
def exported(session, tmp_path):
    """An export of a run that differs from the one chosen afterwards."""
    folder = tmp_path / "exported"
    formats = ("png", "gif", "safetensors")
    run, about = session.controller.run, session.controller.about
    list(job.export(run, about, folder, formats, Selection(every=25)))
    return folder


@pytest.mark.parametrize("name", ["frame_0001.png", "run.gif", "recipe.json", ""])
def test_a_dropped_export_restores_the_choices_and_runs(session, exported, wait, name):
    made = session.controller.run
    session.controller.choose_steps(7)
    session.controller.choose_condition(2)
    wait(lambda: done(session))
    assert drop(session, exported / name)
    wait(lambda: done(session) and session.controller.run.spec == made.spec)
    assert session.controller.run is not made
    last, again = made[-1].x_t, session.controller.run[-1].x_t
    assert np.array_equal(last, again), "the same recipe gives the same bits"
    assert notice(session) == ""


def test_a_dropped_frame_comes_back_at_its_own_step(session, exported, wait):
    drop(session, exported / "frame_0001.png")
    step = recipe.read(exported / "frame_0001.png").step
    wait(lambda: done(session) and session.controller.run.complete)
    assert 0 < step < session.controller.run.spec.n_steps
    assert session.controller.run[session.controller.look.index].i == step


def test_a_recipe_of_given_noise_says_so_and_runs_nothing(session, exported, tmp_path, wait):
    """Its seeds would make other pictures than the ones in the file."""
    document = json.loads((exported / "recipe.json").read_text())
    document["about"]["init_noise"] = "given"
    (tmp_path / "recipe.json").write_text(json.dumps(document))
    before = session.controller.run
    drop(session, tmp_path / "recipe.json")
    wait(lambda: "noise that is not in this file" in notice(session))
    assert done(session) and session.controller.run is before


def test_a_branched_recipe_says_so_and_runs_nothing(session, exported, tmp_path, wait):
    """From x_T on, its settings would make other pictures than the ones in the file."""
    document = json.loads((exported / "recipe.json").read_text())
    origin = {"parent": document["spec"], "step": 20, "rows": [], "x_t": ""}
    document["spec"] = document["spec"] | {"origin": origin}
    (tmp_path / "recipe.json").write_text(json.dumps(document))
    before = session.controller.run
    drop(session, tmp_path / "recipe.json")
    wait(lambda: "left another one on its way" in notice(session) and done(session))
    assert session.controller.run is before


def test_a_run_is_known_by_its_content_and_not_by_its_name(session, tmp_path, wait, network):
    sessions.save(session.controller.run, tmp_path / "run.v2", session.controller.about)
    calls, before = network.calls, session.controller.run
    drop(session, tmp_path / "run.v2")
    wait(lambda: session.controller.run is not before)
    assert network.calls == calls


def test_a_dropped_trajectory_shows_its_frames_without_sampling(session, exported, network, wait):
    made, calls = session.controller.run, network.calls
    drop(session, exported / "trajectory.safetensors")
    wait(lambda: done(session) and session.controller.run is not made)
    assert np.array_equal(session.controller.run[7].x_t, made[7].x_t)
    assert network.calls == calls
    assert session.window.transport.scrubber.value() == 50


def test_save_and_open_a_session(session, tmp_path, wait, monkeypatch):
    made = session.controller.run
    ask = "diffview.ui.files.QFileDialog."
    monkeypatch.setattr(
        ask + "getSaveFileName", lambda *args: (str(tmp_path / "my run"), "Runs (*.dvsession)")
    )
    session.window.commands.do("save")
    wait(lambda: (tmp_path / "my run.dvsession").exists() and done(session))
    assert "Saved" in notice(session)
    session.controller.choose_condition(1)
    wait(lambda: done(session))
    path = str(tmp_path / "my run.dvsession")
    monkeypatch.setattr(ask + "getOpenFileName", lambda *args: (path, ""))
    session.window.commands.do("open")
    wait(lambda: done(session) and session.controller.choices.condition == 0)
    assert session.controller.run.spec == made.spec
    assert np.array_equal(session.controller.run[-1].x_t, made[-1].x_t)
    assert session.window.condition_panel.combo.currentIndex() == 0


@pytest.mark.parametrize("name", ["run.1", "v0.5 γ=3", "run.dvsession", "run.png"])
def test_a_session_is_always_saved_as_one(session, tmp_path, wait, monkeypatch, name):
    """A dot in the name is no suffix: what is saved can be opened again."""
    monkeypatch.setattr(
        "diffview.ui.files.QFileDialog.getSaveFileName", lambda *args: (str(tmp_path / name), "")
    )
    session.window.commands.do("save")
    wait(lambda: done(session))
    (saved,) = (p for p in tmp_path.iterdir() if p.is_file())
    assert saved.suffix == ".dvsession" and saved.name.startswith(name.removesuffix(".dvsession"))


def test_a_place_that_cannot_be_written_is_told(session, tmp_path, wait, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(
        "diffview.ui.files.QFileDialog.getSaveFileName",
        lambda *args: (str(tmp_path / "file" / "run.dvsession"), ""),
    )
    session.window.commands.do("save")
    wait(lambda: notice(session) != "")
    assert "could not be written" in notice(session) and "run.dvsession" in notice(session)


def test_a_session_of_a_model_that_is_not_here_opens_with_its_frames(session, tmp_path, wait):
    run = session.controller.run
    foreign = dataclasses.replace(run.spec, model_id="elsewhere")
    changed = type(run)(foreign, run.data_shape)
    for record in run:
        changed.append(record)
    sessions.save(
        changed, tmp_path / "a.dvsession", {"model": {"id": "elsewhere", "sha256": "ab"}}
    )
    drop(session, tmp_path / "a.dvsession")
    wait(lambda: notice(session) != "")
    assert "elsewhere" in notice(session) and "frames are shown" in notice(session)
    assert session.controller.run.spec == foreign
    assert session.controller.choices.model_id == "fake"
    assert session.controller.about["model"]["sha256"] == "ab"


def test_a_recipe_of_a_model_that_is_not_here_says_so_and_runs_nothing(session, tmp_path, wait):
    run = session.controller.run
    about = {"model": {"id": "elsewhere", "sha256": ""}}
    spec = dataclasses.replace(run.spec, model_id="elsewhere")
    foreign = type(run)(spec, run.data_shape)
    foreign.append(run[0])
    list(job.export(foreign, about, tmp_path / "out", ("png",)))
    drop(session, tmp_path / "out" / "frame_0000.png")
    wait(lambda: notice(session) != "")
    assert "elsewhere" in notice(session)
    assert session.controller.run is run and not session.controller.activity.busy


def test_a_session_with_many_samples_and_large_seeds(session, tmp_path, wait):
    run = session.controller.run
    seeds = tuple(range(2**40, 2**40 + 300))
    many = type(run)(dataclasses.replace(run.spec, seeds=seeds), run.data_shape)
    for record in run:
        arrays = {name: np.repeat(a, 19, axis=0)[:300] for name, a in record.arrays().items()}
        many.append(dataclasses.replace(record, **arrays))
    sessions.save(many, tmp_path / "many.dvsession", session.controller.about)
    drop(session, tmp_path / "many.dvsession")
    wait(lambda: session.controller.run.spec.batch == 300)
    assert session.controller.choices.seeds == seeds
    assert notice(session) == ""
    session.controller.select_sample(299)


def test_a_run_with_one_kept_step_can_be_opened(session, tmp_path, wait):
    run = session.controller.run
    short = type(run)(run.spec, run.data_shape)
    short.append(run[0])
    sessions.save(short, tmp_path / "short.dvsession", session.controller.about)
    drop(session, tmp_path / "short.dvsession")
    wait(lambda: len(session.controller.run) == 1)
    assert session.controller.frame.i == 0


# -- nonsense -------------------------------------------------------------------------------------


def zipped(folder):
    with zipfile.ZipFile(folder / "a.zip", "w") as file:
        file.writestr("../../evil.txt", "evil")
    return folder / "a.zip"


def plain_picture(folder):
    Image.new("L", (8, 8)).save(folder / "plain.png")
    return folder / "plain.png"


def huge_picture(folder):
    """A PNG that says it has 20,000² pixels and carries a recipe that is none."""
    Image.new("1", (20_000, 20_000)).save(folder / "huge.png")
    return folder / "huge.png"


def truncated(folder):
    plain_picture(folder)
    (folder / "cut.png").write_bytes((folder / "plain.png").read_bytes()[:40])
    return folder / "cut.png"


def pointer(folder):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 5\n"
    (folder / "model.safetensors").write_text(text)
    return folder / "model.safetensors"


def cut_session(folder):
    (folder / "cut.dvsession").write_bytes(b"\xff\0\0\0\0\0\0\0{")
    return folder / "cut.dvsession"


def empty(folder):
    (folder / "empty.dvsession").touch()
    return folder / "empty.dvsession"


def newer_recipe(folder):
    (folder / "recipe.json").write_text(json.dumps({"diffview": "9", "recipe": 99}))
    return folder / "recipe.json"


def missing(folder):
    return folder / "not there.dvsession"


def plain_folder(folder):
    (folder / "pictures").mkdir()
    return folder / "pictures"


def looped(folder):
    (folder / "loop.png").symlink_to(folder / "loop.png")
    return folder / "loop.png"


@pytest.mark.parametrize(
    "make",
    [zipped, huge_picture, truncated, pointer, cut_session, empty, newer_recipe,
     missing, plain_folder, looped],
)  # fmt: skip
def test_nonsense_gives_a_notice_with_its_name_and_changes_nothing(session, tmp_path, wait, make):
    run, choices = session.controller.run, session.controller.choices
    path = make(tmp_path)
    drop(session, path)
    wait(lambda: notice(session) != "")
    assert path.name in notice(session)
    assert "Something went wrong" not in notice(session), "our own words, not Python's"
    assert (session.controller.run, session.controller.choices) == (run, choices)
    assert not session.filing.busy
    session.controller.scrub_to(3)
    assert session.controller.frame.i == 3


def test_what_is_only_called_a_picture_is_said_to_be_none(session, tmp_path, wait):
    (tmp_path / "holiday.png").write_text("not a picture at all")
    drop(session, tmp_path / "holiday.png")
    wait(lambda: "holiday.png is no picture" in notice(session))


def test_a_picture_without_a_recipe_goes_to_the_forward_process(session, tmp_path, wait):
    run = session.controller.run
    drop(session, plain_picture(tmp_path))
    wait(lambda: session.window.central.name == "forward")
    assert session.controller.run is run


def test_a_picture_with_a_recipe_restores_its_run_in_whatever_workspace(session, exported, wait):
    session.window.central.go_to("forward")
    run = session.controller.run
    drop(session, exported / "run.gif")
    wait(lambda: session.controller.run is not run and done(session))
    assert session.window.central.name == "forward"


def test_an_address_of_the_net_is_refused_in_words(session, wait):
    drop(session, "https://example.org/model.safetensors")
    wait(lambda: notice(session) != "")
    assert "file" in notice(session)


def test_of_several_files_the_first_is_opened_and_that_is_told(session, exported, wait):
    drop(session, exported / "run.gif", exported / "recipe.json")
    wait(lambda: done(session) and "run.gif" in notice(session))


def test_what_is_dropped_after_closing_is_ignored(session, exported):
    session.window.close()
    drop(session, exported / "run.gif")
    assert not session.filing.busy


def test_a_name_that_is_completed_replaces_no_other_session(tmp_path):
    (tmp_path / "run.dvsession").touch()
    assert as_session(tmp_path / "run").name == "run-2.dvsession"
    assert as_session(tmp_path / "run.dvsession").name == "run.dvsession", "asked and answered"
