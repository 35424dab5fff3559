"""Starting and ending: torch stays out at first, threads are joined, nothing is left changed."""

import faulthandler
import logging
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QFont
from PySide6.QtWidgets import QApplication, QComboBox

import diffview
from diffview.engine.trajectory import Trajectory
from diffview.errors import InputError
from diffview.ui import app
from diffview.ui.settings import Settings


def done(session):
    return not session.controller.activity.busy


def notice(session):
    bar = session.window.notices
    return bar.text.text() if bar.isVisible() else ""


@pytest.fixture
def own_folders(qapp, monkeypatch, tmp_path):
    """Settings and logs of this test alone."""
    monkeypatch.setattr(app.places, "folder", lambda kind: tmp_path / kind)
    return tmp_path


def run_script(script, tmp_path, **environment):
    """A fresh interpreter with folders of its own: (exit code, stdout, stderr)."""
    folders = {f"XDG_{kind}_HOME": str(tmp_path / kind) for kind in ("CONFIG", "STATE", "CACHE")}
    env = {**os.environ, **folders, **environment}
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=280, env=env
    )
    # The offscreen platform says this of every window.
    errors = ran.stderr.replace("This plugin does not support propagateSizeHints()\n", "")
    return ran.returncode, ran.stdout.strip(), errors


def test_a_window_is_built_in_the_font_it_is_shown_in(qapp, make_session):
    sheet, font = qapp.styleSheet(), qapp.font()
    qapp.setStyleSheet("")
    small = QFont(font)
    small.setPointSizeF(7)
    qapp.setFont(small)
    fields = make_session().window.findChildren(QComboBox)
    assert {field.font().pointSizeF() for field in fields} == {qapp.font().pointSizeF()}
    qapp.setStyleSheet(sheet)
    qapp.setFont(font)


FIRST_SECONDS = """
import sys
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication
from diffview.ui import app

show = app.Session.show

def watched(session):
    show(session)
    QApplication.processEvents()  # painted
    said = ["shown", session.window.isVisible(), "torch" in sys.modules]
    run = session.controller

    def look():
        if run.run is None or len(run.run) < 3:
            return
        said.extend(["denoises", run.run.spec.model_id, "torch" in sys.modules])
        timer.stop()
        session.window.close()

    timer = session.timer = QTimer(session.window, interval=20)
    timer.timeout.connect(look)
    timer.start()
    session.said = said
    app.said = said

app.Session.show = watched
# the first job waits for the event loop, which only begins once the window is there
code = app.main()
print(*app.said, code)
"""


def test_the_window_is_up_before_torch_and_denoises_the_bundled_model_by_itself(tmp_path):
    code, said, errors = run_script(FIRST_SECONDS, tmp_path)
    assert (code, errors) == (0, "")
    assert said in (
        "shown True False denoises fashion True 0",
        "shown True True denoises fashion True 0",  # the worker was quicker than the painting
    )


WITHOUT_A_RUN = """
import sys
from pathlib import Path
from PySide6.QtWidgets import QApplication
from diffview.ui.app import Session
from diffview.ui.settings import Settings

application = QApplication([])
settings = Settings(Path(sys.argv[0] or ".").parent / "nowhere" / "settings.json")
settings._values["autorun"] = False
session = Session(settings)
session.show()
for _ in range(20):
    application.processEvents()
print(session.window.isVisible(), "torch" in sys.modules)
session.close()
"""


def test_without_a_job_torch_is_never_imported(tmp_path):
    assert run_script(WITHOUT_A_RUN, tmp_path) == (0, "True False", "")


CLOSE_WHILE_LOADING = """
import sys
from PySide6.QtCore import QTimer
from diffview.ui import app

begin = app.Session._begin

def hasty(session, *rest):
    begin(session, *rest)
    QTimer.singleShot(300, session.window.close)  # torch is being imported now

app.Session._begin = hasty
print(app.main())
"""


def test_closing_in_the_first_moment_ends_quietly(tmp_path):
    assert run_script(CLOSE_WHILE_LOADING, tmp_path) == (0, "0", "")


INTERRUPTED = """
import os, signal, sys
from PySide6.QtCore import QTimer
from diffview.ui import app

begin = app.Session._begin

def interrupt(session, *rest):
    begin(session, *rest)
    QTimer.singleShot(300, lambda: os.kill(os.getpid(), signal.SIGINT))

app.Session._begin = interrupt
print(app.main())
"""


def test_an_interrupt_in_the_terminal_closes_the_window(tmp_path):
    assert run_script(INTERRUPTED, tmp_path) == (0, "0", "")


# -- main -----------------------------------------------------------------------------------------


def test_main_leaves_the_interpreter_as_it_found_it(own_folders, make_model):
    """explore() in a notebook: Ctrl+C, messages and the log work afterwards as before."""
    state = lambda: (  # noqa: E731
        sys.excepthook,
        signal.getsignal(signal.SIGINT),
        sys.getswitchinterval(),
        list(logging.getLogger("diffview").handlers),
        faulthandler.is_enabled(),
    )
    before = state()
    QTimer.singleShot(200, _close_windows)
    assert app.main(model=make_model()) == 0
    assert state() == before
    assert (own_folders / "log" / "diffview.log").exists()


def _close_windows():
    for widget in QApplication.topLevelWidgets():
        widget.close()


def test_main_works_twice(own_folders, make_model):
    for _ in range(2):
        QTimer.singleShot(200, _close_windows)
        assert app.main(model=make_model()) == 0


def test_a_file_that_is_not_there_is_refused_before_any_window(own_folders):
    with pytest.raises(InputError, match="does not exist"):
        app.main(file=str(own_folders / "nothing.dvsession"))


def test_where_no_log_can_be_kept_the_window_opens_and_says_so(
    qapp, monkeypatch, tmp_path, make_model
):
    (tmp_path / "file").touch()
    monkeypatch.setattr(app.places, "folder", lambda kind: tmp_path / "file" / "inside" / kind)
    seen = []

    def look():
        for widget in QApplication.topLevelWidgets():
            if widget.objectName() == "mainWindow":
                seen.append(widget.notices.text.text())
        _close_windows()

    QTimer.singleShot(400, look)
    assert app.main(model=make_model()) == 0
    assert len(seen) == 1 and "cannot be" in seen[0]


# -- what is shown first --------------------------------------------------------------------------


def test_a_model_of_this_process_is_run_at_once(make_session, wait):
    session = make_session(autorun=True)
    wait(lambda: done(session) and session.controller.run is not None)
    assert session.controller.run.spec.model_id == "fake"


def test_a_run_of_this_process_is_shown_and_its_model_is_there(make_session, make_model):
    model = make_model()
    run = diffview.sample(model, steps=6, label=1, seeds=range(3))
    session = make_session(model, run=run)
    assert session.controller.run is run.trajectory
    assert session.controller.look.index == 6
    assert session.controller.choices.n_steps == 6 and session.controller.choices.condition == 1
    assert session.controller.about["model"]["id"] == "fake"
    session.controller.scrub_to(2)
    assert np.array_equal(
        session.window.denoising.left.view._tiles.values[..., 0], run.x_t[2, :, 0]
    )


def test_a_run_without_its_model_is_shown_too(make_session, make_model, tmp_path):
    diffview.sample(make_model(), steps=6, label=1, seeds=range(3)).save(tmp_path / "a.dvsession")
    run = diffview.load(tmp_path / "a.dvsession")
    session = make_session(run=run)
    assert session.controller.run is run.trajectory
    assert "fake" in notice(session), "the model to run it again is not here"


def test_a_run_that_broke_off_before_its_first_step_is_told(make_session, make_model, network):
    network.fails_at = 0
    with pytest.raises(diffview.SamplingError) as broken:
        diffview.sample(make_model(), steps=6, label=1)
    session = make_session(make_model(), run=broken.value.run)
    assert "no steps" in notice(session)


def test_a_file_is_opened_first(make_session, make_model, tmp_path, wait):
    run = diffview.sample(make_model(), steps=6, label=1, seeds=range(3))
    run.save(tmp_path / "a.dvsession")
    session = make_session(make_model(), file=str(tmp_path / "a.dvsession"))
    wait(lambda: session.controller.run is not None)
    assert session.controller.run.spec == run.spec


def test_a_file_that_cannot_be_opened_leaves_a_window_that_works(
    make_session, make_model, tmp_path, wait
):
    (tmp_path / "a.dvsession").write_bytes(b"nonsense")
    session = make_session(make_model(), file=str(tmp_path / "a.dvsession"))
    wait(lambda: "a.dvsession" in notice(session))
    session.window.run_button.click()
    wait(lambda: done(session) and session.controller.run is not None)


@pytest.fixture
def bundled(settings):
    """Windows on the bundled models, as at one launch after the other; nothing is sampled."""
    opened = []

    def launch():
        settings.save(autorun=False)
        opened.append(app.Session(Settings(settings._path)))
        return opened[-1]

    yield launch
    for session in opened:
        session.window.close()
        session.window.deleteLater()


def test_the_last_choices_are_used_again_and_are_no_step_of_undo(bundled):
    first = bundled()
    first.controller.choose_steps(7)
    first.window.close()
    second = bundled()
    assert second.controller.choices == first.controller.choices
    assert second.controller.choices.n_steps == 7
    second.controller.undo()
    assert second.controller.choices.n_steps == 7


def test_a_look_at_a_model_of_this_process_does_not_overwrite_the_last_choices(
    make_session, settings
):
    remembered = {"version": 1, "mine": True}
    settings.save(choices=remembered)
    session = make_session()
    session.window.close()
    assert Settings(settings._path).get("choices", {}) == remembered


def test_without_any_model_the_reason_is_told(settings, monkeypatch):
    monkeypatch.setattr(app.jobs, "bundled_sources", dict)
    with pytest.raises(InputError, match="model"):
        app.Session(settings)


# -- while it runs --------------------------------------------------------------------------------


class Sender(QObject):
    sent = Signal()


def test_an_exception_in_a_slot_becomes_a_notice_and_the_window_lives(session, monkeypatch, qtbot):
    monkeypatch.setattr(sys, "excepthook", app._tell(session))
    sender = Sender()

    def broken():
        raise ZeroDivisionError("a slot of ours")

    sender.sent.connect(broken)
    sender.sent.emit()
    assert "a slot of ours" in notice(session)
    assert "Traceback" in session.window.notices.details.toPlainText()
    session.controller.scrub_to(3)
    assert session.controller.frame.i == 3


def test_an_exception_in_another_thread_is_told_from_this_one(session, monkeypatch, wait):
    hook = app._tell(session)
    told = threading.Thread(target=lambda: hook(ValueError, ValueError("elsewhere"), None))
    told.start()
    told.join()
    wait(lambda: "elsewhere" in notice(session))


@pytest.mark.slow
def test_the_bundled_model_from_start_to_export(settings, tmp_path, wait, qtbot):
    settings.save(autorun=True)
    session = app.Session(settings)
    try:
        session.controller.choose_seeds(0, 4)
        session.controller.choose_steps(8)
        session.show()
        wait(lambda: done(session) and session.controller.run is not None)
        run = session.controller.run
        assert isinstance(run, Trajectory) and run.complete and run.guided
        assert run.spec.model_id == "fashion" and run.data_shape == (1, 28, 28)
        assert session.controller.about["model"]["sha256"]
        session.window.files.save(run, tmp_path / "run.dvsession")
        wait(lambda: (tmp_path / "run.dvsession").exists() and not session.filing.busy)
        session.window.files.open(tmp_path / "run.dvsession")
        wait(lambda: session.controller.run is not run)
        assert session.controller.run.spec == run.spec
        assert "Saved" in notice(session), "the same weights: nothing to warn of"
    finally:
        session.window.close()
        session.window.deleteLater()


HUNG = """
import threading
from diffview.models.wrapped import wrap
from diffview.ui import app, workers
from PySide6.QtCore import QTimer

close = workers.JobRunner.close
workers.JobRunner.close = lambda runner: close(runner, 500)
reached = threading.Event()

def hang(x_t, t):
    reached.set()
    threading.Event().wait()

def look():
    if reached.is_set():
        for widget in app.QApplication.topLevelWidgets():
            widget.close()

timer = QTimer(interval=20)
timer.timeout.connect(look)
begin = app.Session._begin
app.Session._begin = lambda *args: (begin(*args), timer.start())
print(app.main(model=wrap(hang, shape=(1, 4, 4))))
"""


def test_a_network_that_never_answers_does_not_keep_the_process(tmp_path):
    code, said, errors = run_script(HUNG, tmp_path)
    assert (code, said) == (1, "0")
    assert "QThread" not in errors
