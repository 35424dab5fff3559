"""Grids of cells: where their values lie, and how points are counted in them."""

import numpy as np
import pytest

from diffview.errors import InputError
from diffview.models.exact.grid import Grid

NARROW = {"low": (-1.0, -2.0), "high": (1.0, 2.0), "size": (4, 5)}


def test_a_grid_has_its_values_in_the_middle_of_its_cells():
    grid = Grid(**NARROW)
    assert grid.points()[0].tolist() == [-0.75, -1.6]
    assert grid.points()[1].tolist() == pytest.approx([-0.75, -0.8])
    assert grid.shaped(grid.points())[3, 0].tolist() == [0.75, -1.6]
    assert grid.cell == pytest.approx(0.5 * 0.8)
    np.testing.assert_array_equal(grid.rows(7, 11), grid.points()[7:11])


def test_points_are_counted_in_the_cells_they_lie_in_and_the_others_told():
    grid = Grid(**NARROW)
    counts, outside = grid.counts([*grid.points(), [0.75, 1.6], [5.0, 0.0]])
    assert counts[3, 4] == 2
    assert (counts.sum(), outside) == (21, 1)


@pytest.mark.parametrize(
    "wrong", [{"size": (4,)}, {"size": (0, 4)}, {"low": (1.0, 0.0)}, {"high": (np.inf, 1.0)}]
)
def test_what_is_no_grid_is_refused(wrong):
    with pytest.raises(InputError, match="grid"):
        Grid(**(NARROW | wrong))
