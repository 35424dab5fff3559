"""Closing is asked about only where work would be lost; a crash is told of at the next start."""

import dataclasses
import faulthandler
import threading

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox

from diffview.ui import app
from diffview.ui.closing import LONG, loss_of


def question(session):
    return session.window.findChild(QMessageBox, "closeQuestion")


def button(session, text):
    return next(b for b in question(session).buttons() if b.text() == text)


@pytest.fixture
def long_run(session):
    """The shown run, as if it had taken two minutes."""
    run = session.controller.run
    slow = type(run)(run.spec, run.data_shape)
    for record in run:
        slow.append(dataclasses.replace(record, seconds=2 * LONG / len(run)))
    session.controller.show_run(slow, session.controller.about)
    return slow


def test_a_short_run_is_no_loss(session):
    assert loss_of(session.controller.run, None, busy=False) == []
    session.window.close()
    assert question(session) is None and not session.window.isVisible()


def test_a_long_run_that_is_not_saved_is_asked_about(session, long_run, wait):
    session.window.close()
    assert session.window.isVisible() and "2 min" in question(session).text()
    button(session, "Stay").click()
    wait(lambda: question(session) is None)
    assert session.window.isVisible()
    session.window.close()
    button(session, "Close").click()
    wait(lambda: not session.window.isVisible())
    assert not session.sampling._thread.isRunning()


def test_escape_stays_and_closing_again_closes(session, long_run, wait):
    session.window.close()
    QTest.keyClick(question(session), Qt.Key.Key_Escape)
    wait(lambda: question(session) is None)
    assert session.window.isVisible()
    session.window.close()
    session.window.close()
    assert not session.window.isVisible()


def test_a_saved_run_is_no_loss(session, long_run, tmp_path, wait):
    session.window.files.save(long_run, tmp_path / "run.dvsession")
    wait(lambda: not session.filing.busy)
    session.window.close()
    assert not session.window.isVisible()


def test_an_opened_run_is_no_loss(session, long_run, tmp_path, wait):
    session.window.files.save(long_run, tmp_path / "run.dvsession")
    wait(lambda: not session.filing.busy)
    session.window.files.open(tmp_path / "run.dvsession")
    wait(lambda: session.controller.run is not long_run)
    session.window.close()
    assert not session.window.isVisible()


def test_what_is_being_written_is_asked_about(session, tmp_path, monkeypatch, wait):
    from diffview.ui import jobs

    gate = threading.Event()
    save = jobs.save_session

    def slowly(*args):
        gate.wait(20)
        yield from save(*args)

    monkeypatch.setattr(jobs, "save_session", slowly)
    session.window.files.save(session.controller.run, tmp_path / "run.dvsession")
    session.window.close()
    assert session.window.isVisible() and "run.dvsession" in question(session).text()
    gate.set()
    wait(lambda: not session.filing.busy)
    button(session, "Stay").click()
    wait(lambda: question(session) is None)
    session.window.close()
    assert not session.window.isVisible() and (tmp_path / "run.dvsession").exists()


# -- a crash --------------------------------------------------------------------------------------


@pytest.fixture
def no_faulthandler():
    """As in a process of its own: pytest has its own place for traces."""
    enabled = faulthandler.is_enabled()
    faulthandler.disable()
    yield
    if enabled:
        faulthandler.enable()


def test_the_trace_of_a_crash_is_told_once_and_kept(tmp_path, no_faulthandler):
    log = tmp_path / "crash.log"
    log.write_text("Fatal Python error: Segmentation fault\n")
    told = app._found_crash(log)
    assert "crash-before.log" in told.text and "Segmentation fault" in told.details
    assert told.kind == "warning"
    assert app._found_crash(log) is None
    assert (tmp_path / "crash-before.log").read_text().startswith("Fatal")


def test_no_crash_is_no_message(tmp_path, no_faulthandler):
    assert app._found_crash(tmp_path / "crash.log") is None
    (tmp_path / "crash.log").touch()
    assert app._found_crash(tmp_path / "crash.log") is None
