"""A small U-Net for pictures: pixel-unshuffle in, FiLM by time and class, pixel-shuffle out.

Layout after Ho et al. (2020), arXiv 2006.11239, appendix B; FiLM as "scale-shift norm" in
Dhariwal & Nichol (2021), arXiv 2105.05233; patches: Hoogeboom et al. (2023), arXiv 2301.11093.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_NUMBER = 2**20
MAX_BLOCKS = 64
MAX_DEPTH = 10
"""Bounds far beyond any network: a damaged file must not keep us building one without end."""


def whole_number(value: object, name: str, least: int, most: int) -> None:
    """Raise ValueError unless `value` is a whole number from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name} = {value!r} is not a whole number from {least} to {most}")


@dataclass(frozen=True, slots=True)
class UNetConfig:
    """The shape of a `UNet`; stored with its weights.

    context: the width of the vectors that it attends to (words of a prompt), 0 where there are
    none.
    """

    channels: int
    size: int
    base: int = 64
    multipliers: tuple[int, ...] = (1, 2)
    blocks: int = 2
    attention: tuple[int, ...] = (7,)
    patch: int = 2
    classes: int = 0
    context: int = 0

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what no network can be built from, or none that ends."""
        counts = {"channels": 1, "size": 1, "base": 2, "blocks": 1, "patch": 1}
        for name, least in {**counts, "classes": 0, "context": 0}.items():
            most = MAX_BLOCKS if name == "blocks" else MAX_NUMBER
            whole_number(getattr(self, name), name, least, most)
        if not 1 <= len(self.multipliers) <= MAX_DEPTH:
            raise ValueError(f"{len(self.multipliers)} multipliers, possible are 1 to {MAX_DEPTH}")
        for multiplier in self.multipliers:
            whole_number(multiplier, "a multiplier", 1, MAX_NUMBER)
        for size in self.attention:
            whole_number(size, "a size in attention", 1, MAX_NUMBER)
        unit = self.patch * 2 ** (len(self.multipliers) - 1)
        if self.size % unit:
            raise ValueError(
                f"size = {self.size} is not a multiple of {unit}, as its depth asks for"
            )

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back."""
        value = asdict(self)
        if not self.context:
            del value["context"]
        return value

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> UNetConfig:
        """The configuration that `to_json` wrote."""
        sequences = {key: tuple(value[key]) for key in ("multipliers", "attention")}
        return cls(**{**value, **sequences})


@dataclass(frozen=True, slots=True)
class Context:
    """What a prompt says to the network: vectors (B, L, context), which of them are words
    (B, L) bool, and their sum in one (B, context)."""

    vectors: Tensor
    mask: Tensor
    pooled: Tensor


class UNet(nn.Module):
    """forward(x_t (B, C, S, S), t (B,), label (B,) int64 or Context) -> (B, C, S, S).

    `t` is the schedule's own time, 0 .. 999; label `classes` means "no class".
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        width, inner = config.base, config.channels * config.patch**2
        self.embed_time = TimeEmbedding(width, 4 * width)
        self.embed_class = nn.Embedding(config.classes + 1, 4 * width) if config.classes else None
        self.embed_pooled = nn.Linear(config.context, 4 * width) if config.context else None
        self.enter = nn.Conv2d(inner, width, 3, padding=1)
        self.down, skips, size = nn.ModuleList(), [width], config.size // config.patch
        for depth, multiplier in enumerate(config.multipliers):
            if depth:
                self.down.append(Downsample(width))
                skips.append(width)
                size //= 2
            for _ in range(config.blocks):
                self.down.append(self._block(width, config.base * multiplier, size))
                width = config.base * multiplier
                skips.append(width)
        self.middle = nn.ModuleList(
            [self._block(width, width, size), self._block(width, width, 0)]
        )
        self.up = nn.ModuleList()
        for depth, multiplier in reversed(list(enumerate(config.multipliers))):
            for _ in range(config.blocks + 1):
                self.up.append(self._block(width + skips.pop(), config.base * multiplier, size))
                width = config.base * multiplier
            if depth:
                self.up.append(Upsample(width))
                size *= 2
        self.leave = nn.Sequential(
            norm(width), nn.SiLU(), zeroed(nn.Conv2d(width, inner, 3, padding=1))
        )

    def _block(self, width_in: int, width_out: int, size: int) -> ResidualBlock:
        attend = size in self.config.attention
        return ResidualBlock(
            width_in,
            width_out,
            4 * self.config.base,
            attend=attend,
            context=self.config.context if attend else 0,
        )

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | Context | None = None) -> Tensor:
        """The network's raw prediction, same shape as `x_t`."""
        embedding, context = self.embed_time(t), None
        if isinstance(label, Context):
            context = label
            if self.embed_pooled is not None:
                embedding = embedding + self.embed_pooled(context.pooled)
        elif self.embed_class is not None and label is not None:
            embedding = embedding + self.embed_class(label)
        embedding = F.silu(embedding)
        h = self.enter(F.pixel_unshuffle(x_t, self.config.patch))
        skips = [h]
        for layer in self.down:
            h = layer(h, embedding, context)
            skips.append(h)
        for layer in self.middle:
            h = layer(h, embedding, context)
        for layer in self.up:
            if isinstance(layer, ResidualBlock):
                h = torch.cat([h, skips.pop()], dim=1)
            h = layer(h, embedding, context)
        out: Tensor = F.pixel_shuffle(self.leave(h), self.config.patch)
        return out


class ResidualBlock(nn.Module):
    """Two convolutions around a FiLM of the embedding, then attention if asked for: to the map
    itself, then to the words."""

    def __init__(
        self, width_in: int, width_out: int, width_embed: int, *, attend: bool, context: int = 0
    ) -> None:
        super().__init__()
        self.norm1, self.conv1 = norm(width_in), nn.Conv2d(width_in, width_out, 3, padding=1)
        self.film = nn.Linear(width_embed, 2 * width_out)
        self.norm2 = norm(width_out)
        self.conv2 = zeroed(nn.Conv2d(width_out, width_out, 3, padding=1))
        self.skip = nn.Conv2d(width_in, width_out, 1) if width_in != width_out else nn.Identity()
        self.attention = Attention(width_out) if attend else nn.Identity()
        self.cross = CrossAttention(width_out, context) if context else None

    def forward(self, h: Tensor, embedding: Tensor, context: Context | None = None) -> Tensor:
        """(B, width_in, S, S) and (B, width_embed) -> (B, width_out, S, S)."""
        scale, shift = self.film(embedding)[:, :, None, None].chunk(2, dim=1)
        inner = self.conv1(F.silu(self.norm1(h)))
        inner = self.norm2(inner) * (1 + scale) + shift
        out: Tensor = self.attention(self.skip(h) + self.conv2(F.silu(inner)))
        if self.cross is not None and context is not None:
            out = self.cross(out, context)
        return out


class Attention(nn.Module):
    """Self-attention over the pixels of a small map, heads of 32 channels, residual."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = max(1, width // 32)
        self.norm, self.qkv = norm(width), nn.Conv2d(width, 3 * width, 1)
        self.out = zeroed(nn.Conv2d(width, width, 1))

    def forward(self, h: Tensor) -> Tensor:
        """(B, width, S, S) -> the same shape."""
        batch, width, height, wide = h.shape
        qkv = self.qkv(self.norm(h)).view(batch, 3, self.heads, -1, height * wide)
        q, k, v = (part.transpose(-1, -2) for part in qkv.unbind(dim=1))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(-1, -2)
        out: Tensor = h + self.out(mixed.reshape(batch, width, height, wide))
        return out


class CrossAttention(nn.Module):
    """Attention of a map's pixels to the words of a prompt, heads of 32 channels, residual.

    Rombach et al. (2022), arXiv 2112.10752, section 3.3.
    """

    def __init__(self, width: int, context: int) -> None:
        super().__init__()
        self.heads = max(1, width // 32)
        self.norm, self.query = norm(width), nn.Conv2d(width, width, 1)
        self.key_value = nn.Linear(context, 2 * width)
        self.out = zeroed(nn.Conv2d(width, width, 1))

    def forward(self, h: Tensor, context: Context) -> Tensor:
        """(B, width, S, S) -> the same shape."""
        batch, width, height, wide = h.shape
        words = context.vectors.shape[1]
        q = self.query(self.norm(h)).view(batch, self.heads, -1, height * wide).transpose(-1, -2)
        pair = self.key_value(context.vectors).view(batch, words, 2, self.heads, -1)
        k, v = pair.permute(2, 0, 3, 1, 4)
        mask = context.mask[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(-1, -2)
        out: Tensor = h + self.out(mixed.reshape(batch, width, height, wide))
        return out


class Downsample(nn.Module):
    """Halve the map with a strided convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2, padding=1)

    def forward(self, h: Tensor, embedding: Tensor, context: Context | None = None) -> Tensor:
        """(B, C, 2S, 2S) -> (B, C, S, S); embedding and context are not used."""
        out: Tensor = self.conv(h)
        return out


class Upsample(nn.Module):
    """Double the map: nearest neighbour, then a convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor, embedding: Tensor, context: Context | None = None) -> Tensor:
        """(B, C, S, S) -> (B, C, 2S, 2S); embedding and context are not used."""
        out: Tensor = self.conv(F.interpolate(h, scale_factor=2, mode="nearest"))
        return out


class TimeEmbedding(nn.Module):
    """Sines and cosines of t over 1 to 10,000 periods, then a two-layer network."""

    rates: Tensor

    def __init__(self, width: int, width_out: int) -> None:
        super().__init__()
        half = width // 2
        # On the CPU also where the network is laid out on "meta": arithmetic there imports
        # torch's compiler, which takes as long as importing torch.
        steps = torch.arange(half, device="cpu")
        rates = torch.exp(-math.log(10_000) * steps / half)
        self.register_buffer("rates", rates, persistent=False)
        self.net = nn.Sequential(
            nn.Linear(2 * half, width_out), nn.SiLU(), nn.Linear(width_out, width_out)
        )

    def forward(self, t: Tensor) -> Tensor:
        """(B,) -> (B, width_out)."""
        angles = t.float()[:, None] * self.rates
        out: Tensor = self.net(torch.cat([angles.sin(), angles.cos()], dim=1))
        return out


def norm(width: int) -> nn.GroupNorm:
    """Group norm with groups of at least 8 channels."""
    return nn.GroupNorm(max(1, min(8, width // 8)), width)


def zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer with weights and bias zero, so that a fresh residual block does nothing."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
