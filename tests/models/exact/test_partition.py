"""The partition function: against closed forms, its price, and that no score contains it."""

import math

import numpy as np
import pytest
import torch

from diffview.engine.levels import CLEAN
from diffview.errors import InputError
from diffview.models.exact import partition as partitions
from diffview.models.exact.grid import square
from diffview.models.exact.partition import double_well, partition, score_of


def energy_of(model, level, constant=0.0):
    """-log p(x_t) + constant: its Z is exp(-constant)."""
    return lambda x: constant - model.log_prob(x, level)


def last(generator):
    *_, end = generator
    return end


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_z_of_a_gaussian_energy_is_the_closed_form(dims):
    """E = |x|^2 / (2 s^2): Z = (2 pi s^2)^(D / 2)."""
    s = 0.3
    made = last(partition(lambda x: x.square().sum(1) / (2 * s**2), square(3, 48, dims)))
    assert made.complete
    assert made.log_z == pytest.approx(dims / 2 * math.log(2 * math.pi * s**2), abs=1e-6)
    assert made.z == pytest.approx((2 * math.pi * s**2) ** (dims / 2), rel=1e-6)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_z_of_a_density_is_one_and_of_a_shifted_energy_e_to_the_minus_shift(
    dims, exact_model, uneven_mixture
):
    model = exact_model(uneven_mixture(dims))
    level = model.schedule.level(600)
    made = last(partition(energy_of(model, level, constant=2.5), square(5, 40, dims)))
    assert made.log_z == pytest.approx(-2.5, abs=1e-3)


def test_z_of_independent_axes_is_the_product_of_theirs():
    z = {made.dims: made.z for made in partitions.partitions(double_well, per_axis=40)}
    axis = np.linspace(-2, 2, 400_001)
    one = np.exp(-((4 * axis**2 - 1) ** 2)).sum() * (axis[1] - axis[0])
    for dims in (1, 2, 3):
        assert z[dims] == pytest.approx(one**dims, rel=1e-6)


def test_each_dimension_multiplies_the_evaluations_by_the_cells_of_an_axis():
    ends = [made for made in partitions.partitions(double_well, per_axis=20) if made.complete]
    assert [made.total for made in ends] == [20, 400, 8000]


def test_a_long_sum_comes_in_pieces_that_grow(monkeypatch):
    monkeypatch.setattr(partitions, "AT_ONCE", 150)
    steps = list(partition(double_well, square(2, 20, 2)))
    assert [step.done for step in steps] == [150, 300, 400]
    assert [step.complete for step in steps] == [False, False, True]
    assert steps[0].log_z < steps[1].log_z < steps[2].log_z


def test_the_score_does_not_know_the_constant(exact_model, uneven_mixture):
    model = exact_model(uneven_mixture(2))
    level, x = model.schedule.level(300), torch.randn(6, 2, dtype=torch.float64)
    for constant in (0.0, 17.0):
        score = score_of(energy_of(model, level, constant), x)
        torch.testing.assert_close(score, model.score(x, level), rtol=1e-7, atol=1e-7)


def test_an_energy_that_gives_no_number_is_refused():
    with pytest.raises(InputError, match="it has no Z"):
        last(partition(lambda x: x.sum(1) * math.nan, square(1, 4, 1)))
    with pytest.raises(InputError, match="one number each"):
        last(partition(lambda x: x, square(1, 4, 2)))


def test_the_data_themselves_have_an_energy_where_they_have_a_width(exact_model, uneven_mixture):
    made = last(partition(energy_of(exact_model(uneven_mixture(2)), CLEAN), square(4, 200)))
    assert made.log_z == pytest.approx(0, abs=1e-3)
