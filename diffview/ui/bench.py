"""The real window under a stopwatch; `diffview.bench` starts this in a process of its own.

    python -m diffview.ui.bench JOB '{"folder": ..., ...}'      one JSON object a line on stdout

Events are posted to the widgets as a mouse would send them. A frame counts as painted when both
panes' paintEvent has returned after the controller told of the frame that was asked for; flushed
when the event loop is free again, so that all else on the window was painted and handed over too.
Work is the processor time of the window's thread in between: what a busy machine leaves alone.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from PySide6.QtCore import QCoreApplication, QEvent, QEventLoop, QObject, QPointF, Qt, QTimer, Slot
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QApplication, QLabel, QMainWindow, QWidget

SAMPLES, GAMMA = 16, 3.0
PATIENCE_MS = 300_000
TICK_MS = 16
DRAG_MOVES = 60
POLL_MS = 5

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton


def main(job: str, options: dict[str, Any]) -> None:
    """Do one job and end the process; there is nothing to save or to join."""
    app = QApplication(["diffview"])
    for line in JOBS[job](options):
        print(json.dumps(line), flush=True)
    app.processEvents()
    sys.stdout.flush()
    os._exit(0)


# ---- moving a slider ----------------------------------------------------------------------------


def scrub(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Milliseconds from a moved scrubber to painted panes, and the gaps of a timer."""
    session = _session(options, autorun=False)
    _sample(session, options)
    yield {"series": "scrub.idle_gap", "p95": _p95(_gaps(None, options["gap_seconds"]))}
    yield _moves("scrub.idle", session, options["moves"], _scrub_targets(session))
    sampling = _Sampling(session)
    yield _moves("scrub.sampling", session, options["moves"], _scrub_targets(session, sampling))
    yield {"series": "scrub.gap", "ms": _gaps(sampling, options["gap_seconds"])}


def guidance(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Milliseconds from a moved γ to this step painted anew, and to the whole run."""
    session = _session(options, autorun=False)
    _sample(session, options)
    yield _moves("guidance.step", session, options["moves"], _guidance_targets(session))
    drags = [_drag(session, k) for k in range(options["drags"])]
    merged = {key: [drag[key] for drag in drags] for key in ("first", "all", "bare", "paints")}
    yield {"series": "guidance.drags", "steps": options["steps"], **merged}


def plane(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Milliseconds of the 2-D lab's frames, and of another's with the same particles."""
    from diffview.ui import bench_plane

    session = _session(options | {"model": "fashion"}, autorun=False)
    yield from bench_plane.frames(session, options["rounds"], _wait)


Target = tuple[Any, QPointF, Callable[[Any], bool]]
"""Where to move the mouse, and how to know the frame that follows."""


def _scrub_targets(session: Any, sampling: _Sampling | None = None) -> Iterator[Target]:
    scrubber, controller = session.window.transport.scrubber, session.controller
    draw = random.Random(0)
    while True:
        if sampling is not None:
            sampling.keep_up()
        # The last step that can be reached is where a following look may go by itself.
        index = draw.choice([k for k in range(scrubber.last()) if k != scrubber.value()])
        yield scrubber, scrubber.handle_centre(index), _shows_step(controller.run[index].i)


def _guidance_targets(session: Any) -> Iterator[Target]:
    slider, controller = session.window.guidance_panel.slider, session.controller
    draw = random.Random(0)
    while True:
        gamma = draw.choice([g / 10 for g in range(101)])
        if gamma != controller.choices.guidance_scale:
            yield slider, slider.handle_centre(gamma), _shows_gamma(gamma)


def _shows_step(i: int) -> Callable[[Any], bool]:
    return lambda frame: frame.i == i


def _shows_gamma(gamma: float) -> Callable[[Any], bool]:
    return lambda frame: abs(frame.guidance_scale - gamma) < 1e-9


def _moves(name: str, session: Any, count: int, targets: Iterator[Target]) -> dict[str, Any]:
    watch, draw = _Stopwatch(session), random.Random(1)
    painted, flushed, work = [], [], []
    slider, pos, _ = next(targets)
    _post(slider, QEvent.Type.MouseButtonPress, slider.handle_centre(), LEFT)
    for _ in range(count):
        _pause(draw.randint(5, 25))
        slider, pos, right = next(targets)
        watch.start(right)
        _post(slider, QEvent.Type.MouseMove, pos)
        watch.wait()
        painted.append(watch.painted_ms)
        flushed.append(watch.flushed_ms)
        work.append(watch.work_ms)
    _post(slider, QEvent.Type.MouseButtonRelease, pos, LEFT)
    facts = {"flushed_median_ms": median(flushed), "work_median_ms": median(work)}
    return {"series": name, "ms": painted, "facts": facts}


def _drag(session: Any, number: int) -> dict[str, float]:
    """Drag γ for a second at the last step, and wait for what the last move brings."""
    slider, controller, watch = (
        session.window.guidance_panel.slider,
        session.controller,
        _Stopwatch(session),
    )
    controller.scrub_to(len(controller.run) - 1)
    goal = 2.0 + number
    _post(slider, QEvent.Type.MouseButtonPress, slider.handle_centre(), LEFT)
    for k in range(DRAG_MOVES):
        _post(slider, QEvent.Type.MouseMove, slider.handle_centre(9 - 3 * k / DRAG_MOVES))
        _pause(TICK_MS)
    paints = watch.paints
    # Only a frame that mixes old and new samples has no key: it cannot be cached.
    watch.start(lambda frame: frame.key is None and _shows_gamma(goal)(frame))
    began = time.perf_counter()
    _post(slider, QEvent.Type.MouseMove, slider.handle_centre(goal))
    watch.wait()
    first = watch.painted_ms
    _wait(lambda: controller.run.spec.guidance.scale == goal and controller.run.complete)
    whole = 1000 * (time.perf_counter() - began)
    _post(slider, QEvent.Type.MouseButtonRelease, slider.handle_centre(goal), LEFT)
    _wait(lambda: not controller.activity.busy)
    return {"first": first, "all": whole, "bare": _bare_ms(controller), "paints": paints}


def _bare_ms(controller: Any) -> float:
    """The network calls that the first samples' new run needs, alone, in milliseconds."""
    import torch

    from diffview.ui.first_look import FEW, STEPS

    # What the sampling thread uses; it is idle now, and the window may stand still for once.
    model = controller.source.model()
    x = torch.zeros(2 * FEW, *model.data_shape, device=model.device)
    t = torch.full((2 * FEW,), 500, device=model.device)
    label = torch.zeros(2 * FEW, dtype=torch.int64, device=model.device)
    began = time.perf_counter()
    with torch.no_grad():
        for _ in range(min(STEPS, controller.run.spec.n_steps)):
            model.network(x, t, label).cpu()
    return 1000 * (time.perf_counter() - began)


def _post(widget: QWidget, kind: QEvent.Type, pos: QPointF, button: Any = NONE) -> None:
    held = NONE if kind == QEvent.Type.MouseButtonRelease else LEFT
    everywhere = widget.mapToGlobal(pos)
    event = QMouseEvent(kind, pos, everywhere, button, held, Qt.KeyboardModifier.NoModifier)
    QCoreApplication.postEvent(widget, event)


class _Stopwatch(QObject):
    """From `start` until the frame that is `right` was painted in both panes."""

    def __init__(self, session: Any) -> None:
        super().__init__()
        self.paints = 0
        self.painted_ms = self.flushed_ms = self.work_ms = 0.0
        self._views = (session.window.denoising.left.view, session.window.denoising.right.view)
        self._right: Callable[[Any], bool] | None = None
        self._missing: set[QWidget] | None = None
        self._loop = QEventLoop()
        for view in self._views:
            view.installEventFilter(self)
        session.controller.frameChanged.connect(self._on_frame)

    def start(self, right: Callable[[Any], bool]) -> None:
        """From now on."""
        self._right, self._missing = right, None
        self._began, self._used = time.perf_counter(), time.thread_time()

    def wait(self) -> None:
        """Until it has been painted and flushed."""
        _within(self._loop, "the frame that was asked for was never painted")

    @Slot(object)
    def _on_frame(self, frame: Any) -> None:
        if self._right is not None and self._missing is None and self._right(frame):
            self._missing = set(self._views)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Let the pane paint, then look at the clock."""
        if event.type() != QEvent.Type.Paint:
            return False
        watched.event(event)
        self.paints += 1
        if self._missing and watched in self._missing:
            self._missing.discard(watched)
            if not self._missing:
                self.painted_ms = 1000 * (time.perf_counter() - self._began)
                self.work_ms = 1000 * (time.thread_time() - self._used)
                QTimer.singleShot(0, self, self._on_flushed)
        return True

    @Slot()
    def _on_flushed(self) -> None:
        self.flushed_ms = 1000 * (time.perf_counter() - self._began)
        self._right = self._missing = None
        self._loop.quit()


# ---- sampling meanwhile -------------------------------------------------------------------------


class _Sampling:
    """Keeps the sampler running: a run that ends is followed by the next."""

    def __init__(self, session: Any) -> None:
        self._controller = session.controller
        self._enough = min(5, session.controller.choices.n_steps)

    def keep_up(self) -> None:
        """Return with a run under way that has a few steps to choose from."""
        if self._controller.activity.busy and len(self._controller.run) >= self._enough:
            return
        if not self._controller.activity.busy:
            before = self._controller.run
            self._controller.request_run()
            _wait(lambda: self._controller.run is not before)
        _wait(lambda: len(self._controller.run) >= self._enough)


def _gaps(sampling: _Sampling | None, seconds: float) -> list[float]:
    """Milliseconds between the ticks of a 60 Hz timer in the window's thread."""
    ticks: list[float] = []
    timer = QTimer()
    timer.setTimerType(Qt.TimerType.PreciseTimer)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    gaps: list[float] = []
    while sum(gaps) < 1000 * seconds:
        if sampling is not None:
            sampling.keep_up()
        ticks.clear()
        timer.start(TICK_MS)
        _pause(500)
        timer.stop()
        gaps += [1000 * (b - a) for a, b in pairwise(ticks)]
    return gaps


def _p95(values: list[float]) -> float:
    return round(sorted(values)[int(0.95 * (len(values) - 1))], 2)


# ---- starting -----------------------------------------------------------------------------------


def window(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Seconds from the start of the process to our window, painted; and what was imported."""
    alone = options.get("alone", False)
    session = _session(options, autorun=not alone, show=False)
    _show(session, session.window.denoising.left.view)
    seconds = time.time() - options["began"]
    yield {"seconds": seconds, "modules": _modules() if alone else []}


def bare(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Seconds from the start of the process to an empty window that imported the same."""
    import importlib

    for name in options["modules"]:
        importlib.import_module(name)
    empty, label = QMainWindow(), QLabel("diffview")
    empty.setCentralWidget(label)
    empty.resize(1280, 800)
    _show(empty, label)
    yield {"seconds": time.time() - options["began"]}


def frame(options: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Seconds from torch being imported to the first denoised frame, painted."""
    torch = _Torch()
    session = _session(options, autorun=True, show=False)
    _show(session, session.window.denoising.left.view)
    shown = time.time() - options["began"]
    watch = _Stopwatch(session)  # not before: the window's own first run waits for that paint
    watch.start(lambda frame: True)
    watch.wait()
    seconds = time.perf_counter() - torch.imported
    yield {"seconds": seconds, "torch": torch.imported - torch.began, "shown": shown}


class _Torch(QObject):
    """When the sampling thread began and ended to import torch, to a few milliseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.began = self.imported = 0.0
        self._timer = QTimer(self)
        self._timer.timeout.connect(self._on_tick)
        self._timer.start(POLL_MS)

    @Slot()
    def _on_tick(self) -> None:
        module = sys.modules.get("torch")
        if module is None:
            return
        self.began = self.began or time.perf_counter()
        # The import system's own mark on a module whose code still runs.
        if not getattr(module.__spec__, "_initializing", False):
            self.imported = time.perf_counter()
            self._timer.stop()


def _modules() -> list[str]:
    """All that is imported, in the order in which it came."""
    return [name for name in sys.modules if _importable(name)]


def _importable(name: str) -> bool:
    # Some modules only exist once another one has made them.
    spec = getattr(sys.modules[name], "__spec__", None)
    return spec is not None and spec.name == name and name != "__main__"


def _show(shown: Any, painted: QWidget) -> None:
    """Show, and return when `painted` was painted and the event loop is free."""
    loop, seen = QEventLoop(), _FirstPaint()
    painted.installEventFilter(seen)
    seen.then = loop.quit
    shown.show()
    _within(loop, "the window was never painted")
    painted.removeEventFilter(seen)


class _FirstPaint(QObject):
    then: Callable[[], None]

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Once painted, say so as soon as the event loop is free."""
        if event.type() == QEvent.Type.Paint:
            QTimer.singleShot(0, self.then)
        return False


# ---- the window ---------------------------------------------------------------------------------


def _session(options: dict[str, Any], *, autorun: bool, show: bool = True) -> Any:
    """The window with everything behind it, as a first launch makes it, on empty settings."""
    from diffview.models import catalog
    from diffview.ui import app
    from diffview.ui.settings import Settings

    sys.setswitchinterval(app.SWITCH_INTERVAL)
    settings = Settings(Path(options["folder"]) / "settings.json")
    settings.save(autorun=autorun)
    entry = catalog.find(options["model"])
    file = None if entry.bundled else str(entry.path)
    session = app.Session(settings, file=file)
    if show:
        _show(session, session.window.denoising.left.view)
        _wait(lambda: session.controller.card.id == entry.card.id)
    return session


def _sample(session: Any, options: dict[str, Any]) -> None:
    """A finished run to look at."""
    from diffview.ui.state import Choices

    controller = session.controller
    label = 7 % len(controller.card.classes)
    controller.restore(
        Choices(
            controller.card.id,
            n_steps=options["steps"],
            guidance_scale=GAMMA,
            condition=label,
            seeds=tuple(range(SAMPLES)),
        )
    )
    controller.request_run()
    spec = controller.choices.spec(controller.card)
    _wait(
        lambda: (
            controller.run is not None and controller.run.spec == spec and controller.run.complete
        )
    )
    _wait(lambda: not controller.activity.busy)


# ---- waiting ------------------------------------------------------------------------------------


def _pause(milliseconds: int) -> None:
    loop = QEventLoop()
    QTimer.singleShot(milliseconds, loop.quit)
    loop.exec()


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not until():
        if time.monotonic() > deadline:
            raise SystemExit("the window did not do what it was asked for")
        _pause(POLL_MS)


def _within(loop: QEventLoop, otherwise: str) -> None:
    timer = QTimer(singleShot=True)
    timer.timeout.connect(lambda: loop.exit(1))
    timer.start(PATIENCE_MS // 5)
    if loop.exec():
        raise SystemExit(otherwise)


JOBS = {
    "scrub": scrub,
    "guidance": guidance,
    "plane": plane,
    "window": window,
    "bare": bare,
    "frame": frame,
}

if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
