"""Family `diffusers`: folders of Hugging Face's library, see `models/hf`."""

from __future__ import annotations

from typing import Any

import torch

from diffview.models import hf
from diffview.models.catalog import Entry
from diffview.models.families import family


@family("diffusers")
def load(entry: Entry, device: torch.device, dtype: str = "auto") -> Any:
    """The denoiser of a folder, on `device`, its numbers of `dtype` (of hf.DTYPES)."""
    return hf.load(entry.path, entry.card, device, dtype)
