"""Starting the window: settings, threads, the first run. torch is imported by the worker alone."""

from __future__ import annotations

import atexit
import faulthandler
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Any

from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication, QWidget

import diffview
from diffview import places
from diffview.engine import spec as specs
from diffview.errors import InputError
from diffview.ui import jobs, state, theme
from diffview.ui.commands import PREFERENCES
from diffview.ui.controller import Controller
from diffview.ui.dialogs import LEAST_MB, MOST_MB
from diffview.ui.jobs import ModelSource
from diffview.ui.log_notices import LogNotices
from diffview.ui.reading_signs import ReadingSigns
from diffview.ui.settings import Settings
from diffview.ui.state import Notice
from diffview.ui.window import MainWindow
from diffview.ui.workers import JobRunner

SWITCH_INTERVAL = 0.0005
LOG_BYTES = 1_000_000
MOST_TRACE = 20_000
"""Bytes of a crash's trace that are shown."""

log = logging.getLogger("diffview")


class Session:
    """The window with everything behind it; `close()` joins the threads."""

    def __init__(
        self,
        settings: Settings,
        model: Any = None,
        run: Any = None,
        file: str | None = None,
    ) -> None:
        self.settings = settings
        self._runners: list[JobRunner] = []
        self.sampling, self.filing = self._runner("sampling"), self._runner("files")
        sources = jobs.bundled_sources()
        if model is not None:
            sources.pop(model.card.id, None)
            sources = {model.card.id: _given(model), **sources}
        if not sources:
            raise InputError(
                "the bundled models are missing: install diffview again, or open your own from "
                "Python with diffview.explore(diffview.wrap(network, ...))"
            )
        self.controller = Controller(
            sources, self.sampling, budget=_budget(settings), decoder=self._runner("decoding")
        )
        dress = settings.get("theme", PREFERENCES["theme"])
        theme.use(dress)
        self.window = MainWindow(self.controller, self.filing, settings, self._runner)
        self.window.use_theme(dress)
        self.window.closed.connect(self.close)
        self._log_notices = LogNotices(self.window)
        self._log_notices.noticed.connect(self.window.tell)
        self._reading_signs = ReadingSigns(self.window)
        self._reading_signs.told.connect(self.window.status.show_reading)
        self.window.library.listed.connect(self._on_listed)
        self._waiting = False
        self._begin(model, run, file)
        self.window.library.list_own()

    def _runner(self, name: str) -> JobRunner:
        """A job runner that is closed with the session."""
        self._runners.append(JobRunner(name))
        return self._runners[-1]

    @property
    def busy(self) -> bool:
        """Whether any thread has work."""
        return any(runner.busy for runner in self._runners)

    def _begin(self, model: Any, run: Any, file: str | None) -> None:
        """Show what was asked for; else go on where the last window stopped."""
        if run is not None:
            spec = run.trajectory.spec
            problem = self.controller.restore(state.from_spec(spec), run.about, spec.origin)
            self.controller.show_run(run.trajectory, run.about)
            self.window.files.saved = run.trajectory  # whoever gave it has it
            if problem:
                self.controller.noticed.emit(Notice(problem, "warning"))
        elif file is not None:
            self.window.files.open(places.expanded(file))
        else:
            self._waiting = model is None and not self._recall()
            if not self._waiting:
                self._start()
        self.controller.forget_past()

    def _start(self) -> None:
        """The first run, where one is wanted; of a large model it is asked for."""
        autorun = self.settings.get("autorun", PREFERENCES["autorun"])
        if autorun and not state.is_large(self.controller.card):
            # Not before: importing torch would keep the window from being painted.
            self._first_paint = _FirstPaint(
                self.window.central.current, self.controller.request_run
            )

    def _on_listed(self) -> None:
        """A person's own models are there: the one of the last launch among them, perhaps."""
        if self._waiting:
            self._waiting = False
            self._recall()
            self._start()
            self.controller.forget_past()

    def _recall(self) -> bool:
        """Choose as the last launch did; says whether the model of that is there."""
        remembered = self.settings.get("choices", {})
        try:
            if remembered:
                choices = state.from_spec(specs.from_json(remembered))
                if choices.model_id not in self.controller.shelf.sources:
                    return False
                self.controller.restore(choices)
        except InputError as error:
            log.warning("the remembered choices cannot be used: %s", error)
        return True

    def show(self) -> None:
        """Show the window, and what went wrong while starting."""
        self.window.show()
        self.window.activateWindow()
        if self.settings.trouble:
            self.window.notices.show_notice(Notice(self.settings.trouble, "warning"))

    def close(self) -> None:
        """Stop every job and join the threads; harmless a second time."""
        self._log_notices.close()
        self._reading_signs.close()
        self.controller.close()
        for runner in self._runners:
            if runner not in _stuck and not runner.close():
                _give_up(runner)


_stuck: list[JobRunner] = []


def _give_up(runner: JobRunner) -> None:
    """A step that does not end: destroying its thread would abort, so the process just ends."""
    log.error("a thread did not stop in time")
    if not _stuck:
        atexit.register(_leave)
    _stuck.append(runner)


def _leave() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def _budget(settings: Settings) -> int:
    """Bytes for a run, whatever stands in the file."""
    megabytes = settings.get("budget_mb", PREFERENCES["budget_mb"])
    return int(max(LEAST_MB, min(megabytes, MOST_MB))) * 1024**2


class _FirstPaint(QObject):
    """Calls `then` once, when the widget has been painted for the first time."""

    def __init__(self, widget: QWidget, then: Callable[[], None]) -> None:
        super().__init__(widget)
        self._then = then
        widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Wait for the painting to end, and for the rest of the window's."""
        if event.type() == QEvent.Type.Paint:
            watched.removeEventFilter(self)
            QTimer.singleShot(0, self, lambda: self._then())
        return False


def _given(model: Any) -> ModelSource:
    """A model that lives in this process."""
    guidable = not model.card.classes or model.null_condition(1) is not None
    return ModelSource(model.card, lambda device: model, guidable=guidable)


def main(file: str | None = None, model: Any = None, run: Any = None) -> int:
    """Open the window and stay until it is closed. Raises InputError where none can be opened."""
    _check_display()
    if file is not None and not places.expanded(file).exists():
        raise InputError(f"{file} does not exist: give a session, a model, or an exported file")
    # Spinning OpenMP workers would steal the GUI's core; torch reads this when it is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app = _application()
    config = places.folder("config")
    settings = Settings(None if config is None else config / "settings.json")
    with _log_kept(settings) as crash, _interpreter_borrowed():
        session = Session(settings, model, run, file)
        sys.excepthook = _tell(session)
        _quit_on_interrupt(session.window)
        session.show()
        if crash is not None:
            session.window.tell(crash)
        try:
            return int(app.exec())
        finally:
            session.close()
            session.window.deleteLater()
            app.sendPostedEvents(session.window, QEvent.Type.DeferredDelete)


_own: list[QApplication] = []
"""The application, if it is ours: it must outlive every widget, also for a second window."""


def _application() -> QApplication:
    """The process's own application, such as a notebook's, or a new one."""
    running = QApplication.instance()
    if isinstance(running, QApplication):
        return running
    app = QApplication(["diffview"])
    app.setApplicationName("diffview")
    app.setApplicationVersion(diffview.__version__)
    app.setDesktopFileName("diffview")
    _own.append(app)
    return app


def _check_display() -> None:
    """Qt aborts the process where there is no display; say what to do instead."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise InputError(
            "there is no display, so no window can be opened: use 'diffview sample --out DIR', or "
            "start a display first"
        )


@contextmanager
def _log_kept(settings: Settings) -> Iterator[Notice | None]:
    """A rotating log file, and a place for the traces of crashes, while the window is open.

    Yields what is to be told of a crash of the launch before.
    """
    crash = None
    folder = places.folder("log")
    with ExitStack() as kept:
        try:
            if folder is None:
                raise OSError("there is no home folder")
            folder.mkdir(parents=True, exist_ok=True)
            _keep_log(folder / "diffview.log", kept)
            crash = _found_crash(folder / "crash.log")
            _keep_traces(folder / "crash.log", kept)
        except OSError as error:
            where = "" if folder is None else f" in {folder}"
            settings.trouble = settings.trouble or f"No log can be kept{where}: {error}"
        yield crash


def _found_crash(file: Path) -> Notice | None:
    """The trace that a crash left behind; it is set aside, so that it is told once."""
    if faulthandler.is_enabled() or not file.exists() or not file.stat().st_size:
        return None
    aside = file.with_name("crash-before.log")
    file.replace(aside)
    with aside.open("rb") as trace:
        trace.seek(max(0, aside.stat().st_size - MOST_TRACE))
        details = trace.read().decode("utf-8", "replace")
    text = f"diffview crashed the last time; a report of that should have {aside} with it"
    return Notice(text, "warning", details)


def _keep_log(file: Path, kept: ExitStack) -> None:
    handler = RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=3)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    kept.callback(handler.close)
    log.addHandler(handler)
    kept.callback(log.removeHandler, handler)


def _keep_traces(file: Path, kept: ExitStack) -> None:
    if not faulthandler.is_enabled():  # a notebook or a test has its own place for them
        faulthandler.enable(kept.enter_context(file.open("a")))
        kept.callback(faulthandler.disable)


@contextmanager
def _interpreter_borrowed() -> Iterator[None]:
    """What a window changes of the interpreter is as before when a notebook goes on."""
    interval, hook = sys.getswitchinterval(), sys.excepthook
    interrupt = signal.getsignal(signal.SIGINT)
    sys.setswitchinterval(SWITCH_INTERVAL)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)
        sys.excepthook = hook
        signal.signal(signal.SIGINT, interrupt or signal.default_int_handler)


def _tell(session: Session) -> Any:
    """An exception in a slot becomes a message in the window; the window lives on."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            session.window.close()
            return
        details = "".join(traceback.format_exception(kind, error, trace))
        log.error("unexpected: %s", details)
        text = f"Something unexpected went wrong: {kind.__name__}: {error}"
        # By a signal: it may be another thread's exception.
        session.controller.noticed.emit(Notice(text, "error", details))

    return hook


def _quit_on_interrupt(window: QWidget) -> None:
    """Ctrl+C in the terminal closes the window: Python needs a moment now and then to see it."""
    signal.signal(signal.SIGINT, lambda *_: window.close())
    timer = QTimer(window)
    timer.timeout.connect(lambda: None)
    timer.start(200)
