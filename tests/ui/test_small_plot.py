"""The small plots' axes name what they show."""

import numpy as np
import pytest

from diffview.ui.views.small_plot import Series, SmallPlot


@pytest.mark.parametrize(
    ("low", "high", "names"),
    [
        (0.6, 1.6, ["1"]),
        (0.7, 0.9, []),
        (1.5, 7.0, ["2", "5"]),
        (0.03, 40.0, ["0.1", "1", "10"]),
    ],
)
def test_a_logarithmic_axis_has_names_also_within_a_decade(qtbot, low, high, names):
    plot = SmallPlot("S", log_x=True, log_y=True)
    qtbot.addWidget(plot)
    plot.show_series(np.array([0.1, 0.5]), [Series(np.array([low, high]), "x_t")])
    ticks = plot._ticks_y()
    assert len(ticks) >= 2 and {*names} <= {name for _, name in ticks}
    for place, name in ticks:
        assert 10.0**place == pytest.approx(float(name), rel=0.006)
