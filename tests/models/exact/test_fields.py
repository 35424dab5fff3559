"""Fields on a grid: against autograd, finite differences along the flow, and closed forms."""

import numpy as np
import pytest
import torch

from diffview.engine import schedules
from diffview.engine.levels import CLEAN
from diffview.errors import InputError
from diffview.models.exact import fields
from diffview.models.exact.grid import Grid, square
from diffview.models.exact.mixture import mixture, points
from diffview.models.network import NetworkDenoiser

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


@pytest.mark.parametrize("label", [None, 1])
def test_the_score_field_is_the_gradient_of_its_log_density(uneven_mixture, exact_model, label):
    model = exact_model(uneven_mixture(2))
    level = model.schedule.level(300)
    made = fields.field(model, square(1.5, 20), level, label)
    x = torch.from_numpy(made.grid.points()).requires_grad_()
    condition = None if label is None else torch.full((len(x),), label)
    log_p = model.log_prob(x, level, condition)
    (gradient,) = torch.autograd.grad(log_p.sum(), x)
    np.testing.assert_allclose(made.score.reshape(-1, 2), gradient, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(made.log_p.ravel(), log_p.detach(), rtol=1e-12)
    np.testing.assert_allclose(made.energy, -made.log_p)


@pytest.mark.parametrize(
    "schedule",
    [schedules.named("linear"), schedules.named("cosine"), schedules.flow(), schedules.edm()],
    ids=lambda s: s.name,
)
def test_the_velocity_is_that_of_the_closed_flow_of_a_gaussian(exact_model, schedule):
    """Data N(m, s^2): x_t = alpha m + r (x_T - alpha_T m), r = the ratio of the levels' stds.

    Its derivative in t at a path through x is d(alpha) m + (x - alpha m) d(log std).
    """
    m, s = np.array([0.3, -0.2]), 0.5
    model = exact_model(mixture([m], s**2), schedule)
    t = {"linear": 400.0, "cosine": 400.0, "flow": 0.4, "edm": 3.0}[schedule.name]
    h = 0.25 if schedule.discrete else 1e-4
    low, level, high = (schedule.level(t + k * h) for k in (-1, 0, 1))

    def std(at):
        return np.hypot(at.alpha * s, at.sigma)

    alpha_rate = (high.alpha - low.alpha) / (2 * h)
    log_rate = (np.log(std(high)) - np.log(std(low))) / (2 * h)
    x = np.random.default_rng(0).normal(size=(5, 2))
    expected = alpha_rate * m + (x - level.alpha * m) * log_rate
    x0_hat = model(torch.from_numpy(x), level, None).numpy()
    made = fields.velocity(x, x0_hat, level, schedule)
    np.testing.assert_allclose(made, expected, rtol=2e-3, atol=1e-7)


def test_the_velocity_of_a_rectified_flow_is_noise_minus_data(exact_model, uneven_mixture):
    schedule = schedules.flow()
    model, level = exact_model(uneven_mixture(2), schedule), schedule.level(0.3)
    made = fields.field(model, square(1.0, 8), level)
    x = made.grid.shaped(made.grid.points())
    eps = (x - level.alpha * made.x0_hat) / level.sigma
    np.testing.assert_allclose(made.velocity, eps - made.x0_hat, rtol=1e-9, atol=1e-9)


def test_arrows_lead_from_the_state_to_the_weighted_mean_of_the_data(exact_model):
    places = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    model = exact_model(points(places))
    level = model.schedule.level(200)
    starts = np.array([[0.3, 0.4], [0.9, 1.0]])
    arrows = fields.tweedie_arrows(model, starts, level)
    squares = ((starts[:, None] - level.alpha * places) ** 2).sum(2)
    weights = np.exp(-squares / (2 * level.sigma**2))
    mean = weights @ places / weights.sum(1, keepdims=True)
    np.testing.assert_allclose(arrows.ends, mean, rtol=1e-9)
    by_score = (starts + level.sigma**2 * arrows.score) / level.alpha
    np.testing.assert_allclose(by_score, mean, rtol=1e-9)


def test_lines_uphill_end_on_the_only_hill_there_is(exact_model):
    model = exact_model(mixture([[0.4, -0.3]], 0.01))
    level = model.schedule.level(100)
    lines = fields.streamlines(model, [[1.0, 1.0], [-1.0, 0.0]], level, step=0.02, count=120)
    lengths = np.linalg.norm(np.diff(lines, axis=0), axis=2)
    np.testing.assert_allclose(lengths[:50], 0.02, rtol=1e-3)
    top = level.alpha * np.array([0.4, -0.3])
    assert (np.linalg.norm(lines[-1] - top, axis=1) < 0.03).all()


def test_a_network_has_fields_but_no_density(exact_model, uneven_mixture):
    model = exact_model(uneven_mixture(2))
    level = model.schedule.level(300)

    def network(x, t, label):
        return model(x, level, label)

    learned = NetworkDenoiser(model.card, network, null=3)
    made = fields.field(learned, square(1.0, 6), level, 1)
    exact = fields.field(model, square(1.0, 6), level, 1)
    assert made.log_p is made.energy is made.density is None
    np.testing.assert_allclose(made.score, exact.score, rtol=1e-3, atol=1e-3)


def test_the_error_map_is_the_distance_of_the_estimates_weighted_by_where_x_t_lies(
    exact_model, uneven_mixture
):
    model = exact_model(uneven_mixture(2))
    level = model.schedule.level(300)
    shifted = NetworkDenoiser(
        model.card, lambda x, t, label: model(x, level, label) + torch.tensor([0.3, 0.4]), null=3
    )
    made = fields.error_map(shifted, model, square(1.0, 9), level)
    np.testing.assert_allclose(made.error, 0.5, rtol=1e-5)
    assert made.mean == pytest.approx(0.5, rel=1e-5)
    with pytest.raises(InputError, match="needs an exact model"):
        fields.error_map(model, shifted, square(1.0, 9), level)


def test_a_clean_level_and_a_grid_of_other_dimensions_are_refused(exact_model, uneven_mixture):
    model = exact_model(uneven_mixture(2))
    with pytest.raises(InputError, match="choose a level with σ > 0"):
        fields.field(model, square(), CLEAN)
    with pytest.raises(InputError, match="a grid of 3 dimensions"):
        fields.field(model, square(1.0, 4, 3), model.schedule.level(1))
