"""What the families share in describing a folder: shapes, hashes, licence, what is unusual."""

from __future__ import annotations

import hashlib
import logging
import math
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from diffview import tensorfile
from diffview.errors import InputError
from diffview.models import hashes, memory
from diffview.models.card import ModelCard
from diffview.models.hf import FAMILY, weights
from diffview.models.hf.folder import BUILT, Folder, Part, inside
from diffview.models.hf.schedule import Sampling

log = logging.getLogger(__name__)

MAX_README = 1_000_000
LONG_READ = 2 * 10**9
"""Bytes that take a person's patience to read."""
MOST_NUMBERS = 2**28
"""Of one sample, or one picture: 9,000 pixels a side in three colours."""
USUAL_SCALE = 0.18215
"""Rombach et al. 2022: one over the deviation of their autoencoder's latents."""


def card(
    folder: Folder,
    sampling: Sampling,
    *,
    parts: Sequence[str],
    data_shape: tuple[int, ...],
    guidance: float | None = None,
    notes: Sequence[str] = (),
    **facts: Any,
) -> ModelCard:
    """The card of a folder; `parts` are those with weights, the denoiser first."""
    held = {name: weights.find(folder.parts[name]) for name in parts}
    defaults: dict[str, Any] = {"sampler": sampling.sampler, "spacing": sampling.spacing}
    if sampling.sampler == "ddpm":  # its thousand steps are no first look
        defaults["sampler"] = "ddim"
    if sampling.options:
        defaults["options"] = sampling.options
    if guidance is not None:
        defaults["guidance"] = guidance
    if guidance == 1:  # distilled: as it was made it needs no second evaluation
        defaults["guidance_kind"] = "none"
    unusual = [*folder.notes, *sampling.notes, *notes]
    for found in held.values():
        unusual += found.notes
    return ModelCard(
        id=name_of(folder.path),
        title=name_of(folder.path),
        family=FAMILY,
        data_shape=data_shape,
        prediction=sampling.prediction,
        schedule=sampling.schedule,
        description=_description(folder, held),
        source=f"a {folder.pipeline} {'folder' if folder.path.is_dir() else 'file'}",
        licence=licence(folder.path),
        parameters=sum(found.parameters for found in held.values()),
        weights_sha256=_hash(held),
        defaults=defaults,
        latent="picture_shape" in facts,
        decoder=_decoder(folder, parts),
        notes=tuple(unusual),
        **facts,
    )


def name_of(path: Path) -> str:
    """The folder's name; that of the model where it is one of the hub's."""
    resolved = path.absolute()
    if resolved.parent.name == "snapshots":
        return resolved.parent.parent.name.removeprefix("models--").replace("--", "/")
    return resolved.name.replace("--", "/") if path.is_dir() else resolved.stem


def shape(part: Part, channels: str, size: str = "sample_size") -> tuple[int, ...]:
    """(C, H, W) of a network's samples."""
    side = part.config.get(size)
    sides = side if isinstance(side, list) else [side, side]
    found = (part.config.get(channels), *sides)
    if len(found) != 3 or not all(type(n) is int and n > 0 for n in found):
        raise InputError(
            f"{part.source}: {channels} {found[0]!r}, {size} {side!r} do not tell a sample's shape"
        )
    return _bounded(part, tuple(int(n) for n in found))


def _bounded(part: Part, found: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a sample or a picture, if any model's could be as large."""
    if math.prod(found) > MOST_NUMBERS:
        raise InputError(
            f"{part.source}: samples of {'x'.join(map(str, found))} are larger than any model's"
        )
    return found


def decoded(part: Part, data_shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of the pictures that an autoencoder makes of latents."""
    latent = part.config.get("latent_channels")
    if latent != data_shape[0]:
        raise InputError(
            f"{part.path} decodes {latent} channels, the denoiser makes {data_shape[0]}"
        )
    times = factor(part)
    channels = whole(part, "out_channels", 3)
    return _bounded(part, (channels, *(side * times for side in data_shape[1:])))


def factor(autoencoder: Part) -> int:
    """How many pixels a side each latent pixel becomes."""
    blocks = autoencoder.config.get("block_out_channels")
    if not isinstance(blocks, list) or not 1 <= len(blocks) <= 10:
        raise InputError(
            f"{autoencoder.source}: block_out_channels {blocks!r} are no blocks of a decoder"
        )
    return int(2 ** (len(blocks) - 1))


def whole(part: Part, key: str, default: int) -> int:
    """A number above 0 in a configuration. Raises InputError for anything else."""
    found = part.config.get(key, default)
    if type(found) is not int or found < 1:
        raise InputError(f"{part.source}: {key} = {found!r} is no whole number above 0")
    return found


def learned_variance(part: Part) -> bool:
    """Whether the network has twice as many channels out as in, the second half for a variance."""
    into, out = part.config.get("in_channels"), part.config.get("out_channels")
    return isinstance(into, int) and out == 2 * into


def licence(path: Path) -> str:
    """The licence that a README.md, or a single file's metadata, states; "" if none does."""
    if path.is_file():
        return tensorfile.read_header(path).metadata.get("modelspec.license", "")[:60]
    try:
        file = inside(path, "README.md")  # in the hub's cache it is a link to its blobs
    except InputError:
        return ""
    if not file.is_file() or file.stat().st_size > MAX_README:
        return ""
    front = re.match(r"---\n(.*?)\n---", file.read_text(encoding="utf-8", errors="replace"), re.S)
    found = re.search(r"^license:\s*([\w.+-]{1,60})\s*$", front[1], re.M) if front else None
    return found[1] if found else ""


def _description(folder: Folder, held: dict[str, weights.Weights]) -> str:
    parts = [
        f"{name}: {folder.parts[name].cls}, {memory.counted(found.parameters)}"
        for name, found in held.items()
    ]
    return "; ".join(parts)


DECODERS = ("AutoencoderKL", "VQModel")


def _decoder(folder: Folder, parts: Sequence[str]) -> str:
    """The part that decodes, and what is done to latents before it; "" where none does."""
    for part in (folder.parts[name] for name in parts):
        if part.cls in DECODERS:
            scale, shift = scale_and_shift(part)
            added = f" + {shift:g}" if shift else ""
            own = ", standardised by channel" if part.config.get("latents_mean") else ""
            exact = ", then to the nearest code" if part.cls == "VQModel" else ""
            return f"{part.cls} of z / {scale:g}{added}{own}{exact}"
    return ""


def scale_and_shift(part: Part) -> tuple[float, float]:
    """What latents are divided by, and what is then added, before they are decoded.

    The configurations of Stable Diffusion 1 are older than this scale and do not tell it.
    """
    scale, shift = _number(part, "scaling_factor", USUAL_SCALE), _number(part, "shift_factor", 0)
    if scale == 0:
        raise InputError(f"{part.source}: scaling_factor is 0")
    return scale, shift


def _number(part: Part, key: str, default: float) -> float:
    value = part.config.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{part.source}: {key} = {value!r} is not a number")
    return value


def files(folder: Folder) -> tuple[tuple[str, int, str], ...]:
    """(its place in the folder, bytes, SHA-256) of each file with weights."""
    held = {
        file
        for part in folder.parts.values()
        if part.cls in BUILT
        for file in weights.find(part).files
    }
    root = folder.path if folder.path.is_dir() else folder.path.parent
    return tuple(
        (file.relative_to(root).as_posix(), file.stat().st_size, hashes.sha256(file))
        for file in sorted(held)
    )


def _hash(held: dict[str, weights.Weights]) -> str:
    """One hash of all files, each under the name of its part."""
    files = {file for found in held.values() for file in found.files}
    _tell_of_reading(files)
    if len(files) == 1:  # a single file is known by its own hash
        return hashes.sha256(files.pop())
    lines = [
        f"{name}/{file.name} {hashes.sha256(file)}"
        for name, found in sorted(held.items())
        for file in found.files
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _tell_of_reading(files: Collection[Path]) -> None:
    """A word of warning before gigabytes are read for their hashes, which happens once."""
    new = sum(file.stat().st_size for file in files if not hashes.is_known(file))
    if new >= LONG_READ:
        log.warning(
            "%s of weights are read once for their hashes, which takes a while (%d files)",
            memory.gigabytes(new), len(files),
        )  # fmt: skip


def tokens(encoder: Part) -> int:
    """How many tokens a CLIP text model reads."""
    return whole(encoder, "max_position_embeddings", 77)


def patches(transformer: Part) -> int:
    """How many tokens a transformer makes of its latents."""
    patch = whole(transformer, "patch_size", 2)
    return int(math.prod(side // patch for side in shape(transformer, "in_channels")[1:]))


def only_latents(unet: Part, data_shape: tuple[int, ...]) -> tuple[int, ...]:
    """data_shape, if the U-Net takes nothing beside latents.

    Those for inpainting or depth have more channels in than out, and want another input.
    """
    if unet.config.get("out_channels") != data_shape[0]:
        raise InputError(
            f"{unet.path} takes {data_shape[0]} channels and makes "
            f"{unet.config.get('out_channels')}: models for inpainting, depth or editing, which "
            "want another picture, are not opened"
        )
    return data_shape


UNMET = {
    "class_embed_type": "a condition beside its prompt ({value})",
    "num_class_embeds": "a class beside its prompt (super-resolution tells its noise so)",
    "time_cond_proj_dim": "its guidance as a number (it is a latent consistency model)",
    "encoder_hid_dim_type": "another encoder's states ({value})",
    "encoder_hid_dim": "states of another width",
}
"""What a U-Net can want that its pipeline here does not give it."""


def check_conditions(unet: Part, addition: str | None) -> None:
    """Raise InputError where a U-Net of prompts wants more than prompts.

    addition: the addition_embed_type that the family provides for.
    """
    for key, wants in UNMET.items():
        value = unet.config.get(key)
        if value is not None:
            raise InputError(
                f"{unet.path} wants {wants.format(value=value)}: {key} is set, and such U-Nets "
                "are not opened"
            )
    found = unet.config.get("addition_embed_type")
    if found != addition:
        raise InputError(
            f"{unet.source}: addition_embed_type is {found!r}, this family's is {addition!r}: "
            "such U-Nets are not opened"
        )
    kind = unet.config.get("attention_type", "default")
    if kind != "default":
        raise InputError(f"{unet.source}: attention_type {kind!r} wants places in the picture")
