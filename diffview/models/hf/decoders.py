"""From latents to pictures: the autoencoders that pipelines bring.

z = latents / scaling_factor + shift_factor, where the configuration has them, then the decoder.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from diffview.errors import InputError
from diffview.models import hashes
from diffview.models.hf import build, cards, weights
from diffview.models.hf.build import Place
from diffview.models.hf.folder import Part

log = logging.getLogger(__name__)


class Autoencoder:
    """A `models.network.Decoder`; half precision that overflows is decoded again in float32."""

    def __init__(self, part: Part, place: Place) -> None:
        if part.config.get("force_upcast") and place.dtype == torch.float16:
            place = replace(place, dtype=torch.float32)
        self.network: nn.Module = build.build(part, place)
        self.dtype, self._part = place.dtype, part
        self._scale, self._shift = (
            torch.tensor(number, device=place.device) for number in _numbers(part)
        )
        self._sha256 = ""

    @property
    def sha256(self) -> str:
        """The hash of its files and of its scale, read at the first call."""
        if not self._sha256:
            files = [hashes.sha256(file) for file in weights.find(self._part).files]
            told = [*files, str(self._scale.tolist()), str(self._shift.tolist())]
            self._sha256 = hashlib.sha256("\n".join(told).encode()).hexdigest()
        return self._sha256

    def __call__(self, latents: Tensor) -> Tensor:
        """Pictures (B, 3, H, W), mostly within -1 .. 1."""
        return self._whole(self.decoded, latents)

    def encode(self, pictures: Tensor) -> Tensor:
        """Latents (B, *D) as the sampler holds them, the middle of what the encoder says."""
        return self._whole(self.encoded, pictures)

    def _whole(self, way: Callable[[Tensor], Tensor], given: Tensor) -> Tensor:
        """`way(given)`, in float32 from now on if half precision overflows on it."""
        found = way(given)
        if self.dtype != torch.float32 and not bool(found.isfinite().all()):
            log.warning("the autoencoder overflowed in %s: it goes on in float32", self.dtype)
            self.network, self.dtype = self.network.float(), torch.float32
            found = way(given)
        return found

    def encoded(self, pictures: Tensor) -> Tensor:
        """`encode` without a look at the values, which may have overflowed in half precision."""
        network: Any = self.network
        told = network.encode(pictures.to(self.dtype))
        z = told.latents if hasattr(told, "latents") else told.latent_dist.mode()
        latents: Tensor = (z.float() - self._shift) * self._scale
        return latents

    def decoded(self, latents: Tensor) -> Tensor:
        """Pictures without a look at the values, which may have overflowed in half precision."""
        network: Any = self.network
        z = latents / self._scale + self._shift
        pictures: Tensor = network.decode(z.to(self.dtype)).sample
        return pictures.float()


def _numbers(part: Part) -> tuple[Any, Any]:
    """What latents are divided by and what is then added; numbers, or (C, 1, 1) nested lists."""
    scale, shift = cards.scale_and_shift(part)
    mean, std = (_by_channel(part, key) for key in ("latents_mean", "latents_std"))
    if mean is None or std is None:
        return scale, shift
    return [[[scale / one]] for one in std], [[[one]] for one in mean]


def _by_channel(part: Part, key: str) -> list[float] | None:
    found, count = part.config.get(key), part.config.get("latent_channels")
    if found is None:
        return None
    numbers = isinstance(found, list) and all(type(one) in (int, float) for one in found)
    if not numbers or len(found) != count or not all(math.isfinite(one) for one in found):
        raise InputError(f"{part.path}: {key} is no number for each of {count} channels")
    if key == "latents_std" and not all(one > 0 for one in found):
        raise InputError(f"{part.path}: latents_std has numbers that are not above 0")
    return [float(one) for one in found]
