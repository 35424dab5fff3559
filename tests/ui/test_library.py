"""A person's models in the window: dropped, kept, remembered, fetched, refused."""

import importlib.util
import shutil
from pathlib import Path

import pytest
import torch
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QMessageBox
from safetensors.torch import load_file

from diffview.engine import session as sessions
from diffview.errors import DiffviewError
from diffview.models import catalog, hf, recent, sampling
from diffview.models.hf import hub, single
from diffview.models.hf.hub import File, Found, Progress
from diffview.models.reading import Reading
from diffview.ui.hub_dialog import HubDialog
from diffview.ui.state import Notice

pytest.importorskip("diffusers")
pytest.importorskip("transformers")

BUILDERS = Path(__file__).parents[1] / "models" / "hf" / "builders.py"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A tiny Stable Diffusion."""
    spec = importlib.util.spec_from_file_location("hf_builders_of_ui", BUILDERS)
    builders = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builders)
    torch.manual_seed(0)
    made = tmp_path_factory.mktemp("people") / "tiny-sd"
    builders.make_sd().save_pretrained(made)
    return made


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setitem(sampling.DEFAULTS, "steps", 3)


@pytest.fixture
def models():
    return catalog.models_folder()


def drop(session, path):
    data, copy = QMimeData(), Qt.DropAction.CopyAction
    data.setUrls([QUrl.fromLocalFile(str(path))])
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(
        session.window, QDragEnterEvent(QPoint(300, 300), copy, data, left, none)
    )
    QApplication.sendEvent(session.window, QDropEvent(QPointF(300, 300), copy, data, left, none))


def done(session):
    return not session.controller.activity.busy and not any(r.busy for r in session._runners)


def notice(session):
    bar = session.window.notices
    return bar.text.text() if bar.isVisible() else ""


def facts(session):
    return session.window.model_panel.facts.toPlainText()


def test_a_dropped_folder_is_denoised_told_of_and_prompted(make_session, folder, wait):
    session = make_session()
    session.controller.choose_seeds(0, 2)
    drop(session, folder)
    wait(lambda: session.controller.choices.model_id == "tiny-sd" and done(session))
    run, panel = session.controller.run, session.window.model_panel
    assert run.complete and run.data_shape == (4, 8, 8) and run.spec.condition is None
    for words in ("a StableDiffusionPipeline folder", "scaled_linear, T 1000", "σ/α from",
                  "CLIP's states of an empty prompt", "AutoencoderKL of z / 0.18215",
                  "not stated", "unet/diffusion_pytorch_model.safetensors"):  # fmt: skip
        assert words in facts(session)
    assert "as float32" in panel.memory.text() and "are free" in panel.memory.text()
    assert recent.paths()[0] == folder
    # Words to show and words to avoid, as they are typed.
    words = session.window.condition_panel
    QTest.keyClicks(words.prompt, "a cat")
    QTest.keyClick(words.prompt, Qt.Key.Key_Return)
    words.fold.button.click()
    QTest.keyClicks(words.negative, "dog")
    QTest.keyClick(words.negative, Qt.Key.Key_Return)
    wait(lambda: done(session) and session.controller.run.spec.negative == "dog")
    assert session.controller.run.spec.condition == "a cat"
    assert session.controller.run.guided
    wait(lambda: session.controller.frame.lens in ("preview", "decoded"))
    # Other numbers: the model is opened anew, and says so in what it computes.
    before = session.controller.run
    panel.numbers.setCurrentText("bfloat16")
    wait(lambda: done(session) and session.controller.run is not before)
    assert "as bfloat16" in panel.memory.text()
    difference = abs(session.controller.run[-1].x_t - before[-1].x_t).max()
    assert difference > 0
    assert notice(session) == ""


@pytest.fixture
def launch(settings, qapp):
    """The window as a person starts it, on the bundled models and their own."""
    from diffview.ui.app import Session

    made = []

    def start():
        made.append(Session(settings))
        return made[-1]

    settings.save(autorun=False)
    yield start
    for session in made:
        session.window.close()
        session.close()
        session.window.deleteLater()


def test_models_that_are_kept_are_listed_and_the_last_one_is_gone_on_with(
    launch, folder, models, wait
):
    shutil.copytree(folder, models / "kept")
    shutil.copytree(folder, models / "broken")
    (models / "broken" / "model_index.json").write_text("{")
    first = launch()
    wait(lambda: "kept" in first.controller.shelf.sources)
    assert "broken" not in first.controller.shelf.sources
    assert first.controller.choices.model_id != "kept", "listing is not choosing"
    first.controller.choose_model("kept")
    wait(lambda: done(first))
    first.window.close()
    second = launch()
    wait(lambda: second.controller.choices.model_id == "kept")
    assert not second.controller.activity.busy, "as the preferences say"


def test_a_saved_run_finds_its_model_by_the_weights_wherever_it_went(
    make_session, folder, models, tmp_path, wait
):
    entry = catalog.find(str(folder))
    spec = sampling.spec_for(entry.card, seeds=(0,), options={})
    run = sampling.trajectory_for(entry.card, spec)
    for _ in sampling.sample_into(run, sampling.open_model(entry, "cpu")):
        pass
    sessions.save(run, tmp_path / "a.dvsession", sampling.about(entry.card))
    session = make_session()
    shutil.copytree(folder, models / "renamed")
    drop(session, tmp_path / "a.dvsession")
    wait(lambda: session.controller.run is not None and done(session))
    assert session.controller.choices.model_id == "renamed"
    assert notice(session) == ""
    wait(lambda: session.controller.frame.lens == "decoded")


def test_what_cannot_be_opened_is_told_with_what_to_do(
    session, folder, tmp_path, wait, monkeypatch
):
    run, choices = session.controller.run, session.controller.choices

    def told(path, words):
        drop(session, path)
        wait(lambda: words in notice(session))
        assert (session.controller.run, session.controller.choices) == (run, choices)

    told(tmp_path, "without model_index.json (a diffusers model)")
    told(folder / "unet" / "diffusion_pytorch_model.safetensors", f"open the folder {folder}")
    strange = shutil.copytree(folder, tmp_path / "strange")
    index = (strange / "model_index.json").read_text()
    (strange / "model_index.json").write_text(index.replace('"diffusers"', '"my_code"'))
    told(strange, "which is not on the list of what is opened here; nothing was imported")
    monkeypatch.setattr(hf, "is_installed", lambda name: False)
    told(folder, "python -m pip install 'diffview[hf]'")


def test_a_checkpoint_is_converted_when_a_person_agrees(session, tmp_path, wait, models):
    torch.save({single.FIRST: torch.zeros(8, 9, 3, 3)}, tmp_path / "inpaint.ckpt")

    def asked():
        drop(session, tmp_path / "inpaint.ckpt")
        wait(lambda: session.window.findChild(QMessageBox, "convertQuestion") is not None)
        return session.window.findChild(QMessageBox, "convertQuestion")

    question = asked()
    assert "could run code" in question.text() and "tensors alone" in question.informativeText()
    question.reject()
    wait(lambda: session.window.findChild(QMessageBox, "convertQuestion") is None)
    assert not models.exists()
    asked().buttons()[0].click()
    wait(lambda: "takes 9 channels: models for inpainting" in notice(session))
    assert (models / "inpaint.safetensors").exists()


# -- the hub ----------------------------------------------------------------------------------

FOUND = Found("owner/tiny", "abc", "StableDiffusionPipeline", (File("unet/a.safetensors", 10**9),))


@pytest.fixture
def dialog(session, wait):
    session.window.commands.do("fetch")
    return session.window.library._dialog


def test_a_model_of_the_hub_is_looked_at_asked_for_and_opened(
    session, dialog, folder, models, wait, monkeypatch
):
    def fetch(found, place):
        yield Progress(10**8, 10**9, "unet/a.safetensors")
        shutil.copytree(folder, place / found.folder_name)
        yield Progress(10**9, 10**9, str(place / found.folder_name))

    monkeypatch.setattr(hub, "look", lambda name: FOUND)
    monkeypatch.setattr(hub, "fetch", fetch)
    assert not dialog.fetch.isEnabled()
    QTest.keyClicks(dialog.id, "owner/tiny")
    QTest.keyClick(dialog.id, Qt.Key.Key_Return)
    wait(lambda: "1 files, 1.0 GB" in dialog.about.text())
    assert str(models / "owner--tiny") in dialog.about.text()
    assert dialog.files.topLevelItem(0).text(0) == "unet/a.safetensors"
    assert not models.exists(), "nothing comes before it was asked for"
    dialog.fetch.click()
    wait(lambda: session.controller.choices.model_id == "owner/tiny")
    wait(lambda: session.window.library._dialog is None and done(session))


def test_a_fetch_can_be_cancelled_and_says_that_it_goes_on_later(
    session, dialog, wait, monkeypatch
):
    closed = []

    def fetch(found, place):
        try:
            for k in range(10**9):
                yield Progress(k, 10**9, "unet/a.safetensors")
        finally:
            closed.append(True)

    monkeypatch.setattr(hub, "look", lambda name: FOUND)
    monkeypatch.setattr(hub, "fetch", fetch)
    dialog.id.setText("owner/tiny")
    dialog.look.click()
    wait(lambda: dialog.fetch.isEnabled())
    dialog.fetch.click()
    wait(lambda: "of 1.0 GB" in dialog.told.text())
    assert "owner/tiny is not here whole" in session.window._losses()[0]
    dialog.cancel.click()
    assert "Stopping" in dialog.told.text(), "at once"
    wait(lambda: "go on from there" in dialog.told.text())
    assert closed and dialog.fetch.isEnabled()
    assert session.window._losses() == []


def test_without_a_connection_the_dialog_says_why_and_can_be_tried_again(
    session, dialog, wait, monkeypatch
):
    def look(name):
        raise DiffviewError("'owner/tiny' is not here, and the hub cannot be reached (no net)")

    monkeypatch.setattr(hub, "look", look)
    dialog.id.setText("owner/tiny")
    dialog.look.click()
    wait(lambda: "cannot be reached (no net)" in dialog.told.text())
    assert dialog.look.isEnabled() and not dialog.fetch.isEnabled()
    assert notice(session) == "", "once is enough"


def test_a_model_that_is_here_is_opened_and_not_fetched_again(
    session, dialog, folder, models, wait, monkeypatch
):
    shutil.copytree(folder, models / "owner--tiny")
    monkeypatch.setattr(hub, "look", lambda name: FOUND)
    dialog.id.setText("owner/tiny")
    dialog.look.click()
    wait(lambda: dialog.fetch.isEnabled())
    assert "is here already" in dialog.about.text() and dialog.fetch.text() == "Open"
    dialog.fetch.click()
    wait(lambda: session.controller.choices.model_id == "owner/tiny" and done(session))


def test_the_models_opened_last_are_in_a_menu(session, folder, wait):
    recent.remember(folder)
    menu = session.window.model_panel.recent
    menu.aboutToShow.emit()
    (entry,) = menu.actions()
    assert folder.name in entry.text()
    menu.triggered.emit(entry)
    wait(lambda: session.controller.choices.model_id == "tiny-sd" and done(session))


@pytest.mark.parametrize("mirror", ["huggingface.co", "a-mirror.of-some-company.example.com"])
def test_the_reason_why_the_hub_is_not_reached_is_never_cut_off(qtbot, mirror):
    made = HubDialog()
    qtbot.addWidget(made)
    made.show()
    made.show_trouble(
        f"'owner/a-rather-long-name-of-a-model' is not here, and the hub cannot be reached (the "
        f"name {mirror} is not found: Name or service not known): give a folder, or try again "
        "with a connection, or ask for another model, or set HF_ENDPOINT to a mirror of the hub"
    )
    qtbot.waitUntil(lambda: made.told.height() >= made.told.heightForWidth(made.told.width()))
    below = made.told.geometry().bottom()
    assert below < made.cancel.geometry().top() and made.cancel.geometry().bottom() < made.height()


def test_what_was_told_of_a_model_is_over_when_another_is_chosen(session, wait):
    """A model that failed to open, weights that are not finite: neither is true of the next."""
    session.window.tell(Notice("sd/unet lacks tensor 'a'", "error", topic="open"))
    session.window.tell(Notice("x0_hat became NaN", "error", topic="run"))
    assert "lacks" in notice(session) and "NaN" in notice(session)
    controller = session.controller
    controller.choose_model(next(i for i in controller.shelf.sources if "moons" in i))
    assert notice(session) == ""
    wait(lambda: done(session))


def test_a_folder_of_pickles_is_converted_when_a_person_agrees(
    session, folder, tmp_path, wait, models
):
    old = shutil.copytree(folder, tmp_path / "old")
    for file in old.glob("*/*.safetensors"):
        name = "pytorch_model" if file.stem == "model" else file.stem
        torch.save(load_file(file), file.with_name(f"{name}.bin"))
        file.unlink()
    drop(session, old)
    wait(lambda: session.window.findChild(QMessageBox, "convertQuestion") is not None)
    question = session.window.findChild(QMessageBox, "convertQuestion")
    assert question.text() == "old has weights that are Python pickles, which could run code."
    assert "write them as a folder old to your models" in question.informativeText()
    question.buttons()[0].click()
    wait(lambda: session.controller.choices.model_id == "old" and done(session))
    assert session.controller.source.entry.path == models / "old"


def test_how_far_a_large_file_is_read_stands_in_the_status_bar(session):
    bar = session.window.status
    bar.show_reading(Reading("the weights of sd/unet", 10**9, 4 * 10**9))
    assert bar.remaining.text() == "reading the weights of sd/unet: 1.0 GB of 4.0 GB"
    assert bar.progress.isVisible() and bar.progress.value() == 250
    bar.show_reading(Reading("sd", 2, 5, "parts"))
    assert bar.remaining.text() == "reading sd: 2 of 5 parts"
    bar.show_reading(Reading("sd", 5, 5, "parts"))
    assert bar.remaining.text() == "" and not bar.progress.isVisible()
