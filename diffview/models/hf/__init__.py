"""Models of the Hugging Face ecosystem: folders in the form that diffusers writes.

Nothing here imports diffusers, transformers or torch until a model is loaded: what a folder holds
is read from its JSON files and the headers of its weights. A pipeline is never loaded as such.
model_index.json is parsed, every part must be of a class that is known here, and parts are built
one by one from their own configurations, filled with exactly the tensors they name.

A family is one file of this package with

    describe(folder) -> ModelCard                         reads JSON and headers only
    load(folder, card, place) -> NetworkDenoiser          builds the networks
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffview import tensorfile
from diffview.errors import InputError
from diffview.models import memory, reading
from diffview.models.card import ModelCard
from diffview.models.hf import folder, single, weights
from diffview.models.hf.folder import Folder
from diffview.models.memory import Room

if TYPE_CHECKING:
    import torch

    from diffview.engine.levels import NoiseLevel
    from diffview.engine.schedules import Schedule
    from diffview.models.hf.build import Place

log = logging.getLogger(__name__)

FAMILY = "diffusers"
"""What their cards say."""

INSTALL = "python -m pip install 'diffview[hf]'"
"""The one command that installs what these models need."""

DTYPES = ("auto", "float32", "bfloat16", "float16")

NEEDED: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "diffusers": ((0, 38), (0, 44)),
    "transformers": ((5, 6), ()),
    "accelerate": ((), ()),
}
"""The packages of the extra -> the oldest release that will do, and the first that may not."""

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


TITLES = {
    "DDPMPipeline": "diffusion in pixels (DDPM)",
    "DDIMPipeline": "diffusion in pixels (DDIM)",
    "LDMPipeline": "latent diffusion without a condition",
    "DiTPipeline": "DiT, a transformer on latents",
    "StableDiffusionPipeline": "Stable Diffusion 1 or 2",
    "StableDiffusionXLPipeline": "Stable Diffusion XL",
    "PixArtAlphaPipeline": "PixArt-α",
    "PixArtSigmaPipeline": "PixArt-Σ",
    "StableDiffusion3Pipeline": "Stable Diffusion 3",
    "FluxPipeline": "Flux",
}
"""What the families are called."""


def told_family(card: ModelCard) -> str:
    """The family of one of these models, in words."""
    named = (title for name, title in TITLES.items() if name in card.source.split())
    return next(named, card.family)


def is_folder(path: Path) -> bool:
    """Whether `path` is a folder as diffusers writes it."""
    return (path / folder.INDEX).is_file()


def is_single(path: Path) -> bool:
    """Whether `path` is one file of a Stable Diffusion, as it was first saved."""
    return single.holds_one(tensorfile.read_header(path))


def _read(path: Path) -> Folder:
    return folder.read(path, FAMILIES) if path.is_dir() else single.read(path)


def card(path: Path) -> ModelCard:
    """What the folder, or the single file, at `path` holds.

    Raises InputError for what cannot or must not be opened.
    """
    read = _read(path)
    described: ModelCard = _family(read).describe(read)
    return described


def is_pickled(path: Path) -> bool:
    """Whether the folder at `path` has weights as Python pickles alone, to be converted first."""
    return any(map(weights.pickles, _read(path).parts.values()))


def convert(path: Path, models: Path) -> Path:
    """The folder at `path`, whose weights are pickles, as one of safetensors in `models`.

    Raises InputError, DiffviewError.
    """
    from diffview.models.hf import unpickling

    return unpickling.convert(_read(path), models)


def check(path: Path) -> tuple[str, ...]:
    """What is unusual about the parts of a model beside its card; reads headers, no weights.

    Takes the seconds that diffusers takes to be imported. Raises InputError when the extra is not
    installed, or for a part that does not fit its weights: a tensor that is missing or misshapen.
    """
    require()
    read = _read(path)
    with reading.metered(read.path.name, len(read.parts), "parts") as count:
        from diffview.models.hf import checking  # seconds, as it imports diffusers

        return checking.check(read, count)


def files(path: Path) -> tuple[tuple[str, int, str], ...]:
    """(place in the folder, bytes, SHA-256) of each file with weights. Raises InputError."""
    from diffview.models.hf import cards

    return cards.files(_read(path))


def load(path: Path, known: ModelCard, device: torch.device, dtype: str = "auto") -> Any:
    """The denoiser of the folder at `path`, on `device`, its numbers of `dtype` (one of DTYPES).

    auto is float32 where its weights take no more than half of the memory, else bfloat16. On a
    GPU too small for the weights they stay in the host's memory. Raises InputError when the extra
    is not installed, the parts do not fit their weights, or one sample does not fit into memory.
    """
    require()
    read = _read(path)
    place = _place(known, device, dtype)
    model = _family(read).load(read, known, place)
    room = _room(model, place)
    if room is not None:
        model.rows_at_once, model.room = memory.check_samples(room, known.id), room
        log.info("memory of '%s': %s", known.id, room)
        if not room.decodes:
            log.warning("pictures of '%s' will not fit into memory: %s", known.id, room)
    return model


def _place(known: ModelCard, device: torch.device, dtype: str) -> Place:
    import torch

    from diffview.models.hf.build import Place

    if dtype not in DTYPES:
        raise InputError(f"unknown number type '{dtype}'; known are {', '.join(DTYPES)}")
    room = memory.free(device)
    if dtype == "auto":
        small = room is None or 2 * memory.WHOLE * known.parameters <= room
        dtype = "float32" if small else "bfloat16"
        if not small:
            log.warning("the weights are held as bfloat16: float32 would take most of the memory")
    kind = getattr(torch, dtype)
    need = known.parameters * kind.itemsize
    offload = device.type == "cuda" and room is not None and need > memory.SHARE * room
    home = torch.device("cpu") if offload else device
    memory.check_weights(known.parameters, kind.itemsize, home, known.id)
    if offload:
        log.warning("the weights do not fit on %s: they stay in memory, which is slower", device)
    return Place(device, kind, offload)


def _room(model: Any, place: Place) -> Room | None:
    """What one sample and one picture take, measured; None of small models, or if nobody knows."""
    import torch

    card, free = model.card, memory.free(place.device)
    if card.parameters < memory.LARGE or free is None or place.offload:
        return None
    sample = ((1, *card.data_shape), torch.float32, place.device)
    per_sample = _evaluation(model, sample)
    if per_sample is None:
        return None
    # The weights are there already, so what is free is for the samples alone.
    return Room(0, per_sample, free, _decoding(model, sample) or 0)


def _evaluation(model: Any, sample: Any) -> int | None:
    """Bytes that one evaluation takes, in the middle of the schedule.

    A network takes the same at every time; but at pure noise (alpha = 0) there may be no x0_hat,
    and the middle has signal and noise in every schedule.
    """
    card = model.card
    condition = model.null_condition(1) if card.takes_text or card.classes else None
    level = _middle(card.schedule)
    return memory.peak(lambda x_t: model(x_t, level, condition), sample)


def _middle(schedule: Schedule) -> NoiseLevel:
    """The level half-way, at a whole time where times are counted."""
    low, high = schedule.span
    middle = (low + high) / 2
    return schedule.level(float(round(middle)) if schedule.discrete else middle)


def _decoding(model: Any, sample: Any) -> int | None:
    """Bytes that one picture of latents takes; None where there is no decoder."""
    return None if model.decoder is None else memory.peak(model.decoder.decoded, sample)


def require() -> None:
    """Raise InputError with the command that installs it when a package is missing or unfit."""
    missing = [name for name in NEEDED if not is_installed(name)]
    if missing:
        raise InputError(
            f"models of this kind need {', '.join(missing)}, not installed here: {INSTALL}"
        )
    for name, (oldest, beyond) in NEEDED.items():
        found = _release(version(name))
        if (oldest and found < oldest) or (beyond and found >= beyond):
            least = f">={_dotted(oldest)}" + (f",<{_dotted(beyond)}" if beyond else "")
            raise InputError(
                f"{name} {version(name)} is installed here, models of this kind need "
                f"{name}{least}: {INSTALL} --upgrade"
            )


def _release(stated: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(number) for number in re.findall(r"\d+", stated)[:2])


def _dotted(release: tuple[int, ...]) -> str:
    return ".".join(map(str, release))


def is_installed(name: str) -> bool:
    """Whether a package of this name is there; nothing is imported."""
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _family(read: Folder) -> Any:
    return importlib.import_module(f"{__name__}.{FAMILIES[read.pipeline]}")
