"""The 2-D lab under a stopwatch: frames of moving particles, beside pyqtgraph's own plots.

A frame is all that happens between a moved scrubber and a free event loop: paths, samples, cards,
film strip, and the particles painted, while the field of that step is computed in its thread. The
other side draws the same points alone, with ScatterPlotItem as dots and with numpy.histogram2d and
ImageItem as a histogram. Both take turns, frame by frame. Work is the processor time of the
window's thread in a frame of ours: what a busy machine leaves alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np
from PySide6.QtCore import QSize
from PySide6.QtWidgets import QApplication

MODEL = "moons"
SERIES = {"plane.dots": 10_000, "plane.histogram": 100_000}
BINS, REACH = 300, 2.0


def frames(session: Any, rounds: int, wait: Callable[..., None]) -> Iterator[dict[str, Any]]:
    """Milliseconds of each frame, ours and theirs, for both numbers of particles."""
    controller, central = session.controller, session.window.central
    controller.choose_model(MODEL)
    wait(lambda: controller.run is not None and controller.run.spec.model_id == MODEL)
    wait(lambda: controller.run.complete and not controller.activity.busy)
    central.go_to("plane")
    page = central.current
    wait(lambda: page.lab.answer is not None)
    for name, count in SERIES.items():
        paths = _put_particles(page.lab, controller, count)
        other = _Other(name == "plane.histogram", page.explore.plane.size())
        for step in range(len(paths)):  # the fields of all steps, each drawn once
            controller.scrub_to(step)
            wait(lambda: page.lab.answer.asked.level == page.lab.level)
        steps = [k % len(paths) for k in range(rounds)]
        ours, work, theirs = zip(*_turns(controller, other, paths, steps), strict=True)
        other.close()
        size = page.explore.plane.size()
        pixels = f"{size.width()}x{size.height()}"
        facts = {"pixels": pixels, "work_median_ms": round(median(work), 2)}
        yield {"series": name, "ms": ours, "other_ms": theirs, "facts": facts}


def _turns(
    controller: Any, other: _Other, paths: Any, steps: Any
) -> Iterator[tuple[float, float, float]]:
    """Milliseconds of our frame, of the processor on it, and of theirs."""
    for step in steps:
        began, used = time.perf_counter(), time.thread_time()
        controller.scrub_to(step)
        QApplication.processEvents()
        ours, work = time.perf_counter(), time.thread_time() - used
        other.show_points(paths[step])
        QApplication.processEvents()
        yield 1e3 * (ours - began), 1e3 * work, 1e3 * (time.perf_counter() - ours)


def _put_particles(lab: Any, controller: Any, count: int) -> np.ndarray[Any, Any]:
    """Draws of x_t at every level, which cost less than to follow so many particles there."""
    from dataclasses import replace

    from diffview.models.exact.particles import Particles
    from diffview.models.exact.toys import toys

    rng = np.random.default_rng(0)
    clean, _ = toys()[MODEL].mixture.sample(count, rng)
    eps = rng.standard_normal(clean.shape)
    levels = controller.run.levels
    paths = np.stack([level.alpha * clean + level.sigma * eps for level in levels])
    paths = paths.astype(np.float32)
    spec = replace(controller.run.spec, seeds=(0,), origin=None)
    lab.count = count
    lab.particles = Particles(spec, paths, ready=count)
    lab.refresh()
    return paths


class _Other:
    """A plot of pyqtgraph's, as large as ours."""

    def __init__(self, histogram: bool, size: QSize) -> None:
        import pyqtgraph as pg

        self._histogram = histogram
        self._plot = pg.PlotWidget()
        self._plot.resize(size)
        self._plot.setXRange(-REACH, REACH)
        self._plot.setYRange(-REACH, REACH)
        self._item: Any = pg.ImageItem() if histogram else pg.ScatterPlotItem(size=3, pen=None)
        self._plot.addItem(self._item)
        self._plot.show()
        QApplication.processEvents()

    def show_points(self, places: np.ndarray[Any, Any]) -> None:
        """Draw these places (n, 2)."""
        if not self._histogram:
            self._item.setData(x=places[:, 0], y=places[:, 1])
            return
        edges = np.linspace(-REACH, REACH, BINS + 1)
        counts, _, _ = np.histogram2d(places[:, 0], places[:, 1], bins=[edges, edges])
        self._item.setImage(counts, autoLevels=False, levels=(0, 20))

    def close(self) -> None:
        """Take it away."""
        self._plot.close()
