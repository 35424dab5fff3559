"""The export dialog from end to end: what is asked for is what lies on the disk."""

import json
import threading

import numpy as np
import pytest
from PIL import Image
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QDialog

from diffview import exporters
from diffview.engine import session as sessions
from diffview.exporters import job, recipe
from diffview.exporters.sequence import Sheets
from diffview.ui.export_dialog import PREVIEW_SIDE
from diffview.ui.files import fresh


@pytest.fixture
def dialog(session, tmp_path, wait):
    """The dialog, opened by the window's button, writing into tmp_path."""
    session.window.export_button.click()
    made = session.window.findChild(QDialog, "exportDialog")
    wait(made.isVisible)
    made.folder.setText(str(tmp_path / "out"))
    yield made


def choose(dialog, *formats):
    for name, box in dialog.formats.items():
        box.setChecked(name in formats)


def export(dialog, session, wait):
    dialog.start.click()
    wait(lambda: not session.filing.busy)
    return dialog.message.text()


def test_png_gif_and_numbers_are_written_as_chosen(dialog, session, tmp_path, wait):
    choose(dialog, "png", "gif", "safetensors")
    dialog.every.setValue(10)
    dialog.scale.setValue(2)
    dialog.caption.setChecked(False)
    said = export(dialog, session, wait)
    out, run = tmp_path / "out", session.controller.run
    assert str(out) in said and f"{len(list(out.iterdir()))} files" in said
    frames = sorted(out.glob("frame_*.png"))
    assert len(frames) == 6
    first = Image.open(frames[0])
    assert np.asarray(first).shape[:2] == dialog._picture.shape[:2]
    assert np.array_equal(np.asarray(first.convert("RGB")), dialog._picture), "as in the preview"
    gif = Image.open(out / "run.gif")
    assert gif.n_frames >= 6
    loaded, about = sessions.load(out / "trajectory.safetensors")
    assert loaded.spec == run.spec and np.array_equal(loaded[20].x_t, run[20].x_t)
    assert about["model"]["id"] == "fake"
    for file in (frames[2], out / "run.gif", out / "recipe.json"):
        assert recipe.read(file).spec == run.spec
    assert json.loads((out / "recipe.json").read_text())["shown"]["every"] == 10
    assert not list(tmp_path.glob("*.partial"))


def test_one_sample_and_one_quantity_alone(session, tmp_path, wait):
    session.controller.select_sample(5)
    session.window.commands.do("export")
    dialog = session.window.findChild(QDialog, "exportDialog")
    dialog.folder.setText(str(tmp_path / "out"))
    dialog.samples.setCurrentIndex(1)
    dialog.right.setCurrentIndex(dialog.right.findData(""))
    dialog.scale.setValue(1)
    dialog.caption.setChecked(False)
    export(dialog, session, wait)
    pixels = np.asarray(Image.open(tmp_path / "out" / "frame_0050.png").convert("L"))
    x = session.controller.run[50].x_t[5, 0]
    expected = np.rint((np.clip(x, -1, 1) + 1) * 127.5).astype(np.uint8)
    inside = [
        (r, c)
        for r in range(pixels.shape[0] - 7)
        for c in range(pixels.shape[1] - 7)
        if np.array_equal(pixels[r : r + 8, c : c + 8], expected)
    ]
    assert len(inside) == 1, "the sample's own pixels, once"


def test_every_declared_option_of_a_format_has_a_field_while_the_format_is_chosen(dialog):
    declared = {
        (info.name, option.name) for info in exporters.every().values() for option in info.options
    }
    assert declared
    for name, option in declared:
        field = dialog.format_options.field(name, option)
        choose(dialog, "gif")
        assert not field.isVisible()
        choose(dialog, name)
        assert field.isVisible() and field.toolTip()
    chosen = [info.name for info in exporters.every().values() if info.options]
    for name, options in dialog.format_options.values(chosen).items():
        info = exporters.find(name)
        assert options == {option.name: option.default for option in info.options}


def test_an_option_of_a_format_reaches_the_export(dialog):
    choose(dialog, "png")
    dialog.format_options.field("png", "compression").setValue(7)
    asked = []
    dialog.exportRequested.disconnect()
    dialog.exportRequested.connect(asked.append)
    dialog.start.click()
    assert asked[0].options == {"png": {"compression": 7.0}}
    dialog.show_end("")


def test_the_preview_is_drawn_and_follows_the_choices(dialog):
    before = dialog.size_label.text()
    assert not dialog.preview.pixmap().isNull()
    dialog.scale.setValue(5)
    assert dialog.size_label.text() != before


def test_a_large_picture_is_previewed_small_and_exported_as_large_as_told(dialog):
    dialog.scale.setValue(64)
    width, height = Sheets(dialog._run, dialog.selection()).size
    assert width > 2 * PREVIEW_SIDE
    assert max(dialog._picture.shape) <= PREVIEW_SIDE
    assert f"of {width} × {height} pixels" in dialog.size_label.text()


def test_without_a_format_nothing_can_be_started(dialog):
    choose(dialog)
    assert not dialog.start.isEnabled() and "format" in dialog.message.text()


def test_a_folder_that_is_there_and_not_ours_is_refused_and_untouched(
    dialog, session, tmp_path, wait
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    choose(dialog, "png")
    dialog.overwrite.setChecked(True)
    said = export(dialog, session, wait)
    assert str(tmp_path / "out") in said
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.txt"]
    assert dialog.start.isEnabled(), "another place can be tried"
    dialog.folder.setText(str(tmp_path / "other"))
    export(dialog, session, wait)
    assert (tmp_path / "other" / "recipe.json").exists()


def test_a_bare_name_goes_beside_the_proposed_folder(session, settings, tmp_path, wait):
    settings.save(export_folder=str(tmp_path))
    session.window.commands.do("export")
    dialog = session.window.findChild(QDialog, "exportDialog")
    dialog.every.setValue(50)
    dialog.folder.setText("mine")
    export(dialog, session, wait)
    assert (tmp_path / "mine" / "recipe.json").exists()


@pytest.mark.parametrize("name", ["", "   ", "~nobody_of_this_name/x", "a\0b", "x" * 300])
def test_a_folder_name_that_is_none_is_refused_in_words(
    dialog, session, tmp_path, wait, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    choose(dialog, "png")
    dialog.folder.setText(name)
    said = export(dialog, session, wait)
    assert said and "Something went wrong" not in said and "files are in" not in said
    assert dialog.start.isEnabled() and not dialog.progress.isVisible()
    assert list(tmp_path.glob("*.partial")) == []


def test_an_export_again_needs_and_takes_the_consent(dialog, session, tmp_path, wait):
    choose(dialog, "png")
    dialog.every.setValue(50)
    export(dialog, session, wait)
    refused = export(dialog, session, wait)
    assert "exists" in refused or "already" in refused
    dialog.overwrite.setChecked(True)
    assert "files are in" in export(dialog, session, wait)


@pytest.fixture
def gate(monkeypatch):
    """Every written frame waits for it."""
    event, real = threading.Event(), job._write

    def slowly(*args):
        for written in real(*args):
            event.wait(20)
            yield written

    monkeypatch.setattr(job, "_write", slowly)
    yield event
    event.set()


def test_cancel_is_acknowledged_at_once_and_leaves_nothing(dialog, session, tmp_path, wait, gate):
    choose(dialog, "png")
    dialog.start.click()
    wait(lambda: (tmp_path / "out.partial").exists())
    dialog.cancel.click()
    assert "Stopping" in dialog.message.text() and dialog.isVisible()
    QTest.keyClick(dialog, Qt.Key.Key_Escape)
    assert dialog.isVisible()
    gate.set()
    wait(lambda: not session.filing.busy)
    assert "nothing is left" in dialog.message.text()
    assert not list(tmp_path.glob("out*"))
    dialog.cancel.click()
    assert not dialog.isVisible()


def test_changes_while_it_runs_do_not_start_a_second_export(dialog, session, wait, gate):
    choose(dialog, "png")
    dialog.start.click()
    dialog.scale.setValue(3)
    dialog.caption.setChecked(False)
    assert not dialog.start.isEnabled()
    gate.set()
    wait(lambda: not session.filing.busy)
    assert dialog.start.isEnabled()


def test_progress_is_shown(dialog, session, wait, gate):
    choose(dialog, "png")
    dialog.start.click()
    assert dialog.progress.isVisible() and dialog.cancel.text() == "Cancel"
    gate.set()
    wait(lambda: not session.filing.busy)
    assert dialog.progress.value() == dialog.progress.maximum() == 51
    assert not dialog.progress.isVisible() and dialog.cancel.text() == "Close"


def test_exports_go_on_while_a_sampler_runs(dialog, session, tmp_path, network, wait):
    run = session.controller.run
    network.hold()
    session.controller.choose_condition(2)
    choose(dialog, "safetensors")
    export(dialog, session, wait)
    loaded, _ = sessions.load(tmp_path / "out" / "trajectory.safetensors")
    assert loaded.spec == run.spec


def test_a_preview_of_another_gamma_is_exported_as_shown(session, tmp_path, network, wait):
    session.controller.scrub_to(20)
    network.hold()
    session.controller.choose_guidance(6.0)
    session.window.commands.do("export")
    dialog = session.window.findChild(QDialog, "exportDialog")
    assert dialog.selection().guidance_scale == 6.0
    dialog.reject()


def test_there_is_nothing_to_export_before_the_first_step(make_session):
    session = make_session()
    assert not session.window.export_button.isEnabled()
    session.window.commands.do("export")
    assert "nothing to export" in session.window.notices.text.text()
    session.window.commands.do("save")
    assert "no run to save" in session.window.notices.text.text()


def test_a_proposed_folder_is_always_a_new_one(tmp_path):
    assert fresh(tmp_path / "run") == tmp_path / "run"
    for name in ("run", "run-2"):
        (tmp_path / name).mkdir()
    assert fresh(tmp_path / "run") == tmp_path / "run-3"
