"""Lenses: how latents are looked at. Records keep latents; a frame shows pictures of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diffview.engine.trajectory import Float32

if TYPE_CHECKING:
    from diffview.engine.denoiser import Decodes
    from diffview.models.palette import Palette
    from diffview.models.preview import LinearPreview

DECODED, PREVIEW = "decoded", "preview"


@dataclass(frozen=True, slots=True, eq=False)
class Lens:
    """picture: latents (B, *D) -> pictures (B, *P), P being `shape`; the name is told with them.

    Each is equal to itself alone: what is behind two of one name need not be comparable.

    Safe to call from several threads.
    """

    name: str
    shape: tuple[int, ...]
    picture: Callable[[Float32], Float32]


def decoded(model: Decodes, shape: tuple[int, ...]) -> Lens:
    """The model's own decoder, as exact and as slow as it is."""
    from threading import Lock

    import torch

    lock = Lock()  # one at a time: decoders take much memory

    def picture(latents: Float32) -> Float32:
        with lock, torch.no_grad():
            pictures = model.decode(torch.tensor(latents, device=model.device))
        return np.asarray(pictures.to("cpu", torch.float32).numpy())

    return Lens(DECODED, shape, picture)


def previewed(
    preview: LinearPreview, data_shape: tuple[int, ...], shape: tuple[int, ...] | None = None
) -> Lens:
    """A fitted linear map: one colour for each pixel of the latents, at once.

    With `shape` every pixel of the latents is repeated up to the pictures' own size.
    """
    small = (len(preview.bias), *data_shape[1:])
    if shape is None:
        return Lens(PREVIEW, small, preview)
    high, wide = (max(1, shape[k] // small[k]) for k in (-2, -1))

    def picture(latents: Float32) -> Float32:
        return preview(latents).repeat(high, axis=-2).repeat(wide, axis=-1)

    return Lens(PREVIEW, (small[0], small[1] * high, small[2] * wide), picture)


def by_palette(palette: Palette, shape: tuple[int, ...]) -> Lens:
    """What each token alone looks like, at once; where a token is a pixel this is exact."""
    return Lens(DECODED if palette.exact else PREVIEW, shape, palette)


def blank(name: str, shape: tuple[int, ...]) -> Lens:
    """A lens that shows nothing, of the same shape: for checks before a model is there."""
    return Lens(name, shape, lambda latents: np.zeros((len(latents), *shape), np.float32))
