"""The closed forms: against sums written out, autograd of log p, and numerical integration."""

import math

import numpy as np
import pytest
import torch

from diffview.engine import guidance
from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.errors import InputError
from diffview.models.exact.mixture import mixture, points


def by_hand(data, x, level, label=None):
    """log p(x) and E[x_0 | x], component by component, one x (D,) at a time, in NumPy."""
    chosen = range(len(data.weights)) if label is None else np.flatnonzero(data.labels == label)
    logs, means = [], []
    total = sum(data.weights[k] for k in chosen)
    for k in chosen:
        cov = level.alpha**2 * data.covariances[k] + level.sigma**2 * np.eye(data.dims)
        off = x - level.alpha * data.means[k]
        solved = np.linalg.solve(cov, off)
        logdet = np.linalg.slogdet(2 * np.pi * cov)[1]
        logs.append(math.log(data.weights[k] / total) - 0.5 * (off @ solved + logdet))
        means.append(data.means[k] + level.alpha * data.covariances[k] @ solved)
    top = max(logs)
    shares = np.exp(np.array(logs) - top)
    return top + math.log(shares.sum()), shares @ np.array(means) / shares.sum()


@pytest.fixture(params=[1, 2, 3])
def data(request, uneven_mixture):
    return uneven_mixture(request.param)


def states(data, level, count=7):
    rng = np.random.default_rng(0)
    clean, _ = data.sample(count, rng)
    noisy = level.alpha * clean + level.sigma * rng.standard_normal(clean.shape)
    return torch.from_numpy(np.concatenate([noisy, 4 * noisy[:1], np.zeros((1, data.dims))]))


@pytest.mark.parametrize("label", [None, 0, 2])
def test_estimate_and_density_are_the_sums_written_out(data, exact_model, level, label):
    model, x = exact_model(data), states(data, level)
    condition = None if label is None else torch.full((len(x),), label)
    expected = [by_hand(data, row.numpy(), level, label) for row in x]
    log_p = model.log_prob(x, level, condition)
    np.testing.assert_allclose(log_p, [log for log, _ in expected], rtol=1e-9, atol=1e-9)
    x0_hat = model(x, level, condition)
    np.testing.assert_allclose(x0_hat, [mean for _, mean in expected], rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("label", [None, 1])
def test_score_is_the_gradient_of_log_p(data, exact_model, level, label):
    model = exact_model(data)
    x = states(data, level).requires_grad_()
    condition = None if label is None else torch.full((len(x),), label)
    (gradient,) = torch.autograd.grad(model.log_prob(x, level, condition).sum(), x)
    score = model.score(x.detach(), level, condition)
    torch.testing.assert_close(score, gradient, rtol=1e-7, atol=1e-7)


def test_tweedie_joins_score_and_estimate(data, exact_model, level):
    model, x = exact_model(data), states(data, level)
    tweedie = (x + level.sigma**2 * model.score(x, level)) / level.alpha
    torch.testing.assert_close(model(x, level, None), tweedie, rtol=1e-8, atol=1e-9)


def test_density_and_estimate_agree_with_numerical_integration(uneven_mixture, exact_model):
    """p(x_t) = integral of p(x_0) N(x_t; alpha x_0, sigma^2), and the mean of x_0 under it."""
    data, level = uneven_mixture(1), NoiseLevel(1.0, 0.8, 0.6)
    x0, step = np.linspace(-6, 6, 24_001, retstep=True)
    prior = sum(
        w * np.exp(-0.5 * (x0 - m) ** 2 / v) / np.sqrt(2 * np.pi * v)
        for w, m, v in zip(data.weights, data.means[:, 0], data.covariances[:, 0, 0], strict=True)
    )
    for x in (-1.2, 0.1, 0.9):
        likely = np.exp(-0.5 * ((x - 0.8 * x0) / 0.6) ** 2) / (0.6 * math.sqrt(2 * math.pi))
        p = (prior * likely).sum() * step
        mean = (prior * likely * x0).sum() * step / p
        at = torch.tensor([[x]], dtype=torch.float64)
        model = exact_model(data)
        assert model.log_prob(at, level).item() == pytest.approx(math.log(p), abs=1e-9)
        assert model(at, level, None).item() == pytest.approx(mean, abs=1e-9)


def test_density_integrates_to_one_with_and_without_a_label(exact_model, uneven_mixture):
    model, level = exact_model(uneven_mixture(2)), NoiseLevel(1.0, 0.9, 0.3)
    axis, step = torch.linspace(-6, 6, 401, dtype=torch.float64), 12 / 400
    grid = torch.cartesian_prod(axis, axis)
    for condition in (None, torch.ones(len(grid), dtype=torch.int64)):
        p = model.log_prob(grid, level, condition).exp()
        assert p.sum().item() * step**2 == pytest.approx(1, abs=1e-6)


def test_the_null_label_means_no_label(data, exact_model, level):
    model, x = exact_model(data), states(data, level)
    null = model.null_condition(len(x))
    torch.testing.assert_close(model(x, level, null), model(x, level, None), rtol=0, atol=0)
    torch.testing.assert_close(model.log_prob(x, level, null), model.log_prob(x, level))


def test_classifier_guidance_by_the_exact_classifier_is_classifier_free_guidance(
    exact_model, uneven_mixture
):
    """Both directions are (sigma^2 / alpha) grad log p(y | x_t), by two different roads."""
    model = exact_model(uneven_mixture(2))
    level = model.schedule.level(300)
    x = states(model.mixture, level)
    y = torch.arange(len(x)) % 3

    def classifier(at, t):
        """log P(y | x_t) = log p(x_t | y) + log P(y) + what does not depend on y, by Bayes."""
        given = [model.log_prob(at, level, torch.full((len(at),), one)) for one in range(3)]
        return torch.stack(given, dim=1) + torch.tensor(model.mixture.label_weights).log()

    free = guidance.classifier_free(model, y, 2.5)(x, level)
    steered = guidance.classifier_guided(model, y, classifier, 2.5)(x, level)
    torch.testing.assert_close(free.x0_hat, steered.x0_hat, rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(free.direction, steered.direction, rtol=1e-6, atol=1e-7)


def test_guidance_one_is_the_exact_conditional(exact_model, uneven_mixture):
    model = exact_model(uneven_mixture(2))
    level = model.schedule.level(500)
    x, y = states(model.mixture, level), torch.full((9,), 2)
    guided = guidance.classifier_free(model, y, 1.0)(x, level)
    of_two = model.mixture.of_label(2)
    alone = exact_model(mixture(of_two.means, of_two.covariances, weights=of_two.weights))
    torch.testing.assert_close(guided.x0_hat, alone(x, level, None), rtol=1e-9, atol=1e-12)


def test_points_give_the_weighted_mean_of_the_points(exact_model):
    """Karras et al. 2022, eq. 57: x0_hat of deltas."""
    places = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
    model, level = exact_model(points(places.numpy())), NoiseLevel(1.0, 0.8, 0.3)
    x = torch.tensor([[0.3, 0.4], [0.9, 1.0]], dtype=torch.float64)
    weights = (-(torch.cdist(x, 0.8 * places) ** 2) / (2 * 0.3**2)).softmax(1)
    torch.testing.assert_close(model(x, level, None), weights @ places)


def test_points_have_no_density_without_noise(exact_model):
    with pytest.raises(InputError, match="no density without noise"):
        exact_model(points([[0.0, 0.0]])).log_prob(torch.zeros(1, 2), CLEAN)


def test_pure_noise_says_nothing_so_the_estimate_is_the_mean(exact_model, uneven_mixture):
    model = exact_model(uneven_mixture(2))
    x0_hat = model(torch.randn(4, 2, dtype=torch.float64), NoiseLevel(1.0, 0.0, 1.0), None)
    expected = torch.from_numpy(model.mixture.moments()[0]).expand(4, 2)
    torch.testing.assert_close(x0_hat, expected)


def test_many_samples_are_taken_a_few_at_a_time_with_the_same_result(
    exact_model, uneven_mixture, monkeypatch
):
    model, level = exact_model(uneven_mixture(2)), NoiseLevel(1.0, 0.7, 0.7)
    x, y = torch.randn(50, 2, dtype=torch.float64), torch.arange(50) % 4
    whole = model(x, level, y)
    monkeypatch.setattr("diffview.models.exact.mixture_denoiser.PAIRS", 35)
    torch.testing.assert_close(model(x, level, y), whole)


def test_float32_in_float32_out(exact_model, uneven_mixture):
    model, level = exact_model(uneven_mixture(2)), NoiseLevel(1.0, 0.7, 0.7)
    x = torch.randn(3, 2)
    assert model(x, level, None).dtype == model.log_prob(x, level).dtype == torch.float32


def test_a_mixture_without_labels_has_no_null(exact_model):
    model = exact_model(mixture([[0.0, 0.0]], 1.0))
    assert model.null_condition(3) is None
