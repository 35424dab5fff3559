"""What a training in the lab tells of itself: values without torch, for whoever watches.

K noise levels, noisiest first; W watched pictures; B samples; D the shape of one of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diffview.engine.conversions import eps_from_x0
from diffview.engine.levels import NoiseLevel

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What is looked at again and again: held-out x_0 (W, *D), one noise eps (W, *D) for each of
    them, and K levels; `target` is what the network predicts, its loss is the square of."""

    x_0: Float32
    eps: Float32
    levels: tuple[NoiseLevel, ...]
    target: str

    def x_t(self, picture: int, level: int) -> Float32:
        """x_t = alpha x_0 + sigma eps (*D)."""
        at = self.levels[level]
        return np.asarray(at.alpha * self.x_0[picture] + at.sigma * self.eps[picture], np.float32)

    def eps_hat(self, picture: int, level: int, x0_hat: Float32) -> Float32:
        """The noise (*D) that goes with an estimate x0_hat (*D) of this x_t."""
        at = self.levels[level]
        return np.asarray(eps_from_x0(self.x_t(picture, level), x0_hat, at), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The averaged network as it was after `step`.

    samples (B, *D) float16 from fixed seeds, or a sheet (H, W, 3) uint8 of a recipe that is not
    sampled so; losses (K,) and x0_hat (W, K, *D) float16 where there is something `Watched`.
    """

    step: int
    samples: NDArray[np.float16] | None = None
    sheet: NDArray[np.uint8] | None = None
    losses: Float32 | None = None
    x0_hat: NDArray[np.float16] | None = None

    @property
    def held_out(self) -> float | None:
        """The mean loss over all levels: pictures kept from training, weights averaged."""
        return None if self.losses is None else float(self.losses.mean())


@dataclass(frozen=True, slots=True, eq=False)
class Begun:
    """A training is ready, or goes on: all that is known of it so far.

    losses: one of every step after `first`; moments: the steps at which it will be looked at.
    """

    recipe: str
    title: str
    device: str
    parameters: int
    first: int
    step: int
    steps: int
    batch: int
    pictures: int
    losses: Float32
    snapshots: tuple[Snapshot, ...]
    moments: tuple[int, ...]
    watched: Watched | None


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """Some steps more: their losses (n,), and the speed of about the last minute."""

    step: int
    losses: Float32
    samples_per_second: float
    seconds_left: float


@dataclass(frozen=True, slots=True)
class Looked:
    """A snapshot was taken."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint is on the disk; it can be resumed from there."""

    step: int


@dataclass(frozen=True, slots=True)
class NotKept:
    """The disk refused a checkpoint; the training goes on, the last good one stays."""

    text: str


@dataclass(frozen=True, slots=True)
class Published:
    """The model's file was written; `entry` is a catalog.Entry."""

    entry: Any


def moving_mean(losses: Float32, steps: int) -> Float32:
    """(n,) -> (n,): at each step the mean of the last `steps` losses, of fewer at the start."""
    if not len(losses):
        return losses
    sums = np.concatenate([[0.0], np.cumsum(losses, dtype=np.float64)])
    ends = np.arange(1, len(losses) + 1)
    begins = np.maximum(0, ends - max(1, steps))
    return np.asarray((sums[ends] - sums[begins]) / (ends - begins), np.float32)
