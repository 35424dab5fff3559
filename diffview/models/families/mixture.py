"""Family `mixture`: exact models of points; ours by id, a person's own from the file they are in.

Such a file is safetensors: weights (K,), means (K, D), covariances (K, D, D) float64 and labels
(K,) int64, with the card as every model's file has it.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from diffview import tensorfile
from diffview.errors import InputError
from diffview.models.catalog import Entry
from diffview.models.exact.mixture import Mixture, mixture
from diffview.models.exact.mixture_denoiser import MixtureDenoiser
from diffview.models.exact.toys import toys
from diffview.models.families import family

TENSORS = ("weights", "means", "covariances", "labels")


@family("mixture")
def load(entry: Entry, device: torch.device) -> MixtureDenoiser:
    """The exact denoiser of one of our distributions, or of that in the entry's file."""
    if entry.bundled:
        return MixtureDenoiser(entry.card, toys()[entry.card.id].mixture, device)
    return MixtureDenoiser(entry.card, read(entry.path, entry.card.classes), device)


def read(path: Path, classes: tuple[str, ...] = ()) -> Mixture:
    """The mixture in a file that `write` wrote. Raises InputError for any other."""
    tensors = tensorfile.read_numpy(path)
    missing = [name for name in TENSORS if name not in tensors]
    if missing:
        raise InputError(f"{path}: tensor '{missing[0]}' is missing, so it holds no mixture")
    return mixture(
        tensors["means"],
        tensors["covariances"],
        weights=tensors["weights"],
        labels=tensors["labels"] if classes else None,
        classes=classes,
    )


def write(path: Path, denoiser: MixtureDenoiser) -> None:
    """Write a mixture with its card, as a model's file that can be opened everywhere."""
    metadata = {"diffview.card": json.dumps(denoiser.card.to_json())}
    arrays = {name: getattr(denoiser.mixture, name) for name in TENSORS}
    tensorfile.write_numpy(path, arrays, metadata)
