"""An energy and the same energy plus a constant: Z changes, the score does not.

E_c(x) = -log p(x) + c,   Z_c = integral of exp(-E_c) = exp(-c),   -grad E_c = grad log p
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError
from diffview.models.exact.fields import condition
from diffview.models.exact.mixture_denoiser import MixtureDenoiser
from diffview.models.exact.partition import Energy, score_of
from diffview.models.exact.plane import gap_grid, guided_field

PLACES = 64


@dataclass(frozen=True, slots=True)
class Shift:
    """What a constant c does to the energy of p_gamma at a level.

    log_z: of the shifted energy, summed over `evaluations` cells, in nats. known: log Z by
    formula, which is -c where p_gamma is a density of the model, and None where gamma tilts it.
    score_change: the largest change of any component of the score, by autograd, at PLACES draws
    of noised data; it is 0 but for rounding.
    """

    constant: float
    log_z: float
    known: float | None
    evaluations: int
    score_change: float


def shift(
    model: MixtureDenoiser,
    level: NoiseLevel,
    label: int | None,
    gamma: float,
    constant: float,
) -> Shift:
    """See `Shift`. Raises InputError for another kind of model."""
    if not isinstance(model, MixtureDenoiser):
        raise InputError("an energy with a Z to look at needs an exact model, such as 'moons'")
    places, _ = model.mixture.sample(PLACES, np.random.default_rng(0))
    noise = np.random.default_rng(1).standard_normal(places.shape)
    places = level.alpha * places + level.sigma * noise
    field = guided_field(model, gap_grid(model.mixture, level, places), level, label)
    log_p = field.at(gamma).log_p
    assert log_p is not None
    top = float(log_p.max())
    log_z = math.log(np.exp(log_p - top).sum() * field.grid.cell) + top - constant
    x = torch.from_numpy(places)
    scores = [score_of(_energy(model, level, label, gamma, c), x) for c in (0.0, constant)]
    tilted = label is not None and gamma not in (0, 1)
    change = float((scores[1] - scores[0]).abs().max())
    known = None if tilted else -constant
    return Shift(constant, log_z, known, field.grid.count, change)


def _energy(
    model: MixtureDenoiser, level: NoiseLevel, label: int | None, gamma: float, constant: float
) -> Energy:
    def energy(x: Tensor) -> Tensor:
        log_p = model.log_prob(x, level)
        if label is not None:
            given = model.log_prob(x, level, condition(model, len(x), label))
            log_p = (1 - gamma) * log_p + gamma * given
        return constant - log_p

    return energy
