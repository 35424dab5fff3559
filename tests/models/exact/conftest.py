"""What the exact models' tests share: a mixture with every difficulty, and levels to ask at."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from diffview.engine import schedules
from diffview.engine.levels import NoiseLevel
from diffview.models.exact.mixture import mixture
from diffview.models.exact.mixture_denoiser import MixtureDenoiser
from diffview.models.exact.toys import mixture_card

torch.set_num_threads(1)

LINEAR = schedules.named("linear")
LEVELS = {
    "early": LINEAR.level(950),
    "middle": LINEAR.level(400),
    "late": LINEAR.level(5),
    "exploding": NoiseLevel(3.0, 1.0, 3.0),
    "flow": NoiseLevel(0.4, 0.6, 0.4),
}


def uneven(dims=2):
    """Five components in `dims` dimensions: uneven weights, tilted covariances, three labels."""
    rng = np.random.default_rng(dims)
    roots = rng.normal(0, 0.3, (5, dims, dims))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.01 * np.eye(dims)
    return mixture(
        rng.normal(0, 0.7, (5, dims)),
        covariances,
        weights=[1, 2, 3, 4, 5],
        labels=[0, 0, 1, 2, 2],
        classes=("a", "b", "c"),
    )


def model_of(data, schedule=None):
    return MixtureDenoiser(mixture_card(data, "test", "Test", schedule=schedule), data)


@pytest.fixture(scope="session")
def uneven_mixture():
    return uneven


@pytest.fixture(scope="session")
def exact_model():
    return model_of


@pytest.fixture(params=LEVELS)
def level(request):
    return LEVELS[request.param]
