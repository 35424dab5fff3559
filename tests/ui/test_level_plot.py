"""The plot of the levels: built late, noise on the left, a click goes to the nearest step."""

import subprocess
import sys

import pytest
from PySide6.QtCore import QPoint, Qt

from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.ui import theme
from diffview.ui.views.level_plot import LevelPlot

LEVELS = [
    NoiseLevel(float(t), (1 - t / 1000) ** 0.5, (t / 1000) ** 0.5) for t in range(999, 0, -111)
] + [CLEAN]


@pytest.fixture
def plot(qtbot, qapp):
    theme.apply(qapp, theme.DARK)
    made = LevelPlot()
    qtbot.addWidget(made)
    made.resize(260, 190)
    made.show()
    made.show_levels(LEVELS)
    qtbot.waitUntil(lambda: made.findChild(object, "levelCurves") is not None)
    qtbot.wait(20)
    return made


def x_of(plot, index):
    return plot.position_of(index).x()


def test_importing_and_building_the_widget_does_not_load_pyqtgraph():
    code = (
        "import sys\n"
        "from PySide6.QtWidgets import QApplication\n"
        "app = QApplication(['test', '-platform', 'offscreen'])\n"
        "from diffview.ui.views.level_plot import LevelPlot\n"
        "plot = LevelPlot()\n"
        "plot.show()\n"
        "assert 'pyqtgraph' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_noise_is_on_the_left(plot):
    assert x_of(plot, 0) < x_of(plot, 4) < x_of(plot, len(LEVELS) - 1)


def test_click_asks_for_the_nearest_step(plot, qtbot):
    for index in (0, 3, len(LEVELS) - 1):
        with qtbot.waitSignal(plot.stepRequested) as caught:
            pos = plot.position_of(index).toPoint() + QPoint(2, 20)
            qtbot.mouseClick(plot, Qt.MouseButton.LeftButton, pos=pos)
        assert caught.args == [index]


def test_telling_it_says_nothing(plot):
    asked = []
    plot.stepRequested.connect(asked.append)
    for index in range(len(LEVELS)):
        plot.show_cursor(index)
    plot.show_cursor(10_000)
    plot.show_levels(LEVELS[:4])
    plot.show_theme(theme.current())
    assert asked == []


def test_the_cursor_follows_once_for_all_that_moved_it(plot, qtbot):
    line = plot._line
    for index in (1, 5, 3):
        plot.show_cursor(index)
    qtbot.waitUntil(lambda: line.value() == LEVELS[3].t)


def test_snr_has_no_infinite_point(plot, qtbot):
    button = next(b for b in plot.findChildren(object) if b.property("which") == "snr")
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    plot.show_cursor(len(LEVELS) - 1)
    plot.grab()


def test_levels_given_before_it_is_seen_are_drawn_when_it_is(qtbot, qapp):
    plot = LevelPlot()
    qtbot.addWidget(plot)
    plot.show_levels(LEVELS)
    plot.show_cursor(3)
    plot.show()
    qtbot.waitUntil(lambda: plot.findChild(object, "levelCurves") is not None)
    qapp.processEvents()
    theme.apply(qapp, theme.LIGHT)
    plot.grab()


@pytest.mark.parametrize("levels", [[], [CLEAN], [CLEAN, CLEAN]])
def test_a_run_without_extent_is_no_error(plot, levels):
    plot.show_levels(levels)
    plot.show_cursor(0)
    plot.grab()
