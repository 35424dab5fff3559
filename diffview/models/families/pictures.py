"""Family `pictures`: the exact denoiser of a set of pictures, one of ours or a folder of files."""

from __future__ import annotations

import torch

from diffview.datasets import folder, picture_sets
from diffview.models.catalog import Entry
from diffview.models.exact.pictures import ExactPictures
from diffview.models.exact.sets import set_of
from diffview.models.families import family


@family("pictures")
def load(entry: Entry, device: torch.device) -> ExactPictures:
    """The pictures of the entry, in memory, on `device`."""
    known = set_of(entry.card.id)
    if known is not None:
        data = picture_sets()[known].load(entry.path if entry.path.is_dir() else None)
    else:
        data = folder.read(folder.look_into(entry.path))
    return ExactPictures(entry.card, data, device)
