"""Models of the Hugging Face ecosystem: folders in the form that diffusers writes.

Nothing here imports diffusers, transformers or torch until a model is loaded: what a folder holds
is read from its JSON files and the headers of its weights. A pipeline is never loaded as such.
model_index.json is parsed, every part must be of a class that is known here, and parts are built
one by one from their own configurations, filled with exactly the tensors they name.

A family is one file of this package with

    describe(folder) -> ModelCard                         reads JSON and headers only
    load(folder, card, device, dtype) -> NetworkDenoiser  builds the networks
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.hf import folder
from diffview.models.hf.folder import Folder

if TYPE_CHECKING:
    import torch

INSTALL = "python -m pip install 'diffview[hf]'"
"""The one command that installs what these models need."""

NEEDED = ("diffusers", "transformers", "accelerate")

FAMILIES = {
    "DDPMPipeline": "pixels",
    "DDIMPipeline": "pixels",
    "LDMPipeline": "latent_uncond",
    "DiTPipeline": "dit",
    "StableDiffusionPipeline": "stable_diffusion",
    "StableDiffusionXLPipeline": "sdxl",
    "PixArtAlphaPipeline": "pixart",
    "PixArtSigmaPipeline": "pixart",
    "StableDiffusion3Pipeline": "sd3",
    "FluxPipeline": "flux",
}
"""The pipeline that model_index.json names -> the file of this package that knows it."""


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder as diffusers writes it."""
    return (path / folder.INDEX).is_file()


def card(path: Path) -> ModelCard:
    """What the folder at `path` holds. Raises InputError for what cannot or must not be opened."""
    read = folder.read(path, FAMILIES)
    described: ModelCard = _family(read).describe(read)
    return described


def load(
    path: Path, known: ModelCard, device: torch.device, dtype: torch.dtype | None = None
) -> Any:
    """The denoiser of the folder at `path`, on `device`, in `dtype` (float32 unless given).

    Raises InputError when the extra is not installed, or the parts do not fit their weights.
    """
    import torch

    require()
    read = folder.read(path, FAMILIES)
    return _family(read).load(read, known, device, dtype or torch.float32)


def require() -> None:
    """Raise InputError with the command that installs it when a package is missing."""
    missing = [name for name in NEEDED if not _installed(name)]
    if missing:
        raise InputError(
            f"models of this kind need {', '.join(missing)}, not installed here: {INSTALL}"
        )


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _family(read: Folder) -> Any:
    return importlib.import_module(f"{__name__}.{FAMILIES[read.pipeline]}")
