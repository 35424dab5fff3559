"""What a set of pictures says of one state, ready to be looked at: numbers and arrays, no tensors.

Beside the estimate of a trained network at the same x_t it shows what memorising would say.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffview.engine.levels import NoiseLevel
from diffview.engine.trajectory import Float32
from diffview.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from diffview.models.exact.pictures import ExactPictures, Posterior

MOST = 12
"""So many of the heaviest pictures are told."""

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Sum:
    """A sum over `count` pictures: estimate x0_hat (*D) and posterior of one state.

    numbers (k,), weights (k,), pictures (k, *D) uint8 and labels (k,) are those of the heaviest
    pictures. entropy in nats, effective = exp(entropy), log_prob = log p(x_t) in nats.
    label_weights (C,).
    """

    count: int
    x0_hat: Float32
    numbers: Int64
    weights: Float64
    pictures: NDArray[np.uint8]
    labels: Int64
    entropy: float
    effective: float
    log_prob: float
    label_weights: Float64


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """free: over all pictures. under: over those of one class, None where none is asked for.

    nearest, distance: the picture nearest to each of other estimates, and its root mean square
    distance in data units.
    """

    free: Sum
    under: Sum | None
    nearest: tuple[int, ...] = ()
    distance: tuple[float, ...] = ()

    def at(self, guidance_scale: float) -> Float32:
        """x0_hat guided: free + gamma (under - free)."""
        if self.under is None:
            return self.free.x0_hat
        direction = self.under.x0_hat - self.free.x0_hat
        return np.asarray(self.free.x0_hat + np.float32(guidance_scale) * direction)


def read(
    model: ExactPictures,
    x_t: Float32,
    level: NoiseLevel,
    label: int | None = None,
    beside: Float32 | None = None,
) -> Reading:
    """What the pictures say of x_t (*D) at a level, and of its class if one is given.

    beside (n, *D) are estimates whose nearest pictures are looked for. Raises InputError at the
    clean end, for a class that is not there, or a state of another shape.
    """
    import torch

    if x_t.shape != model.data_shape:
        raise InputError(f"the pictures have shape {model.data_shape}, the state {x_t.shape}")
    states = torch.from_numpy(np.array(x_t[None]))
    null = model.null_condition(1)
    if label is None or null is None:
        x0_hat, told = model.explained(states, level, null, MOST)
        sums = [_sum(model, x0_hat, told, 0, None)]
    else:
        _check_label(model, label)
        condition = torch.cat([null, torch.tensor([label], device=null.device)])
        twice = states.expand(2, *states.shape[1:])
        x0_hat, told = model.explained(twice, level, condition, MOST)
        sums = [_sum(model, x0_hat, told, 0, None), _sum(model, x0_hat, told, 1, label)]
    under = sums[1] if len(sums) > 1 else None
    if beside is None:
        return Reading(sums[0], under)
    number, away = model.nearest(torch.from_numpy(np.array(beside)))
    return Reading(sums[0], under, tuple(number.tolist()), tuple(away.tolist()))


def _check_label(model: ExactPictures, label: int) -> None:
    if not 0 <= label < len(model.card.classes):
        raise InputError(f"'{model.card.id}' has {len(model.card.classes)} classes, not {label}")


def _sum(
    model: ExactPictures, x0_hat: Tensor, told: Posterior, row: int, label: int | None
) -> Sum:
    known = model.labels
    count = len(known) if label is None else int((known == label).sum())
    numbers = told.nearest[row][:count]  # beyond are pictures that are not summed over
    return Sum(
        count=count,
        x0_hat=np.asarray(x0_hat[row].cpu().numpy(), np.float32),
        numbers=numbers.cpu().numpy(),
        weights=told.weights[row][:count].cpu().numpy(),
        pictures=model.pictures[numbers].cpu().numpy(),
        labels=known[numbers].cpu().numpy(),
        entropy=float(told.entropy[row]),
        effective=float(told.effective[row]),
        log_prob=float(told.log_prob[row]),
        label_weights=told.label_weights[row].cpu().numpy(),
    )
