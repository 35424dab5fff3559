"""Seeded noise: drawn on the CPU, one generator per sample, keyed by (seed, step).

Sample k of a run depends on its own seed and on nothing else: not on the batch it sits in, not on
the device, not on which steps are kept. x_T of seed s is torch.randn after manual_seed(s), so that
a notebook can draw the same, for the seeds below 2^32 that torch's generator on the CPU tells
apart: of a larger one it keeps the lowest 32 bits. The x_T of those, and the noise of every step,
are Philox's (Salmon et al. 2011), a generator with a 128-bit key: among 2^32 some of a long run's
steps would meet and share their noise.

Runs of one seed that differ in N can share a Brownian path instead, `BrownianPath`: the noise of a
step is the path's increment over it, so the steps of a finer run add up to those of a coarser one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError

MAX_SEED = 2**63 - 1
TORCH_SEEDS = 2**32
"""How many seeds torch's generator on the CPU tells apart."""


def initial_noise(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """x_T (B, *shape), standard normal, row k from seeds[k].

    It is torch.randn(shape) after manual_seed(seed) where the seed is below 2^32, else Philox's.
    """
    return torch.stack([_first(seed, shape) for seed in seeds])


def step_noise(seeds: Sequence[int], shape: Sequence[int], i: int) -> Tensor:
    """z (B, *shape) of step `i`, standard normal, independent of x_T and of other steps."""
    return torch.from_numpy(_philox(seeds, i, shape, np.float32))


def uniform(seeds: Sequence[int], i: int) -> NDArray[np.float64]:
    """One number (B,) in [0, 1) for step `i`, row k from seeds[k]: what a token is drawn by."""
    return np.array([generator.random() for generator in _keyed(seeds, i)])


def source(
    path: str, seeds: Sequence[int], shape: Sequence[int], levels: Sequence[NoiseLevel]
) -> Callable[[int], Tensor]:
    """Step index -> z (B, *shape) on the CPU, for a run along `levels`; `path` as the option."""
    if path == "step":
        return lambda i: step_noise(seeds, shape, i)
    brownian = BrownianPath(seeds, shape)
    return lambda i: brownian.noise(levels[i], levels[i + 1])


class BrownianPath:
    """One Brownian path W per seed, looked up between noise levels.

    Its time is u = r^(1/4) / (1 + r^(1/4)) of r = sigma / alpha: 0 at the picture, 1 where only
    noise is left, and about as even along a run as Karras' spacing. W is built top
    down by halving (Lévy 1948): the midpoint of an interval given its ends is normal around their
    mean. Times are rounded to 2^-DEPTH, where the path is a Gaussian random walk exactly, so
    increments have the exact law, and depend on nothing but seed, shape and the two levels.
    """

    DEPTH = 20
    WHOLE = 1 << DEPTH

    def __init__(self, seeds: Sequence[int], shape: Sequence[int]) -> None:
        self._seeds, self._shape = tuple(seeds), tuple(shape)
        zero = torch.zeros(len(self._seeds), *self._shape, dtype=torch.float64)
        # The intervals around the last place looked up, widest first: (left, right, W, W).
        self._around = [(0, self.WHOLE, zero, self._drawn(0))]

    def noise(self, level: NoiseLevel, target: NoiseLevel) -> Tensor:
        """z (B, *shape) float32, standard normal: the increment from target to level over its std.

        Raises InputError for two levels too close to tell apart.
        """
        last, first = self._place(level), self._place(target)
        if last <= first:
            raise InputError(
                f"the Brownian path cannot tell the levels at t = {level.t:g} and {target.t:g} "
                "apart: choose fewer steps, or fresh noise for each (noise_path=step)"
            )
        z: Tensor = self.increment(first, last) / math.sqrt((last - first) / self.WHOLE)
        return z.float()

    def increment(self, first: int, last: int) -> Tensor:
        """W(last) - W(first) (B, *shape) float64; places count 2^-DEPTH of the whole."""
        end = self._at(last)
        return end - self._at(first)

    def _place(self, level: NoiseLevel) -> int:
        if level.alpha == 0:
            return self.WHOLE
        root = math.sqrt(math.sqrt(level.ratio))
        return round(root / (1 + root) * self.WHOLE)

    def _at(self, place: int) -> Tensor:
        while not self._around[-1][0] <= place <= self._around[-1][1]:
            self._around.pop()
        left, right, w_left, w_right = self._around[-1]
        while place not in (left, right):
            middle = (left + right) // 2
            std = math.sqrt((right - left) / (4 * self.WHOLE))
            # An interval and its middle determine each other: the middle names the draw.
            w_middle = (w_left + w_right) / 2 + std * self._drawn(middle)
            if place < middle:
                right, w_right = middle, w_middle
            else:
                left, w_left = middle, w_middle
            self._around.append((left, right, w_left, w_right))
        return w_left if place == left else w_right

    def _drawn(self, place: int) -> Tensor:
        # Steps have the keys below 2^63, the path those above.
        return torch.from_numpy(_philox(self._seeds, 2**63 + place, self._shape, np.float64))


def _first(seed: int, shape: Sequence[int]) -> Tensor:
    if seed < TORCH_SEEDS:
        return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))
    # No step has this key, nor any place of the path.
    return torch.from_numpy(_philox([seed], 2**64 - 1, shape, np.float32))[0]


def _philox(
    seeds: Sequence[int],
    key: int,
    shape: Sequence[int],
    dtype: type[np.float32] | type[np.float64],
) -> NDArray[np.floating[Any]]:
    """(B, *shape) standard normal, row k from the key (seeds[k], key)."""
    rows: NDArray[np.floating[Any]] = np.empty((len(seeds), *shape), dtype)
    for k, generator in enumerate(_keyed(seeds, key)):
        generator.standard_normal(dtype=dtype, out=rows[k, ...])
    return rows


def _keyed(seeds: Sequence[int], key: int) -> Iterator[Any]:
    """For each seed the generator of the key (seed, key), at its beginning, until the next.

    It is one and the same: making another would ask the system for entropy that a key replaces.
    """
    philox: Any = np.random.Philox(key=0)  # its state is a dict, whatever the stubs call it
    generator, blank = np.random.Generator(philox), philox.state
    for seed in seeds:
        own = {**blank["state"], "key": np.array([seed, key], np.uint64)}
        philox.state = {**blank, "state": own}
        yield generator
