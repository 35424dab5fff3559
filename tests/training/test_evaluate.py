"""The Fréchet distance keeps its laws, and accuracy counts what it says."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from diffview.engine import schedules
from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.network import NetworkDenoiser
from diffview.training.evaluate import Draw, accuracy, draw, evaluate, frechet

SIZE = 4
CLASSES = 3


def cloud(mean, covariance, n=500, seed=0):
    """(n, F) points whose sample mean and covariance are exactly those."""
    points = np.random.default_rng(seed).normal(size=(n, len(mean)))
    points -= points.mean(axis=0)
    white = points @ np.linalg.inv(np.linalg.cholesky(np.cov(points, rowvar=False))).T
    return white @ np.linalg.cholesky(covariance).T + mean


def covariance(seed, size=5):
    root = np.random.default_rng(seed).normal(size=(size, size))
    return root @ root.T + 0.1 * np.eye(size)


def test_frechet_of_two_gaussians_with_diagonal_covariances_is_the_closed_form():
    mean_1, std_1 = np.array([0.0, 1.0, -2.0]), np.array([1.0, 2.0, 0.5])
    mean_2, std_2 = np.array([3.0, 1.0, -1.0]), np.array([2.0, 2.0, 1.5])
    expected = ((mean_1 - mean_2) ** 2).sum() + ((std_1 - std_2) ** 2).sum()
    one, other = cloud(mean_1, np.diag(std_1**2)), cloud(mean_2, np.diag(std_2**2), seed=1)
    assert frechet(one, other) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_frechet_agrees_with_the_eigenvalues_of_the_plain_product(seed):
    cov_1, cov_2 = covariance(seed), covariance(seed + 1)
    cross = np.sqrt(np.linalg.eigvals(cov_1 @ cov_2).real.clip(min=0)).sum()
    expected = 5 * 4.0 + np.trace(cov_1) + np.trace(cov_2) - 2 * cross
    one, other = cloud(np.zeros(5), cov_1, seed=seed), cloud(np.full(5, 2.0), cov_2, seed=seed)
    assert frechet(one, other) == pytest.approx(expected, rel=1e-7)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_frechet_is_symmetric_and_zero_for_equal_sets(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(40, 6)), rng.normal(1, 2, size=(30, 6))
    assert frechet(one, other) == pytest.approx(frechet(other, one), rel=1e-8)
    assert frechet(one, one) == pytest.approx(0, abs=1e-9)


def test_frechet_bears_features_that_never_vary():
    one, other = np.zeros((20, 3)), np.tile([1.0, 0.0, 2.0], (20, 1))
    assert frechet(one, other) == pytest.approx(5.0)


class Templates(nn.Module):
    """Sees in a picture the class whose template is nearest; features: the picture itself."""

    def __init__(self):
        super().__init__()
        self.templates = torch.eye(SIZE * SIZE)[:CLASSES].reshape(CLASSES, 1, SIZE, SIZE)

    def features(self, x):
        return x.flatten(1)

    def forward(self, x):
        return -(x[:, None] - self.templates[None]).flatten(2).pow(2).sum(-1)


def perfect_model():
    """A denoiser that always estimates its class's template, and zero without a class."""
    table = torch.cat([Templates().templates, torch.zeros(1, 1, SIZE, SIZE)])
    card = ModelCard(
        id="perfect",
        title="",
        family="test",
        data_shape=(1, SIZE, SIZE),
        prediction="x0",
        schedule=schedules.named("cosine"),
        classes=("a", "b", "c"),
    )
    return NetworkDenoiser(card, lambda x_t, t, label: table[label], null=CLASSES)


def test_accuracy_is_the_share_of_wanted_classes():
    pictures = Templates().templates[[0, 1, 2, 0]]
    assert accuracy(Templates(), pictures, torch.tensor([0, 1, 0, 0])) == 0.75


def test_draw_gives_every_class_in_turn_and_the_same_pictures_in_any_batch():
    whole = torch.cat(list(draw(perfect_model(), Draw(n=5, n_steps=4, batch=5))))
    parts = torch.cat(list(draw(perfect_model(), Draw(n=5, n_steps=4, batch=2))))
    assert torch.equal(whole, parts)
    assert Templates()(whole).argmax(1).tolist() == [0, 1, 2, 0, 1]


def test_evaluate_tells_a_perfect_model_from_one_without_guidance():
    generator = torch.Generator().manual_seed(0)
    real = Templates().templates[torch.arange(60) % CLASSES]
    real = (real + 0.01 * torch.randn(real.shape, generator=generator)).clamp(-1, 1)
    steps, figures = drain(evaluate(perfect_model(), Templates(), real, scales=(0, 1, 2), n=30))
    assert figures["accuracy"]["1"] == figures["accuracy"]["2"] == 1
    assert figures["accuracy"]["0"] == pytest.approx(1 / 3, abs=1e-4)
    distances = figures["frechet"]
    assert distances["real"] < 0.01 < distances["real + noise 0.2"]
    assert distances["1"] < 0.01 < distances["0"]
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total == 90


def test_evaluate_refuses_more_samples_than_there_are_real_pictures():
    with pytest.raises(InputError, match="20 real pictures"):
        next(evaluate(perfect_model(), Templates(), torch.zeros(20, 1, SIZE, SIZE), n=20))


def drain(generator):
    """What a generator yields, and what it returns."""
    steps = []
    while True:
        try:
            steps.append(next(generator))
        except StopIteration as end:
            return steps, end.value
