"""One part of a pipeline from its configuration and its weights, without from_pretrained.

The network is built without memory first and compared with the headers of the files, so a
configuration that lies about its size costs nothing; then it takes over the tensors one by one.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffview.engine import shortage
from diffview.errors import InputError
from diffview.models import hf
from diffview.models.hf import clip_tokenizer, weights
from diffview.models.hf.folder import Part

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger(__name__)

CONFIGS = {
    "CLIPTextModel": "CLIPTextConfig",
    "CLIPTextModelWithProjection": "CLIPTextConfig",
    "T5EncoderModel": "T5Config",
}
"""The class of transformers that holds each model's configuration."""


@dataclass(frozen=True)
class Place:
    """Where networks go and as what; offloaded ones keep their weights in the host's memory."""

    device: torch.device
    dtype: torch.dtype
    offload: bool = False


def build(part: Part, place: Place) -> nn.Module:
    """The part's network in evaluation mode. Raises InputError where it and its weights differ."""
    import torch

    found = weights.find(part)
    network = _empty(part, found)
    home = torch.device("cpu") if place.offload else place.device
    for warning in weights.fill(network, found, part.path, home, place.dtype):
        log.warning("%s", warning)
    # What is computed and not stored (positions) was made on the CPU.
    network = network.to(home).eval().requires_grad_(False)
    if place.offload:
        from accelerate import cpu_offload

        cpu_offload(network, execution_device=place.device)
    return network


def _empty(part: Part, found: weights.Weights) -> nn.Module:
    """The network with parameters that take no memory; its buffers are real.

    Compared with the headers of the files before anything is computed, so that a configuration
    that lies about its size costs nothing.
    """
    from diffview.models.hf import empty

    with empty.shapes(found.parameters, len(found.tensors)):
        network = _made(part)
    weights.matched(network, found, part.path)
    with empty.parameters():
        return _made(part)


def _made(part: Part) -> nn.Module:
    """The network as its configuration says.

    Raises InputError for one that is none, or where it wants a package that is not here; a want
    of memory is no fault of the file and stays what it is.
    """
    settings = plain(part.config)
    try:
        cls = getattr(importlib.import_module(part.library), part.cls)
        if part.library == "diffusers":
            network: nn.Module = cls.from_config(settings)
        else:
            config = getattr(importlib.import_module("transformers"), CONFIGS[part.cls])
            network = cls(config(**settings))
    except ImportError as error:
        raise InputError(
            f"{part.path} needs a package that cannot be imported here ({_first_line(error)}): "
            f"{hf.INSTALL}"
        ) from error
    except Exception as error:  # whatever a library makes of settings that are none
        if shortage.is_shortage(error):
            raise
        raise InputError(f"{part.path}/config.json is damaged: {_first_line(error)}") from None
    return network


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without what only the libraries themselves are told."""
    told = ("architectures", "dtype", "torch_dtype", "model_type", "transformers_version")
    return {k: v for k, v in config.items() if not k.startswith("_") and k not in told}


def tokenizer(part: Part) -> Any:
    """The part's tokenizer, from the files of its folder alone."""
    cls = getattr(importlib.import_module("transformers"), part.cls.removesuffix("Fast"))
    if part.inside is not None:
        return clip_tokenizer.make(cls, str(part.config["pad_token"]))
    _require_sentencepiece(part)
    try:
        return cls.from_pretrained(str(part.path), local_files_only=True)
    except Exception as error:  # whatever a library makes of files that are none
        if shortage.is_shortage(error):
            raise
        raise InputError(
            f"{part.path} holds no readable tokenizer: {_first_line(error)}"
        ) from None


def _require_sentencepiece(part: Part) -> None:
    """T5's words may be in SentencePiece's own form alone, which needs its package."""
    if part.file("tokenizer.json").is_file() or not part.file("spiece.model").is_file():
        return
    missing = [name for name in ("sentencepiece", "protobuf") if not hf.is_installed(name)]
    if missing:
        raise InputError(
            f"{part.path} has its words in spiece.model alone; to read it needs "
            f"{' and '.join(missing)}, not installed here: {hf.INSTALL}"
        )
