"""A small residual network for points: waves of t beside x_t, the class added, then an MLP.

Time enters as sines and cosines of t / T at octaves (Tancik et al. 2020, arXiv 2006.10739, use the
same for coordinates).
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.models.unet import MAX_BLOCKS, MAX_NUMBER, whole_number

WAVES = 6


@dataclass(frozen=True, slots=True)
class PointConfig:
    """The shape of a `PointNetwork`; stored with its weights. times: T of its schedule."""

    dims: int = 2
    classes: int = 0
    width: int = 128
    depth: int = 3
    times: int = 1000

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what no network can be built from."""
        for name, least in (("dims", 1), ("classes", 0), ("width", 1), ("times", 1)):
            whole_number(getattr(self, name), name, least, MAX_NUMBER)
        whole_number(self.depth, "depth", 1, MAX_BLOCKS)

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PointConfig:
        """The configuration that `to_json` wrote."""
        return cls(**value)


class PointNetwork(nn.Module):
    """forward(x_t (B, D), t (B,), label (B,) int64) -> (B, D); label `classes` means none."""

    def __init__(self, config: PointConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.enter = nn.Linear(config.dims + 2 * WAVES, width)
        self.embed_class = nn.Embedding(config.classes + 1, width) if config.classes else None
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(config.depth))
        self.leave = nn.Linear(width, config.dims)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """The network's raw prediction, same shape as `x_t`."""
        octaves = 2.0 ** torch.arange(WAVES, device=x_t.device)
        angles = math.pi / self.config.times * t.float()[:, None] * octaves
        h: Tensor = self.enter(torch.cat([x_t, angles.sin(), angles.cos()], dim=1))
        if self.embed_class is not None and label is not None:
            h = h + self.embed_class(label)
        for layer in self.hidden:
            h = h + layer(F.silu(h))
        out: Tensor = self.leave(F.silu(h))
        return out
