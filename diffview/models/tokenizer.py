"""A vector-quantised autoencoder of pictures: an encoder, a codebook, a decoder.

van den Oord, Vinyals, Kavukcuoglu (2017), arXiv 1711.00937; as the first stage of a latent
diffusion model: Rombach et al. (2022), arXiv 2112.10752, whose decoder quantises too. The decoder
may have been trained against a discriminator: Esser et al. (2021), arXiv 2012.09841 (VQ-GAN).
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffview.models.unet import MAX_BLOCKS, MAX_NUMBER, Attention, norm, whole_number

PATCH = 2
"""The encoder's first layer sees patches of 2 x 2 pixels, its second halves the map again."""
FACTOR = 4
"""Pixels along a side of one token."""


@dataclass(frozen=True, slots=True)
class TokenizerConfig:
    """The shape of a `Tokenizer`; stored with its weights."""

    channels: int = 3
    size: int = 64
    codes: int = 1024
    depth: int = 4
    narrow: int = 48
    wide: int = 128
    blocks: int = 2

    def __post_init__(self) -> None:
        """Refuse, with ValueError, what no network can be built from, or none that ends."""
        counts = ("channels", "size", "codes", "depth", "narrow", "wide")
        for name in counts:
            least = 2 if name in ("codes", "narrow", "wide") else 1
            whole_number(getattr(self, name), name, least, MAX_NUMBER)
        whole_number(self.blocks, "blocks", 1, MAX_BLOCKS)
        if self.size % FACTOR:
            raise ValueError(f"size = {self.size} is not a multiple of {FACTOR}")

    @property
    def grid(self) -> int:
        """Tokens along a side."""
        return self.size // FACTOR

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """The shape of one picture's latents."""
        return self.depth, self.grid, self.grid

    def to_json(self) -> dict[str, Any]:
        """A JSON value; the keywords of this class."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Quantised:
    """indices (B, h, w) int64 of the nearest codes, those codes as latents z_q (B, d, h, w), and
    their Euclidean distance (B, h, w) from what the encoder said."""

    indices: Tensor
    z_q: Tensor
    distance: Tensor


class Tokenizer(nn.Module):
    """Pictures (B, C, S, S) in [-1, 1] <-> tokens (B, S/4, S/4) of a codebook (K, d)."""

    codebook: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = _encoder(config)
        self.decoder = _decoder(config)
        # A buffer: it follows the encoder by averages, not by gradients (arXiv 1711.00937, A.1).
        self.register_buffer("codebook", torch.zeros(config.codes, config.depth))

    def encode(self, x: Tensor) -> Tensor:
        """x (B, C, S, S) in [-1, 1] -> latents z (B, d, S/4, S/4), not yet snapped to codes."""
        z: Tensor = self.encoder(F.pixel_unshuffle(x, PATCH))
        return z

    def quantise(self, z: Tensor) -> Quantised:
        """The nearest code of every latent vector of z (B, d, h, w)."""
        batch, depth, height, width = z.shape
        flat = z.permute(0, 2, 3, 1).reshape(-1, depth)
        # Differences, not |z|^2 - 2 z.e + |e|^2: that loses the digits that decide near ties.
        distance, nearest = torch.cdist(
            flat, self.codebook, compute_mode="donot_use_mm_for_euclid_dist"
        ).min(dim=1)
        indices = nearest.view(batch, height, width)
        return Quantised(indices, self.codes_at(indices), distance.view(batch, height, width))

    @property
    def last_weight(self) -> Tensor:
        """The weights of the decoder's last layer, which every pixel depends on."""
        last = self.decoder[-1]
        assert isinstance(last, nn.Conv2d)
        return last.weight

    @property
    def codebook_sha256(self) -> str:
        """What tells this codebook from any other."""
        codes = self.codebook.detach().cpu().to(torch.float16).contiguous()
        return hashlib.sha256(codes.numpy().tobytes()).hexdigest()

    def codes_at(self, indices: Tensor) -> Tensor:
        """indices (B, h, w) -> their codes as latents (B, d, h, w)."""
        return self.codebook[indices].permute(0, 3, 1, 2)

    def decode(self, z_q: Tensor) -> Tensor:
        """Latents z_q (B, d, h, w), codes as they are or anything near -> pictures in [-1, 1]."""
        x: Tensor = self.decoder(z_q)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """The reconstruction of x (B, C, S, S) through its nearest codes."""
        return self.decode(self.quantise(self.encode(x)).z_q)


def _encoder(config: TokenizerConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(config.channels * PATCH**2, config.narrow, 3, padding=1),
        Residual(config.narrow),
        nn.Conv2d(config.narrow, config.wide, 3, stride=2, padding=1),
        *(Residual(config.wide) for _ in range(config.blocks)),
        norm(config.wide),
        nn.SiLU(),
        nn.Conv2d(config.wide, config.depth, 1),
    )


def _decoder(config: TokenizerConfig) -> nn.Sequential:
    narrow, half = config.narrow, config.narrow // 2
    return nn.Sequential(
        nn.Conv2d(config.depth, config.wide, 3, padding=1),
        Residual(config.wide),
        Attention(config.wide),
        *(Residual(config.wide) for _ in range(config.blocks - 1)),
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(config.wide, narrow, 3, padding=1),
        Residual(narrow),
        nn.Upsample(scale_factor=2, mode="nearest"),
        nn.Conv2d(narrow, half, 3, padding=1),
        norm(half),
        nn.SiLU(),
        nn.Conv2d(half, config.channels, 3, padding=1),
    )


class Residual(nn.Module):
    """Two convolutions around which the input is carried."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            norm(width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            norm(width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, h: Tensor) -> Tensor:
        """(B, width, S, S) -> the same shape."""
        out: Tensor = h + self.body(h)
        return out
