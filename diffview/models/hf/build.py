"""One part of a pipeline from its configuration and its weights, without from_pretrained.

The network is built without memory first and compared with the headers of the files, so a
configuration that lies about its size costs nothing; then it takes over the tensors one by one.
"""

from __future__ import annotations

import importlib
import inspect
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffview.engine import shortage
from diffview.errors import InputError
from diffview.models import hf
from diffview.models.hf import clip_tokenizer, weights
from diffview.models.hf.folder import Part
from diffview.models.hf.settings import MEND

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
WORDS = {
    "CLIP": (("tokenizer.json",), ("vocab.json", "merges.txt")),
    "T5": (("tokenizer.json",), ("spiece.model",)),
}
"""The files that hold a tokenizer's words, any of the rows."""
MOST_SAID = 300
"""Characters of a library's own words."""


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


def compared(part: Part) -> list[str]:
    """What is unusual about the part's weights beside its configuration; reads headers alone.

    Raises InputError as `build`.
    """
    return [*_compared(part, weights.find(part)), *_unknown(part)]


def _compared(part: Part, found: weights.Weights) -> list[str]:
    from diffview.models.hf import empty

    with empty.shapes(found.parameters, len(found.tensors)):
        network = _made(part)
    return weights.matched(network, found, part.path)[1]


def _unknown(part: Part) -> list[str]:
    """Those of transformers' classes are not looked at: older releases wrote dozens of theirs
    into every file."""
    return unread(part, (part.cls,)) if part.library == "diffusers" else []


def unread(part: Part, classes: Iterable[str]) -> list[str]:
    """A note of settings that no class of diffusers among `classes` reads; none of a single file,
    which has no settings."""
    if part.inside is not None:
        return []
    diffusers = importlib.import_module("diffusers")
    made = (getattr(diffusers, cls) for cls in classes)
    known = {name for cls in made for name in inspect.signature(cls.__init__).parameters}
    names = sorted(name for name in plain(part.config) if name not in known)
    shown = ", ".join(f"{name} = {json.dumps(part.config[name])[:40]}" for name in names[:5])
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    told = (
        f"{part.name}/{part.source.name} says {shown}{more}, which no {part.cls} reads: no effect"
    )
    return [told] if names else []


def _empty(part: Part, found: weights.Weights) -> nn.Module:
    """The network with parameters that take no memory; its buffers are real.

    Compared with the headers of the files before anything is computed, so that a configuration
    that lies about its size costs nothing.
    """
    from diffview.models.hf import empty

    _compared(part, found)
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
            f"{part.path} needs a package that cannot be imported here ({_said(error)}): "
            f"{hf.INSTALL}"
        ) from error
    except Exception as error:  # whatever a library makes of settings that are none
        if shortage.is_shortage(error):
            raise
        raise InputError(
            f"{part.path}/config.json is damaged: no {part.cls} can be built as it says "
            f"({_looked_up(part, error) or _said(error)}): {MEND}"
        ) from None
    return network


def _looked_up(part: Part, error: Exception) -> str:
    """The setting whose value a library did not find among what it knows; "" for other errors."""
    if not isinstance(error, KeyError):
        return ""
    keys = [key for key, value in part.config.items() if [value] == list(error.args)]
    return f"{' and '.join(keys)} = {error} is not known" if keys else ""


def _said(error: Exception) -> str:
    """An error of a library in one line: what it is about often stands in its second."""
    return " ".join(str(error).split())[:MOST_SAID] or type(error).__name__


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without what only the libraries themselves are told."""
    told = ("architectures", "dtype", "torch_dtype", "model_type", "transformers_version")
    return {k: v for k, v in config.items() if not k.startswith("_") and k not in told}


def tokenizer(part: Part) -> Any:
    """The part's tokenizer, from the files of its folder alone."""
    cls = getattr(importlib.import_module("transformers"), part.cls.removesuffix("Fast"))
    if part.inside is not None:
        return clip_tokenizer.make(cls, str(part.config["pad_token"]))
    held = _words(part)
    _require_sentencepiece(part)
    try:
        return cls.from_pretrained(str(part.path), local_files_only=True)
    except Exception as error:  # whatever a library makes of files that are none
        if shortage.is_shortage(error):
            raise
        raise InputError(
            f"{part.path} holds no readable tokenizer: {_said(error)}; {' and '.join(held)} are "
            "damaged or not of one model: fetch them again"
        ) from None


def _words(part: Part) -> tuple[str, ...]:
    """The files that hold its words. Raises InputError where there are none: transformers would
    make a tokenizer that knows no word."""
    known = WORDS["T5" if part.cls.startswith("T5") else "CLIP"]
    for files in known:
        if all(part.file(name).is_file() for name in files):
            return files
    ways = ", or ".join(" with ".join(files) for files in known)
    raise InputError(f"{part.path} has no words: expected is {ways} (fetch the model again)")


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
