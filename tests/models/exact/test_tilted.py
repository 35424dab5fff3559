"""Tilted densities: closed forms for Gaussians, and that guided sampling is something else."""

import math

import numpy as np
import pytest
import torch

from diffview.engine.levels import CLEAN
from diffview.errors import InputError
from diffview.models import catalog, families
from diffview.models.exact.cloud import CloudStep, cloud, path_of
from diffview.models.exact.grid import Grid, square
from diffview.models.exact.mixture import mixture
from diffview.models.exact.tilted import Comparison, compare, distance, tilted
from diffview.models.network import NetworkDenoiser


def test_at_gamma_one_it_is_the_conditional_and_at_zero_the_whole(exact_model, uneven_mixture):
    model, grid = exact_model(uneven_mixture(2)), square(4, 120)
    x = torch.from_numpy(grid.points())
    for gamma, label in ((0.0, None), (1.0, 2)):
        made = tilted(model, grid, 2, gamma)
        condition = None if label is None else torch.full((len(x),), label)
        expected = model.log_prob(x, CLEAN, condition).exp().numpy()
        np.testing.assert_allclose(made.density.ravel(), expected, rtol=1e-2, atol=1e-4)
        assert made.log_z == pytest.approx(0, abs=2e-3)
        assert made.edge < 1e-6


def test_two_gaussians_are_tilted_by_their_logistic_classifier(exact_model):
    """p_gamma ~ p(x | y) p(y | x)^(gamma - 1), and P(y = 1 | x) = 1 / (1 + exp(-2 m x / v)).

    By Bayes, for two classes N(-m, v) and N(m, v) of equal weight.
    """
    v, m, gamma = 0.09, 0.4, 2.0
    model = exact_model(mixture([[-m], [m]], v, labels=[0, 1]))
    grid = Grid((-3.0,), (3.0,), (600,))
    x = grid.points()[:, 0]
    by_bayes = np.exp(-0.5 * (x - m) ** 2 / v) / (1 + np.exp(-2 * m * x / v)) ** (gamma - 1)
    expected = by_bayes / by_bayes.sum()
    np.testing.assert_allclose(
        np.exp(tilted(model, grid, 1, gamma).log_cells), expected, rtol=1e-9, atol=1e-15
    )


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


def finished(generator):
    *steps, end = generator
    assert all(isinstance(step, CloudStep) for step in steps)
    assert isinstance(end, Comparison)
    return end


def test_at_gamma_one_sampling_gives_the_density():
    model = families.load(catalog.find("mixture"))
    end = finished(compare(model, square(1.6, 24), 0, 1.0))
    assert end.distance.tv < 1.5 * end.distance.tv_floor
    assert end.distance == end.conditional
    assert end.histogram.sum() == pytest.approx(1, abs=1e-3)


def test_at_gamma_three_sampling_does_not_give_the_tilted_density():
    """Bradley & Nakkiran 2024, arXiv 2408.09000: guided scores are of no diffusion."""
    model = families.load(catalog.find("mixture"))
    end = finished(compare(model, square(1.6, 24), 0, 3.0))
    assert end.distance.tv > 4 * end.distance.tv_floor
    assert end.distance.kl > 4 * end.distance.kl_floor


def test_a_cloud_ends_in_the_known_mean_and_covariance_for_a_sampler_with_noise(exact_model):
    data = mixture([[-0.5, 0.0], [0.4, 0.3]], 0.03, weights=[1, 2])
    steps = list(cloud(exact_model(data), 20_000, steps=200, sampler="ddpm", seed=3))
    assert len(steps) == 201
    assert path_of(steps).shape == (201, 20_000, 2)
    mean, cov = data.moments()
    np.testing.assert_allclose(steps[-1].x_t.mean(0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(steps[-1].x_t.T), cov, atol=0.02)


def test_equal_seeds_give_equal_clouds(exact_model, uneven_mixture):
    model = exact_model(uneven_mixture(2))
    one, two, other = (
        list(cloud(model, 10, steps=3, sampler="ddpm", seed=seed))[-1].x_t for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, two)
    assert (one != other).all()


def test_what_cannot_be_followed_or_tilted_is_refused(exact_model, uneven_mixture):
    model = exact_model(uneven_mixture(2))
    with pytest.raises(InputError, match="0 particles"):
        next(cloud(model, 0))
    with pytest.raises(InputError, match="needs a label"):
        next(cloud(model, 5, gamma=2.0))
    learned = NetworkDenoiser(model.card, lambda x, t, label: x, null=3)
    with pytest.raises(InputError, match="knows log p"):
        tilted(learned, square(), 0, 2.0)
