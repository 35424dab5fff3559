"""The loss of every t, for networks whose loss is known."""

import numpy as np
import pytest
import torch

from diffview.engine.levels import CLEAN
from diffview.models.denoising_loss import losses
from diffview.models.wrapped import wrap

X_0 = np.linspace(-1, 1, 64, dtype=np.float32).reshape(1, 8, 8)


def measured(network, prediction, times=(900, 500, 20), seeds=(0, 1)):
    model = wrap(network, shape=(1, 8, 8), prediction=prediction, schedule="cosine")
    levels = [*(model.schedule.level(t) for t in times), CLEAN]
    made = list(losses(model, None, X_0, levels, seeds))
    assert [k for k, _ in made] == [0, 1, 2], "the clean end has no loss"
    return levels, np.stack([one for _, one in made])


def test_a_network_that_sees_no_noise_loses_its_mean_square():
    _, made = measured(lambda x, t: torch.zeros_like(x), "eps")
    eps = np.stack(
        [torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(s)).numpy() for s in (0, 1)]
    )
    expected = np.square(eps.astype(np.float64)).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(made, np.broadcast_to(expected, made.shape), rtol=1e-5)


def test_a_network_that_knows_the_picture_loses_nothing():
    _, made = measured(lambda x, t: torch.from_numpy(X_0).expand_as(x), "x0")
    assert made.max() < 1e-9


def test_an_error_of_the_picture_weighs_by_the_signal_to_noise_ratio():
    """eps_hat - eps = -(alpha / sigma) (x0_hat - x_0)."""
    levels, made = measured(lambda x, t: torch.from_numpy(X_0 + 0.5).expand_as(x), "x0")
    for level, row in zip(levels, made, strict=False):
        assert row == pytest.approx(0.25 * level.snr, rel=2e-4)
