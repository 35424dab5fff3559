"""A pixel autoregressive network: convolutions that only see the pixels before, in reading order.

van den Oord, Kalchbrenner, Kavukcuoglu (2016), arXiv 1601.06759, section 3.4 and figure 5: a first
convolution that does not see the pixel itself (mask A), then residual blocks that may (mask B).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.models.unet import MAX_BLOCKS, MAX_NUMBER, whole_number


@dataclass(frozen=True, slots=True)
class PixelCnnConfig:
    """The shape of a `PixelCnn`; stored with its weights. levels: grey levels it tells apart."""

    size: int
    classes: int
    levels: int = 32
    width: int = 64
    blocks: int = 7
    kernel: int = 5

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what no network can be built from."""
        for name, least in {"size": 1, "classes": 0, "levels": 2, "width": 2}.items():
            whole_number(getattr(self, name), name, least, MAX_NUMBER)
        whole_number(self.blocks, "blocks", 1, MAX_BLOCKS)
        whole_number(self.kernel, "kernel", 3, 63)
        if self.kernel % 2 == 0:
            raise ValueError(f"kernel = {self.kernel} has no middle")

    def to_json(self) -> dict[str, Any]:
        """A JSON value; the keywords of this class."""
        return asdict(self)


class PixelCnn(nn.Module):
    """Logits of every pixel's grey level, given those before it and a class.

    Label `classes` means "no class".
    """

    def __init__(self, config: PixelCnnConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.enter = Masked(2, width, 7, itself=False)
        self.embed_class = nn.Embedding(config.classes + 1, width)
        self.blocks = nn.ModuleList(Block(width, config.kernel) for _ in range(config.blocks))
        self.leave = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(), nn.Conv2d(width, config.levels, 1)
        )

    def forward(self, pixels: Tensor, label: Tensor) -> Tensor:
        """pixels (B, S, S) int64 of 0 .. levels - 1, label (B,) -> logits (B, levels, S, S)."""
        x = pixels.float() / (self.config.levels - 1) * 2 - 1
        # The second channel tells the picture from what lies outside it, where both are zero.
        h = self.enter(torch.stack([x, torch.ones_like(x)], dim=1))
        said = self.embed_class(label)[:, :, None, None]
        for block in self.blocks:
            h = block(h, said)
        out: Tensor = self.leave(h)
        return out


class Block(nn.Module):
    """1 x 1, masked, 1 x 1 around a residual; the class is added where the map is narrow."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        narrow = width // 2
        self.down, self.said = nn.Conv2d(width, narrow, 1), nn.Conv2d(width, narrow, 1)
        self.masked = Masked(narrow, narrow, kernel, itself=True)
        self.up = nn.Conv2d(narrow, width, 1)

    def forward(self, h: Tensor, said: Tensor) -> Tensor:
        """h (B, width, S, S), said (B, width, 1, 1) -> (B, width, S, S)."""
        inner = self.down(F.silu(h)) + self.said(said)
        out: Tensor = h + self.up(F.silu(self.masked(F.silu(inner))))
        return out


class Masked(nn.Conv2d):
    """A convolution over the pixels before the middle one, and `itself` if so."""

    mask: Tensor

    def __init__(self, width_in: int, width_out: int, kernel: int, *, itself: bool) -> None:
        super().__init__(width_in, width_out, kernel, padding=kernel // 2)
        before = torch.arange(kernel * kernel, device="cpu") < kernel * kernel // 2 + int(itself)
        self.register_buffer("mask", before.view(kernel, kernel), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, width_in, S, S) -> (B, width_out, S, S)."""
        return F.conv2d(x, self.weight * self.mask, self.bias, padding=self.padding)
