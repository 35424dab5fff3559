"""A point as an arrow from the origin: its end lies where the point is."""

import numpy as np
import pytest

from diffview.frames import vector


def reddish(picture):
    """(row, column) of the pixels that are more amber than the lines and the ground."""
    colours = picture[..., :3].astype(int)
    return np.argwhere(colours[..., 0] - colours[..., 2] > 60)


@pytest.mark.parametrize("point", [(1.5, 0.0), (0.0, 2.0), (-1.0, -1.5)])
def test_the_arrow_reaches_from_the_origin_to_the_point_and_y_points_up(point):
    found = reddish(vector.arrow(np.array(point, np.float32), "x0hat"))
    scale = vector.SIDE / (2 * vector.EXTENT)
    x, y = (found[:, 1] + 0.5) / scale - vector.EXTENT, vector.EXTENT - (found[:, 0] + 0.5) / scale
    along = (x * point[0] + y * point[1]) / np.hypot(*point)
    assert along.max() == pytest.approx(np.hypot(*point) + vector.HEAD, abs=0.1)
    assert along.min() == pytest.approx(0, abs=0.1)
    assert np.abs(x * point[1] - y * point[0]).max() / np.hypot(*point) <= vector.HEAD + 0.1


def test_a_point_far_outside_is_drawn_at_the_edge():
    found = reddish(vector.arrow(np.array([99.0, 0.0], np.float32), "x0hat"))
    assert found[:, 1].max() >= vector.SIDE - 4
