"""Seeded noise: drawn on the CPU, one generator per sample, keyed by (seed, step).

Sample k of a run depends on its own seed and on nothing else: not on the batch it sits in, not on
the device, not on which steps are kept. x_T of seed s is torch.randn after manual_seed(s), so that
a notebook can draw the same.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

import torch
from torch import Tensor

MAX_SEED = 2**63 - 1


def initial_noise(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """x_T (B, *shape), standard normal, row k from seeds[k]."""
    return torch.stack([_normal(seed, shape) for seed in seeds])


def step_noise(seeds: Sequence[int], shape: Sequence[int], i: int) -> Tensor:
    """z (B, *shape) of step `i`, standard normal, independent of x_T and of other steps."""
    return torch.stack([_normal(_key(seed, i), shape) for seed in seeds])


def _normal(seed: int, shape: Sequence[int]) -> Tensor:
    return torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed))


def _key(seed: int, i: int) -> int:
    # A hash, not seed + i: neighbouring seeds must not share noise at neighbouring steps.
    digest = hashlib.blake2b(struct.pack("<qq", seed, i), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1
