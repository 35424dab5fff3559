"""A linear map from latents to colours: what a decoder would show, at once and roughly.

Each latent pixel gives one colour, colour = W latent + b. W and b are least squares of the
decoder's own pictures, averaged over each latent pixel's place, on latents made for the purpose:
Gaussian fields of unit variance that are smooth at several scales. They are fitted once for each
decoder and kept in the cache folder under the hash of its weights.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diffview import places
from diffview.atomic import replacing
from diffview.errors import DiffviewError

if TYPE_CHECKING:
    from torch import Tensor

    from diffview.engine.denoiser import Decodes

log = logging.getLogger(__name__)

Float32 = NDArray[np.float32]

SIDE, FIELDS, SCALES = 16, 8, (1, 2, 4, 8, 16)
"""Latent pixels of a side, fields to fit on, and how many pixels of noise a side each has."""


@dataclass(frozen=True, slots=True)
class LinearPreview:
    """weights (K, C) and bias (K,), K colours of C channels.

    explained is the part of the decoder's variance that the map gives on what it was fitted on.
    """

    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    explained: float

    def __call__(self, latents: Float32) -> Float32:
        """(B, C, h, w) -> (B, K, h, w), mostly within -1 .. 1."""
        colours = np.einsum("kc,bchw->bkhw", np.asarray(self.weights, np.float32), latents)
        return np.asarray(colours + np.asarray(self.bias, np.float32)[:, None, None], np.float32)


def of(model: Decodes, folder: Path | None = None) -> LinearPreview:
    """The model's preview: kept in `folder` (the cache's) from an earlier time, or fitted now."""
    place = (folder or _cache_folder()) / f"{model.decoder_sha256}.json"
    kept = _read(place, model.data_shape[0])
    if kept is None:
        kept = fit(model.decode, model.data_shape, model.device)
        _write(place, kept)
    return kept


def fit(
    decode: Callable[[Tensor], Tensor], data_shape: Sequence[int], device: Any = "cpu"
) -> LinearPreview:
    """The preview of a decoder of latents (C, H, W). Raises DiffviewError if it yields NaN."""
    import torch
    from torch.nn.functional import adaptive_avg_pool2d

    channels, side = data_shape[0], min(SIDE, *data_shape[1:])
    latents = _fields(channels, side).to(device)
    with torch.no_grad():
        pictures = decode(latents).float()
    colours = adaptive_avg_pool2d(pictures, side).cpu()
    x = latents.cpu().movedim(1, -1).reshape(-1, channels).double()
    y = colours.movedim(1, -1).reshape(len(x), -1).double()
    if not bool(y.isfinite().all()):
        raise DiffviewError("the decoder yields NaN or infinity, so no preview can be fitted")
    columns = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    found = torch.linalg.lstsq(columns, y).solution
    left, whole = (y - columns @ found).var(0).sum(), y.var(0).sum()
    return LinearPreview(
        weights=tuple(tuple(row) for row in found[:-1].T.tolist()),
        bias=tuple(found[-1].tolist()),
        explained=float(1 - left / whole) if whole > 0 else 1.0,
    )


def _fields(channels: int, side: int) -> Tensor:
    """(FIELDS, channels, side, side), unit variance over the whole, the same at every call."""
    import torch
    from torch.nn.functional import interpolate

    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(FIELDS, channels, side, side)
    for scale in SCALES:
        size = min(scale, side)
        noise = torch.randn(FIELDS, channels, size, size, generator=generator)
        total += interpolate(noise, (side, side), mode="bilinear", align_corners=False)
    return total / total.std()


def _cache_folder() -> Path:
    return (places.folder("cache") or Path(tempfile.gettempdir(), "diffview")) / "previews"


def _read(place: Path, channels: int) -> LinearPreview | None:
    """What an earlier time kept; anything else than that is as good as nothing."""
    try:
        value = json.loads(place.read_text(encoding="ascii"))
        weights = tuple(tuple(map(float, row)) for row in value["weights"])
        bias = tuple(map(float, value["bias"]))
        explained = float(value["explained"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    fits = len(weights) == len(bias) and all(len(row) == channels for row in weights)
    return LinearPreview(weights, bias, explained) if fits else None


def _write(place: Path, preview: LinearPreview) -> None:
    value = {
        "weights": preview.weights,
        "bias": preview.bias,
        "explained": preview.explained,
    }
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with replacing(place) as partial:
            partial.write_text(json.dumps(value), encoding="ascii")
    except OSError as error:  # without a cache it is fitted anew each time
        log.warning("the latent preview could not be kept in %s: %s", place, error)
