"""Seeded noise: drawn on the CPU, one generator per sample, keyed by (seed, step).

Sample k of a run depends on its own seed and on nothing else: not on the batch it sits in, not on
the device, not on which steps are kept. x_T of seed s is torch.randn after manual_seed(s), so that
a notebook can draw the same. The noise of a step is Philox's (Salmon et al. 2011), a generator
with a 128-bit key: torch's own takes 32 bits of a seed, and among so few keys some of a long run's
steps would meet and share their noise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

MAX_SEED = 2**63 - 1


def initial_noise(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """x_T (B, *shape), standard normal, row k from seeds[k]."""
    return torch.stack([_first(seed, shape) for seed in seeds])


def step_noise(seeds: Sequence[int], shape: Sequence[int], i: int) -> Tensor:
    """z (B, *shape) of step `i`, standard normal, independent of x_T and of other steps."""
    return torch.stack([_fresh(seed, i, shape) for seed in seeds])


def _first(seed: int, shape: Sequence[int]) -> Tensor:
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))


def _fresh(seed: int, i: int, shape: Sequence[int]) -> Tensor:
    philox = np.random.Generator(np.random.Philox(key=np.array([seed, i], np.uint64)))
    return torch.from_numpy(philox.standard_normal(tuple(shape), dtype=np.float32))
