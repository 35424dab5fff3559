"""One layer of a transformer, normalised before each part; with or without a memory of what came.

Vaswani et al. (2017), arXiv 1706.03762; normalised first: Xiong et al. (2020), arXiv 2002.04745.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

HEAD = 32
"""Numbers in one head."""


class Memory:
    """Keys and values (B, heads, T, HEAD) of all tokens that one layer has seen."""

    def __init__(self) -> None:
        self._kept: tuple[Tensor, Tensor] | None = None

    def with_new(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Those before and these after; all are kept."""
        if self._kept is not None:
            k, v = torch.cat([self._kept[0], k], dim=2), torch.cat([self._kept[1], v], dim=2)
        self._kept = k, v
        return self._kept


class Layer(nn.Module):
    """Self-attention and a two-layer network, each around a residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.norm1, self.qkv = nn.LayerNorm(width), nn.Linear(width, 3 * width)
        self.mixed = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.net = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, h: Tensor, mask: Tensor | None, memory: Memory | None = None) -> Tensor:
        """(B, T, width) -> the same shape.

        mask, broadcast to (B, heads, T, S), is true where one of T may look at one of the S there
        are: those before T in the memory, then T themselves; None: everywhere.
        """
        batch, length, width = h.shape
        qkv = self.qkv(self.norm1(h)).view(batch, length, 3, self.heads, HEAD)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if memory is not None:
            k, v = memory.with_new(k, v)
        looked = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        h = h + self.mixed(looked.transpose(1, 2).reshape(batch, length, width))
        out: Tensor = h + self.net(self.norm2(h))
        return out
