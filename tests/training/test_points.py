"""The recipes of points: what they train, and that what is learned is the exact field."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffview.models import catalog, families
from diffview.models.exact.mixture_denoiser import MixtureDenoiser
from diffview.training.job import Job, Plan
from diffview.training.loop import Trainer
from diffview.training.points import PointsTask
from diffview.training.recipes.points import PointsMoons
from diffview.training.recipes.points_spiral import PointsSpiral


@pytest.fixture
def short():
    """Two moons for 300 steps of 64 points."""
    recipe = PointsMoons()
    settings = replace(recipe.settings, samples=19_200, batch=64, warmup_steps=20)
    return replace(recipe, settings=settings, width=32)


def test_points_are_drawn_from_the_distribution_and_those_of_the_test_are_others():
    recipe = PointsSpiral()
    train, test = recipe.task("cpu"), recipe.task("cpu", "test")
    mean, covariance = recipe.toy.mixture.moments()
    np.testing.assert_allclose(train.points.mean(dim=0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(train.points.numpy().T), covariance, atol=0.02)
    assert not set(map(tuple, train.points[:500].tolist())) & set(
        map(tuple, test.points[:500].tolist())
    )
    again = recipe.task("cpu")
    assert torch.equal(again.points, train.points) and torch.equal(again.labels, train.labels)


def test_the_exact_v_has_no_smaller_loss_than_its_own_and_zero_has_that_of_v(short):
    """For x_0 = 0 alone v is alpha eps = alpha x_t / sigma: a network that says so has loss 0."""
    config = short.network
    zero = PointsTask(torch.zeros(64, 2), torch.zeros(64, dtype=torch.int64), config, "zero")
    acp = torch.tensor(short.card().schedule.alphas_cumprod)

    def exact(x_t, t, label):
        alpha, sigma = acp[t].sqrt()[:, None], (1 - acp[t]).sqrt()[:, None]
        return (alpha / sigma * x_t).float()

    indices = torch.arange(64)
    assert zero.loss(exact, indices, torch.Generator().manual_seed(0)).item() < 1e-10
    nothing = zero.loss(lambda x_t, t, y: 0 * x_t, indices, torch.Generator().manual_seed(0))
    assert nothing.item() > 0.05


def test_a_short_training_comes_near_the_exact_estimate(short, tmp_path):
    trainer = Trainer(short.task("cpu"), short.settings)
    for _ in trainer.run():
        pass
    model = short.denoiser(trainer.averaged, "cpu")
    exact = MixtureDenoiser(replace(short.toy.card(), schedule=model.schedule), short.toy.mixture)
    x_0, label = short.clean(512, "cpu")
    eps = torch.randn(512, 2, generator=torch.Generator().manual_seed(1))
    level = model.schedule.level(300)
    x_t = level.alpha * x_0 + level.sigma * eps
    with torch.no_grad():
        error = (model(x_t, level, label) - exact(x_t, level, label)).square().mean().sqrt()
        spread = (exact(x_t, level, label) - x_0.mean(dim=0)).square().mean().sqrt()
    assert error < 0.35 * spread


def test_a_published_model_of_points_opens_and_is_judged(short, tmp_path):
    plan = Plan(out=tmp_path / "p.safetensors", checkpoint=tmp_path / "p.ckpt", device="cpu")
    job = Job(short, plan)
    for _ in job.run():
        pass
    job.publish()
    judging = job.evaluate(64)
    with pytest.raises(StopIteration) as end:
        while True:
            next(judging)
    figures = end.value.value
    assert 0 < figures["distance_to_data"] < 0.5 and 0 < figures["distance_to_samples"] < 0.5
    entry = catalog.entry(plan.out)
    assert entry.card.figures == figures and entry.card.data_shape == (2,)
    model = families.load(entry)
    own = short.denoiser(job.trainer.averaged, "cpu")
    x_t, label = torch.randn(8, 2), torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    level = model.schedule.level(100)
    torch.testing.assert_close(model(x_t, level, label), own(x_t, level, label), atol=1e-2, rtol=0)


def test_a_sheet_shows_the_samples_as_dots(short):
    task = short.task("cpu")
    sheet = short.sheet(task.network(), "cpu")
    assert sheet.shape == (320, 320, 3) and (sheet == (255, 178, 77)).all(axis=-1).any()
