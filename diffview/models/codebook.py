"""A codebook at work: what tokenizers of the same codes make of a picture, or of changed codes.

Encoder output z, nearest code k = argmin_j |z - e_j| and its distance: van den Oord et al. (2017),
arXiv 1711.00937, equations 1 and 2. Perplexity of a code usage p: exp(-sum p ln p), 1 where one
code does everything, K where all K do the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffview.errors import InputError

if TYPE_CHECKING:
    from diffview.models.tokenizer import Tokenizer

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]

AROUND, FIELDS = 3, 64
"""Tokens along a side of a field of one code, and how many fields are decoded at a time."""

DECODERS = ("emoji-vq", "emoji-vqgan")
"""The encoder is the first one's."""


@dataclass(frozen=True, slots=True, eq=False)
class Coded:
    """x (C, S, S) in -1 .. 1; z (d, h, w), what the encoder says; indices (h, w) of the nearest
    codes; distance (h, w), Euclidean, of z from those."""

    x: Float32
    z: Float32
    indices: Int64
    distance: Float32


class Codebook:
    """Tokenizers that share their codes. Every method computes at once: call it in a worker."""

    def __init__(self, tokenizers: Sequence[Tokenizer]) -> None:
        """Raises InputError where the codes differ."""
        if len({tokenizer.codebook_sha256 for tokenizer in tokenizers}) != 1:
            raise InputError(
                "these tokenizers have different codebooks, so they cannot decode one another's "
                "tokens: give tokenizers that were trained on the same codes"
            )
        self._tokenizers = tuple(tokenizers)
        self.vectors: Float32 = tokenizers[0].codebook.detach().cpu().float().numpy()
        config = tokenizers[0].config
        self.shape = config.channels, config.size, config.size
        self.grid = config.grid

    @classmethod
    def open(cls, ids: Sequence[str] = DECODERS) -> Codebook:
        """The bundled ones, by their ids. Raises InputError when one is missing or damaged."""
        from diffview.models import catalog, families

        return cls([families.load(catalog.find(one)) for one in ids])

    def code(self, x: Float32) -> Coded:
        """x (C, S, S) in -1 .. 1 through encoder and codebook."""
        import torch

        with torch.inference_mode():
            z = self._tokenizers[0].encode(torch.from_numpy(x)[None])
            found = self._tokenizers[0].quantise(z)
        return Coded(x, z[0].numpy(), found.indices[0].numpy(), found.distance[0].numpy())

    def decode(self, indices: Int64) -> tuple[Float32, ...]:
        """indices (h, w) -> the picture (C, S, S) that each decoder makes, in -1 .. 1."""
        import torch

        with torch.inference_mode():
            codes = torch.from_numpy(indices)[None]
            made = [one.decode(one.codes_at(codes))[0].clamp(-1, 1) for one in self._tokenizers]
        return tuple(one.numpy() for one in made)

    def looks(self) -> Float32:
        """(K, C, f, f): what the first decoder makes of each code alone, the middle of a field of
        nothing but that code; beside others a code means something else."""
        import torch

        first, made = self._tokenizers[0], []
        side = self.shape[-1] // self.grid
        middle = slice(AROUND // 2 * side, AROUND // 2 * side + side)
        for start in range(0, len(self.vectors), FIELDS):
            codes = torch.arange(start, min(start + FIELDS, len(self.vectors)))
            with torch.inference_mode():
                fields = codes[:, None, None].expand(-1, AROUND, AROUND)
                made.append(first.decode(first.codes_at(fields))[..., middle, middle].clamp(-1, 1))
        looks: Float32 = torch.cat(made).numpy()
        return looks

    def count(self, pictures: NDArray[np.uint8]) -> Int64:
        """How often each code is used over pictures (N, C, S, S) of bytes: (K,)."""
        import torch

        x = torch.from_numpy(pictures.astype(np.float32) / 127.5 - 1)
        with torch.inference_mode():
            first = self._tokenizers[0]
            indices = first.quantise(first.encode(x)).indices
        return self.usage(indices.numpy())

    def usage(self, indices: Int64) -> Int64:
        """How often each code stands in `indices`: (K,)."""
        return np.bincount(indices.ravel(), minlength=len(self.vectors)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A code and its Euclidean distance from another."""

    code: int
    distance: float


def neighbours(vectors: Float32, code: int, count: int) -> tuple[Neighbour, ...]:
    """The `count` codes of vectors (K, d) nearest to `code`, itself left out, by distance."""
    distance = np.linalg.norm(vectors - vectors[code], axis=1)
    nearest = [int(k) for k in np.argsort(distance, kind="stable") if k != code]
    return tuple(Neighbour(k, float(distance[k])) for k in nearest[:count])


def perplexity(counts: Int64) -> float:
    """exp of the entropy of counts (K,): as many codes used alike would be as diverse; 0: none."""
    if not counts.any():
        return 0.0
    p = counts[counts > 0] / counts.sum()
    return math.exp(-float((p * np.log(p)).sum()))


def psnr(x: Float32, y: Float32) -> float:
    """Peak signal-to-noise ratio in dB of pictures in -1 .. 1; infinite where they are equal."""
    error = float(np.mean((x.astype(np.float64) - y) ** 2))
    return math.inf if error == 0 else 10 * math.log10(4 / error)
