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

    def begin(self, label: Tensor) -> tuple[Painting, Tensor]:
        """A painting of nothing for label (B,), and the logits (B, levels) of the first pixel."""
        painting = Painting(self, label)
        return painting, self._next(painting)

    def follow(self, painting: Painting, level: Tensor) -> Tensor:
        """Paint one more pixel, level (B,); the logits (B, levels) of the one after it."""
        x = level.float() / (self.config.levels - 1) * 2 - 1
        painting.entered.put(torch.stack([x, torch.ones_like(x)], dim=1), *painting.place)
        painting.count += 1
        return self._next(painting)

    def _next(self, painting: Painting) -> Tensor:
        """What `forward` says of one pixel: each layer is computed at its place alone."""
        h = painting.entered.seen_from(*painting.place)
        for block, said, seen in zip(self.blocks, painting.said, painting.seen, strict=True):
            assert isinstance(block, Block)
            inner = pointwise(block.down, F.silu(h)) + said
            seen.put(F.silu(inner), *painting.place)
            h = h + pointwise(block.up, F.silu(seen.seen_from(*painting.place)))
        for layer in self.leave:
            h = pointwise(layer, h) if isinstance(layer, nn.Conv2d) else layer(h)
        return h


class Painting:
    """What is remembered of `count` pixels: all that each masked convolution looks at."""

    def __init__(self, network: PixelCnn, label: Tensor) -> None:
        batch, size = len(label), network.config.size
        blocks = [block for block in network.blocks if isinstance(block, Block)]
        heard = network.embed_class(label)
        self.said = [pointwise(block.said, heard) for block in blocks]
        self.entered = Seen(network.enter, batch, size)
        self.seen = [Seen(block.masked, batch, size) for block in blocks]
        self.count, self._size = 0, size

    @property
    def place(self) -> tuple[int, int]:
        """Row and column of the next pixel."""
        return divmod(self.count, self._size)


class Seen:
    """The map (B, C, S, S) that a masked convolution looks at, written pixel by pixel."""

    def __init__(self, conv: Masked, batch: int, size: int) -> None:
        self._margin, taps = conv.kernel_size[0] // 2, int(conv.mask.sum())
        shape = (batch, conv.in_channels, size + self._margin, size + 2 * self._margin)
        self._map = conv.weight.new_zeros(shape)
        self._taps, self._bias = taps, conv.bias
        self._weight = conv.weight.flatten(2)[:, :, :taps].flatten(1)

    def put(self, values: Tensor, row: int, column: int) -> None:
        """Write the values (B, C) of one pixel."""
        self._map[:, :, row + self._margin, column + self._margin] = values

    def seen_from(self, row: int, column: int) -> Tensor:
        """The convolution at one pixel, (B, width_out)."""
        window = self._map[
            :, :, row : row + self._margin + 1, column : column + 2 * self._margin + 1
        ]
        return F.linear(window.flatten(2)[:, :, : self._taps].flatten(1), self._weight, self._bias)


def pointwise(conv: nn.Conv2d, h: Tensor) -> Tensor:
    """A convolution of 1 x 1 on single pixels (B, width)."""
    return F.linear(h, conv.weight.flatten(1), conv.bias)


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
