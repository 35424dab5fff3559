"""Fields over the plane: the same as the denoiser's own, closed forms, and what γ does to them."""

import math

import numpy as np
import pytest
import torch

from diffview.engine import schedules
from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.errors import InputError
from diffview.frames.plane_error import plane_error
from diffview.models import catalog, families, sampling
from diffview.models.exact.fields import condition
from diffview.models.exact.follow import follow
from diffview.models.exact.grid import Grid, square
from diffview.models.exact.mixture import mixture, points
from diffview.models.exact.particles import particles
from diffview.models.exact.plane import gap, gap_grid, guided_field
from diffview.models.exact.toys import toys
from diffview.models.network import NetworkDenoiser

GRID = Grid((-2.2, -1.7), (1.8, 2.3), (17, 13))


def of_denoiser(model, level, label=None):
    """(score, log p) over GRID by the denoiser itself, which computes them in another way."""
    x = torch.from_numpy(GRID.points())
    given = condition(model, len(x), label)
    score, log_p = model.score(x, level, given), model.log_prob(x, level, given)
    return GRID.shaped(score.numpy()), GRID.shaped(log_p.numpy())


@pytest.mark.parametrize("id", toys())
def test_products_give_what_the_denoiser_gives(id, exact_model, level):
    model = exact_model(toys()[id].mixture)
    field = guided_field(model, GRID, level, label=1)
    for part, label in ((field.free, None), (field.given, 1)):
        score, log_p = of_denoiser(model, level, label)
        np.testing.assert_allclose(part.log_p, log_p, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(part.score, score, rtol=1e-7, atol=1e-7)


def test_covariances_that_are_turned_are_summed_one_by_one(exact_model, uneven_mixture, level):
    model = exact_model(uneven_mixture())
    field = guided_field(model, GRID, level, label=2)
    score, log_p = of_denoiser(model, level, 2)
    np.testing.assert_allclose(field.given.log_p, log_p, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(field.given.score, score, rtol=1e-7, atol=1e-7)


def test_far_away_no_density_is_lost(exact_model):
    """Twenty deltas in one place are one Gaussian, however far one looks: -|x|^2 / (2 sigma^2)."""
    model, level = exact_model(points(np.zeros((20, 2)), std=0.01)), CLEAN
    field = guided_field(model, square(3, 5), level)
    squares = (field.places**2).sum(axis=-1)
    expected = -squares / (2 * 0.01**2) - math.log(2 * math.pi * 0.01**2)
    np.testing.assert_allclose(field.free.log_p, expected, rtol=1e-9)
    np.testing.assert_allclose(field.free.score, -field.places / 0.01**2, rtol=1e-9, atol=1e-9)


def test_the_guided_score_is_the_gradient_of_the_tilted_log_density(exact_model, uneven_mixture):
    model, gamma = exact_model(uneven_mixture()), 2.5
    level = model.schedule.level(300)
    x = torch.from_numpy(GRID.points()).requires_grad_()
    both = [model.log_prob(x, level, condition(model, len(x), label)) for label in (None, 1)]
    tilted = (1 - gamma) * both[0] + gamma * both[1]
    (gradient,) = torch.autograd.grad(tilted.sum(), x)
    part = guided_field(model, GRID, level, 1).at(gamma)
    np.testing.assert_allclose(part.score.reshape(-1, 2), gradient.numpy(), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(part.log_p.ravel(), tilted.detach().numpy(), rtol=1e-9)


def test_a_gaussian_is_denoised_and_flows_by_its_closed_form(exact_model):
    """x0_hat = alpha s^2 x / v and dx/dt = x v' / (2 v), with v = alpha^2 s^2 + sigma^2."""
    s = 0.4
    schedule = schedules.named("linear")
    model = exact_model(mixture([[0.0, 0.0]], s**2), schedule)
    level = schedule.level(500)

    def variance(t):
        at = schedule.level(t)
        return at.alpha**2 * s**2 + at.sigma**2

    field = guided_field(model, GRID, level)
    expected = level.alpha * s**2 / variance(500) * field.places
    np.testing.assert_allclose(field.x0_hat(0.0), expected, rtol=1e-9, atol=1e-12)
    rate = (variance(500.5) - variance(499.5)) / (2 * variance(500))
    np.testing.assert_allclose(field.flow(0.0), -rate * field.places, rtol=1e-4, atol=1e-9)
    assert guided_field(model, GRID, CLEAN).flow(0.0) is None


def test_gamma_leads_from_no_label_to_the_label_and_beyond(exact_model, uneven_mixture):
    model = exact_model(uneven_mixture())
    field = guided_field(model, GRID, model.schedule.level(200), 0)
    assert field.at(0) is field.free and field.at(1) is field.given
    beyond = 3 * field.given.score - 2 * field.free.score
    np.testing.assert_allclose(field.at(3).score, beyond)
    assert guided_field(model, GRID, model.schedule.level(200)).at(3) is not None


def test_points_without_width_have_no_field_without_noise(exact_model):
    model = exact_model(points(np.random.default_rng(0).normal(size=(20, 2))))
    with pytest.raises(InputError, match="give the points a width"):
        guided_field(model, GRID, CLEAN)
    with pytest.raises(InputError, match="shape"):
        guided_field(exact_model(mixture([[0.0]], 1.0)), GRID, CLEAN)


def test_the_flow_of_a_rectified_flow_is_data_minus_noise(exact_model, uneven_mixture):
    schedule = schedules.flow()
    model, level = exact_model(uneven_mixture(), schedule), schedule.level(0.3)
    made = guided_field(model, GRID, level)
    x0_hat = made.x0_hat(0.0)
    eps = (made.places - level.alpha * x0_hat) / level.sigma
    np.testing.assert_allclose(made.flow(0.0), x0_hat - eps, rtol=1e-9, atol=1e-9)


def test_by_another_schedule_things_flow_by_its_time(exact_model, uneven_mixture):
    """By sigma the flow is dx/dsigma = (x - D) / sigma: Karras et al. 2022, eq. 1 and 3."""
    model, edm = exact_model(uneven_mixture()), schedules.edm()
    made = guided_field(model, GRID, edm.level(2.5), schedule=edm)
    slope = (made.places - made.x0_hat(0.0)) / 2.5
    np.testing.assert_allclose(made.flow(0.0), -slope, rtol=1e-9, atol=1e-12)


def test_the_estimate_is_the_weighted_mean_of_the_data(exact_model):
    data = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    model = exact_model(points(data))
    level = model.schedule.level(200)
    made = guided_field(model, square(1.0, 7), level)
    squares = ((made.places[..., None, :] - level.alpha * data) ** 2).sum(-1)
    weights = np.exp(-squares / (2 * level.sigma**2))
    mean = weights @ data / weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(made.x0_hat(0.0), mean, rtol=1e-7, atol=1e-9)


def test_a_network_has_a_field_but_no_density(exact_model, uneven_mixture):
    model = exact_model(uneven_mixture())
    level = model.schedule.level(300)
    learned = NetworkDenoiser(model.card, lambda x, t, label: model(x, level, label), null=3)
    made, exact = (guided_field(one, GRID, level, 1) for one in (learned, model))
    assert made.at(2.0).log_p is None
    np.testing.assert_allclose(made.at(2.0).score, exact.at(2.0).score, rtol=1e-3, atol=1e-3)


def test_the_error_is_the_distance_of_the_estimates(exact_model, uneven_mixture):
    model = exact_model(uneven_mixture())
    level = model.schedule.level(300)
    shifted = NetworkDenoiser(
        model.card, lambda x, t, label: model(x, level, label) + torch.tensor([0.3, 0.4]), null=3
    )
    made = plane_error(*(guided_field(one, GRID, level) for one in (shifted, model)), 0.0)
    np.testing.assert_allclose(made.error, 0.5, rtol=1e-5)
    assert made.mean == pytest.approx(0.5, rel=1e-5)


def test_two_gaussians_are_tilted_by_their_logistic_classifier(exact_model):
    """p_gamma ~ p(x | y) p(y | x)^(gamma - 1), and P(y = 1 | x) = 1 / (1 + exp(-2 m x / v)).

    By Bayes, for two classes N(-m, v) and N(m, v) of equal weight.
    """
    v, m, gamma = 0.09, 0.4, 2.0
    model = exact_model(mixture([[-m, 0.0], [m, 0.0]], v, labels=[0, 1]))
    made = guided_field(model, GRID, CLEAN, 1)
    x = made.places[..., 0]
    squares = (x - m) ** 2 + made.places[..., 1] ** 2
    expected = -0.5 * squares / v - (gamma - 1) * np.log1p(np.exp(-2 * m * x / v))
    found = made.at(gamma).log_p
    np.testing.assert_allclose(found - found.max(), expected - expected.max(), atol=1e-8)


# ---- particles against the density --------------------------------------------------------------


def test_cells_hold_the_probability_that_the_error_function_gives(exact_model):
    model = exact_model(mixture([[0.1, -0.2]], 0.05**2))
    grid = Grid((-0.3, -0.6), (0.5, 0.2), (96, 96))
    made = gap(guided_field(model, grid, CLEAN), 0.0, np.array([[0.1, -0.2]]), fold=8)

    def below(edges, mean):
        return np.array([0.5 * (1 + math.erf((e - mean) / (0.05 * math.sqrt(2)))) for e in edges])

    along = [
        np.diff(below(np.linspace(low, high, 13), mean))
        for low, high, mean in zip(grid.low, grid.high, (0.1, -0.2), strict=True)
    ]
    np.testing.assert_allclose(made.density, np.outer(*along), atol=2e-3)
    assert made.density.sum() == pytest.approx(1) and made.edge < 1e-6
    assert made.grid.size == (12, 12) and made.histogram.sum() == 1


def test_draws_of_the_density_itself_are_as_far_as_chance_says(exact_model):
    data = toys()["moons"].mixture
    model, level = exact_model(data), NoiseLevel(0.3, 0.8, 0.6)
    clean, _ = data.sample(20_000, np.random.default_rng(1))
    x_t = 0.8 * clean + 0.6 * np.random.default_rng(2).standard_normal(clean.shape)
    made = gap(guided_field(model, gap_grid(data, level, x_t), level), 0.0, x_t)
    assert made.distance.tv == pytest.approx(made.distance.tv_floor, rel=0.1)
    assert made.distance.outside < 1e-3
    moved = gap(guided_field(model, gap_grid(data, level, x_t), level), 0.0, x_t + 0.2)
    assert moved.distance.tv > 2 * made.distance.tv_floor


def test_the_grid_of_a_gap_holds_the_particles_also_where_guidance_led_them(exact_model):
    data, far = toys()["moons"].mixture, np.full((1000, 2), 4.0)
    grid = gap_grid(data, CLEAN, far)
    assert grid.high[0] > 4 and grid.high[0] < 4.2
    assert gap_grid(data, CLEAN, far[:0]).high[0] < 1.2


def test_a_network_knows_no_density_to_compare_with(exact_model):
    from dataclasses import replace

    model = exact_model(toys()["moons"].mixture)
    field = guided_field(model, GRID, model.schedule.level(100))
    blind = replace(field, free=replace(field.free, log_p=None))
    with pytest.raises(InputError, match="no density"):
        gap(blind, 0.0, np.zeros((10, 2)), fold=1)


def sampled_gap(gamma):
    """Particles of the bundled mixture, guided to a class, beside the tilted density."""
    model = families.load(catalog.find("mixture"))
    spec = sampling.spec_for(
        model.card, sampler="dpmpp_2m", spacing="trailing", steps=100, label=0, guidance=gamma,
        seeds=[0],
    )  # fmt: skip
    made = particles(spec, 20_000)
    list(follow(model, made))
    grid, end = square(1.6, 72), made.at(100).astype(np.float64)
    return gap(guided_field(model, grid, CLEAN, 0), gamma, end)


def test_at_gamma_one_sampling_gives_the_density():
    made = sampled_gap(1.0)
    assert made.distance.tv < 1.5 * made.distance.tv_floor
    assert made.histogram.sum() == pytest.approx(1, abs=1e-3)


def test_at_gamma_three_sampling_does_not_give_the_tilted_density():
    """Bradley & Nakkiran 2024, arXiv 2408.09000: guided scores are of no diffusion."""
    made = sampled_gap(3.0)
    assert made.distance.tv > 4 * made.distance.tv_floor
    assert made.distance.kl > 4 * made.distance.kl_floor
