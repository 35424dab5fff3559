"""Histograms against densities: what the definition says, and what chance makes."""

import math

import numpy as np
import pytest

from diffview.models.exact.distance import distance


def test_a_histogram_of_the_density_itself_is_as_near_as_the_floor_says():
    cells = np.random.default_rng(0).dirichlet(np.ones(100)).reshape(10, 10)
    counts = np.random.default_rng(5).multinomial(50_000, cells.ravel()).reshape(10, 10)
    made = distance(counts.astype(float), 0, np.log(cells))
    assert made.tv == pytest.approx(made.tv_floor, rel=0.3)
    # 2 n KL is about chi-squared with 99 degrees of freedom.
    assert made.kl == pytest.approx(99 / (2 * 50_000), rel=0.4)
    assert made.kl_floor == pytest.approx(99 / (2 * 50_000), rel=0.4)


def test_distances_are_those_of_the_definition():
    log_cells = np.log([0.5, 0.25, 0.25])
    made = distance(np.array([3.0, 1.0, 0.0]), 0, log_cells)
    assert made.tv == pytest.approx(0.25)
    assert made.kl == pytest.approx(0.75 * math.log(1.5))
    assert distance(np.array([2.0, 1.0, 1.0]), 4, log_cells).tv == pytest.approx(0.5)
    assert distance(np.array([2.0, 1.0, 1.0]), 4, log_cells).outside == 0.5
