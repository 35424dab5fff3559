"""What each token alone looks like: a small picture for every code, laid side by side at once.

A code's picture is the middle of what the model's decoder makes of a field of nothing but that
code. Where a model's tokens are its pixels this is the picture itself; of a tokenizer it is rough:
a code means something else beside others. Made once for each decoder and kept in the cache folder
under its hash.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diffview import places, tensorfile
from diffview.errors import DiffviewError, InputError

if TYPE_CHECKING:
    from diffview.models.writer import TokenWriter

log = logging.getLogger(__name__)

Float32 = NDArray[np.float32]

AROUND = 3
"""Tokens along a side of a field; the middle one is kept."""
BATCH = 64
BLANK = 0.0


@dataclass(frozen=True, slots=True)
class Palette:
    """pictures (K, C, f, f) of K codes, each f pixels a side; no torch is needed to use it."""

    pictures: Float32

    @property
    def exact(self) -> bool:
        """Whether a token is a pixel, so that nothing is lost."""
        return bool(self.pictures.shape[-1] == 1)

    def __call__(self, tokens: Float32) -> Float32:
        """(B, 1, h, w) token numbers -> (B, C, f h, f w); BLANK where none is yet."""
        numbers = np.rint(tokens[:, 0]).astype(np.int64)
        tiles = self.pictures[numbers.clip(0)]
        tiles[numbers < 0] = BLANK
        batch, high, wide, channels, side, _ = tiles.shape
        laid = tiles.transpose(0, 3, 1, 4, 2, 5)
        return np.ascontiguousarray(laid.reshape(batch, channels, high * side, wide * side))


def of(model: TokenWriter, folder: Path | None = None) -> Palette:
    """The model's palette: kept in `folder` (the cache's) from an earlier time, or made now."""
    place = (folder or _cache_folder()) / f"{model.decoder_sha256}.safetensors"
    kept = _read(place, model.codes)
    if kept is None:
        kept = make(model)
        if not kept.exact:
            _write(place, kept)
    return kept


def make(model: TokenWriter) -> Palette:
    """The palette of a model's decoder. Raises DiffviewError if it yields NaN."""
    import torch

    side = model.card.shown_shape[-1] // model.data_shape[-1]
    middle = slice(AROUND // 2 * side, AROUND // 2 * side + side)
    found = []
    for first in range(0, model.codes, BATCH):
        codes = torch.arange(first, min(first + BATCH, model.codes), device=model.device)
        fields = codes.float()[:, None, None, None].expand(-1, 1, AROUND, AROUND)
        found.append(model.decode(fields)[..., middle, middle].cpu().numpy())
    pictures = np.concatenate(found).astype(np.float32)
    if not np.isfinite(pictures).all():
        raise DiffviewError("the decoder yields NaN or infinity, so tokens cannot be shown")
    return Palette(pictures)


def _cache_folder() -> Path:
    return (places.folder("cache") or Path(tempfile.gettempdir(), "diffview")) / "palettes"


def _read(place: Path, codes: int) -> Palette | None:
    """What an earlier time kept; anything else than that is as good as nothing."""
    try:
        pictures = tensorfile.read_numpy(place)["pictures"]
    except (InputError, OSError, KeyError):
        return None
    whole = pictures.ndim == 4 and len(pictures) == codes and pictures.dtype == np.float32
    return Palette(pictures) if whole and np.isfinite(pictures).all() else None


def _write(place: Path, palette: Palette) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        tensorfile.write_numpy(place, {"pictures": palette.pictures}, {})
    except OSError as error:  # without a cache it is made anew each time
        log.warning("the pictures of tokens could not be kept in %s: %s", place, error)
