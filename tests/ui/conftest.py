"""What the window's tests share: tiny models, a controller, a window, and a look for leftovers."""

import dataclasses
import gc
import threading
import time

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication, QMenu

from diffview.ui import workers
from diffview.ui.controller import Controller
from diffview.ui.jobs import ModelSource
from diffview.ui.settings import Settings
from diffview.ui.workers import JobRunner

PATIENCE = 20_000
"""How long a test waits before it calls something hung (ms); it never waits for time to pass."""


@pytest.fixture(autouse=True)
def folder_of_data(monkeypatch, tmp_path):
    """Models and trainings of the person who runs the tests are none of the tests' business."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(autouse=True)
def nothing_left_behind(request, monkeypatch):
    """Fails a test that leaves a running thread or a top-level widget behind."""
    runners = []
    create = JobRunner.__init__

    def remember(self, *args, **kwargs):
        create(self, *args, **kwargs)
        runners.append(self)

    monkeypatch.setattr(workers.JobRunner, "__init__", remember)
    threads, widgets = _threads(), _windows()
    yield
    running = [runner for runner in runners if runner._thread.isRunning()]
    for runner in running:  # a running QThread aborts the interpreter when it is collected
        runner.close()
    assert not running, f"{len(running)} job runners were left running"
    assert not (_threads() - threads), "a thread was left behind"
    left = _left(widgets)
    assert not left, f"top-level widgets were left behind: {left}"


def _threads():
    return {
        thread
        for thread in threading.enumerate()
        if not thread.daemon and not isinstance(thread, threading._DummyThread)
    }


def _windows():
    if QApplication.instance() is None:
        return set()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    return {widget for widget in QApplication.topLevelWidgets() if _is_own(widget)}


def _left(before):
    left = _windows() - before
    if left:  # in a cycle, perhaps
        del left
        gc.collect()
    return _windows() - before


def _is_own(widget):
    # Qt keeps its tool tip, and pyqtgraph the menus that we switch off.
    strange = isinstance(widget, QMenu) or widget.metaObject().className() == "QTipLabel"
    return widget.parent() is None and not strange


@pytest.fixture
def wait(qtbot):
    """Wait until something holds, patiently."""

    def until(condition):
        qtbot.waitUntil(condition, timeout=PATIENCE)

    return until


@pytest.fixture
def settings(tmp_path):
    return Settings(tmp_path / "config" / "settings.json")


class Network:
    """f(x_t, t, label) -> x_0, known in closed form: tanh(x_t) / 2 + (label + 1) / 10.

    Call `fails_at` raises, call `nan_at` yields NaN (calls count from 0); `pause` seconds a call.
    After `hold()` every call waits for its permit: `allow(n)`, or `release()` for good.
    """

    def __init__(self, pause=0.0, fails_at=None, nan_at=None):
        self.pause, self.fails_at, self.nan_at = pause, fails_at, nan_at
        self.calls = 0
        self._held, self._permits = False, threading.Semaphore(0)

    def hold(self):
        self._held = True
        return self

    def allow(self, calls):
        self._permits.release(calls)

    def release(self):
        self._held = False
        self._permits.release(10)

    def __call__(self, x_t, t, label=None):
        call, self.calls = self.calls, self.calls + 1
        if self._held:
            self._permits.acquire(timeout=PATIENCE / 1000)
        if self.pause:
            time.sleep(self.pause)
        if call == self.fails_at:
            raise RuntimeError("the fake network broke")
        x0 = 0.5 * x_t.tanh()
        if label is not None:
            x0 = x0 + (label + 1).float().reshape(-1, *[1] * (x_t.ndim - 1)) / 10
        return x0 * float("nan") if call == self.nan_at else x0


@pytest.fixture
def network():
    """A network that is let go of at the end, whatever the test did to it."""
    made = Network()
    yield made
    made.release()


@pytest.fixture
def make_model(network):
    """A model around `network` (or another callable) by diffview.wrap, of any shape and id."""
    from diffview.models.wrapped import wrap

    def make(network=network, *, id="fake", shape=(1, 8, 8), classes=4, null=4, **more):
        model = wrap(network, shape=shape, classes=classes, null=null, prediction="x0", **more)
        model.card = dataclasses.replace(model.card, id=id, title=id.capitalize())
        return model

    return make


def source(model):
    guidable = not model.card.classes or model.null_condition(1) is not None
    return ModelSource(model.card, lambda device: model, guidable=guidable)


@pytest.fixture
def make_source():
    return source


@pytest.fixture
def runner(qapp, network):
    made = JobRunner("sampling")
    yield made
    network.release()
    assert made.close()


@pytest.fixture
def make_controller(runner, make_model):
    """A controller of some models, by default of the fake one."""
    made = []

    def make(*models, **more):
        sources = {m.card.id: source(m) for m in models or [make_model()]}
        made.append(Controller(sources, runner, **more))
        return made[-1]

    yield make
    for controller in made:
        controller.close()


@pytest.fixture
def controller(make_controller):
    return make_controller()


@pytest.fixture
def heard():
    """heard(signal) is a list of all that the signal says from now on."""

    def listen(signal):
        said = []
        signal.connect(lambda *values: said.append(values[0] if len(values) == 1 else values))
        return said

    return listen


@pytest.fixture
def make_session(qtbot, settings, make_model, network):
    """The real window with everything behind it, on the fake model; closed at the end."""
    from diffview.ui.app import Session

    made = []

    def make(model=None, *, run=None, file=None, autorun=False, shown=True, settings=settings):
        settings.save(autorun=autorun)
        chosen = make_model() if model is None and run is None and file is None else model
        session = Session(settings, chosen, run, file)
        made.append(session)
        if shown:
            with qtbot.waitExposed(session.window, timeout=PATIENCE):
                session.show()
            session.window.activateWindow()
            qtbot.waitUntil(session.window.isActiveWindow, timeout=PATIENCE)
        return session

    yield make
    network.release()
    for session in made:
        session.window.close()
        session.close()
        session.window.deleteLater()


@pytest.fixture
def session(make_session, wait):
    """A window that shows a finished run of the fake model."""
    made = make_session()
    made.controller.request_run()
    wait(lambda: not made.controller.activity.busy)
    return made
