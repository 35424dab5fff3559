"""Pictures varied at random: moved, mirrored, in other colours. All on (B, C, S, S)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional as F

ORDERS = tuple(itertools.permutations(range(3)))


def shifted(x: Tensor, most: int, generator: torch.Generator, *, empty: float = -1.0) -> Tensor:
    """Each picture moved by whole pixels, at most `most`; the value `empty` comes in."""
    batch, _, height, width = x.shape
    device = x.device
    moves = torch.randint(0, 2 * most + 1, (2, batch, 1), generator=generator, device=device)
    rows = moves[0] + torch.arange(height, device=device)
    columns = moves[1] + torch.arange(width, device=device)
    which = torch.arange(batch, device=device)[:, None, None]
    padded = F.pad(x, (most,) * 4, value=empty).permute(0, 2, 3, 1)
    return padded[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def flipped(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each picture mirrored left to right, or not, with equal chance."""
    mirror = torch.rand(len(x), generator=generator, device=x.device) < 0.5
    return torch.where(mirror[:, None, None, None], x.flip(3), x)


def recoloured(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """A share of the pictures (B, 3, S, S) with red, green and blue in another order."""
    device = x.device
    changes = torch.rand(len(x), generator=generator, device=device) < share
    drawn = torch.randint(1, len(ORDERS), (len(x),), generator=generator, device=device)
    orders = torch.tensor(ORDERS, device=device)[torch.where(changes, drawn, 0)]
    which = torch.arange(len(x), device=device)[:, None]
    return x[which, orders]
