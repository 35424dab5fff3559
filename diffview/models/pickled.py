"""Checkpoints as Python pickles (.ckpt, .pt, .pth, .bin): read as data, made into safetensors.

A pickle can run any code when it is loaded. torch's restricted reader (weights_only) builds
tensors and plain containers and refuses all else; nothing here ever falls back from it. Of what
such files hold, only a whole Stable Diffusion says by its tensors which network it is of.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffview.atomic import replacing
from diffview.engine import shortage
from diffview.errors import DiffviewError, InputError
from diffview.models import memory
from diffview.models.hf import mistaken, single

if TYPE_CHECKING:
    from torch import Tensor

SUFFIXES = (".ckpt", ".pt", ".pth", ".bin", ".pkl")
STARTS = (b"PK\x03\x04", b"\x80")
NESTED = ("state_dict", "ema", "model", "module")
"""Where trainers put the weights, the averaged ones before the others."""
UNREAD = "Unsupported operand"
"""What the restricted reader says of an instruction that it does not know."""
MOST_SHARED = 4
"""How often each byte of a file may be in a tensor: some share theirs, such as tied layers."""


def is_pickle(path: Path) -> bool:
    """Whether it is called like one, and begins like one."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    with path.open("rb") as file:
        first = file.read(4)
    return any(first.startswith(start) for start in STARTS)


def check_there(path: Path) -> None:
    """Raise InputError where no file of a checkpoint lies at `path`, or nothing is in it."""
    if not path.exists():
        raise InputError(f"{path} does not exist: give a checkpoint ({', '.join(SUFFIXES)})")
    if path.is_file() and not path.stat().st_size:
        raise InputError(f"{path} is empty: fetch it again")


def convert(path: Path, models: Path) -> Path:
    """Write the tensors of the Stable Diffusion in `path` to a file in `models`; its path.

    Raises InputError for what the restricted reader refuses, what holds no such model, and what is
    there already; DiffviewError where it cannot be written.
    """
    from safetensors.torch import save_file

    target = models / f"{path.stem}.safetensors"
    if target.exists():
        raise InputError(f"{target} is there already: open that, or remove it first")
    tensors = _tensors_of(read(path), path)
    metadata = {"format": "pt", "diffview.converted_from": path.name}
    try:
        models.mkdir(parents=True, exist_ok=True)
        with replacing(target) as partial:
            save_file(tensors, partial, metadata)
    except Exception as error:  # a full disk is an error of safetensors' own
        raise DiffviewError(f"{target} could not be written: {error}") from None
    return target


def read(path: Path) -> Any:
    """What the restricted reader makes of it. Raises InputError naming what it refused.

    Into memory, never mapped: a mapped file gives whatever lies behind a record that is too short,
    and ends the process where it shrinks.
    """
    import argparse

    import torch

    _check_archive(path)
    _check_room(path)
    try:
        # Trainers keep their arguments as a Namespace, which holds values and does nothing.
        # What the reader does not understand of another protocol it refuses.
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            return torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except pickle.UnpicklingError as error:
        if UNREAD in str(error):
            raise InputError(
                f"{path} is a Python pickle of a newer protocol than torch writes, which its "
                "restricted reader does not know: it was not loaded. Save it again, as "
                "safetensors or by torch.save as it is, where you trust it"
            ) from None
        raise InputError(
            f"{path} is a Python pickle that wants {_wanted(path, error)}, which can run code: it "
            "was not loaded. Convert it to safetensors where you trust it"
        ) from None
    except Exception as error:  # whatever a damaged file makes of the reader
        if shortage.is_shortage(error):
            raise InputError(f"{path} does not fit into memory: {_first_line(error)}") from None
        if _is_cut(error):
            raise _incomplete(path) from None
        raise InputError(f"{path} is no readable checkpoint: {_first_line(error)}") from None


def _is_cut(error: Exception) -> bool:
    """Whether the reader came to the end too early: of a number, an instruction, a tensor."""
    text = str(error)
    return isinstance(error, EOFError) or text == "index out of range" or "unexpected EOF" in text


def _incomplete(path: Path) -> InputError:
    return InputError(f"{path} is incomplete: its end is missing (fetch it again)")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _check_archive(path: Path) -> None:
    """Raise InputError for an archive that would unpack to more than it is."""
    with path.open("rb") as file:
        if file.read(4) != STARTS[0]:
            return
    try:
        if not zipfile.is_zipfile(path):  # the list of what is in it stands at its end
            raise _incomplete(path)
        with zipfile.ZipFile(path) as archive:
            packed = [one for one in archive.infolist() if one.compress_type != zipfile.ZIP_STORED]
            held = sum(one.file_size for one in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path} is no readable checkpoint: {error}") from None
    if packed or held > path.stat().st_size:
        raise InputError(
            f"{path} is an archive that unpacks to {memory.gigabytes(held)}, as no checkpoint of "
            "torch is packed: it was not unpacked. Unpack it where you trust it"
        )


def _check_room(path: Path) -> None:
    size, free = path.stat().st_size, memory.host_free()
    if free is not None and size > memory.SHARE * free:
        raise InputError(
            f"{path} takes {memory.gigabytes(size)} of memory to convert, "
            f"{memory.gigabytes(free)} are free: close other programs first"
        )


def _wanted(path: Path, error: Exception) -> str:
    """What it asks for beside tensors: torch's own words would advise to load it all the same."""
    import torch

    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # of files that are no zip archive there is no such list
        names = re.findall(r"GLOBAL ([\w.]+)", str(error))
    return ", ".join(names[:5]) or "more than tensors"


def _tensors_of(value: Any, path: Path) -> dict[str, Tensor]:
    """The tensors of a whole Stable Diffusion, wherever the trainer put them."""
    for found in _nested(value):
        held = named_tensors(found)
        if single.FIRST in held:
            return own_tensors(held, path)
        told = mistaken.file_told(held)
        if told:
            raise InputError(f"{path} is {told}")
    size = memory.gigabytes(path.stat().st_size)
    raise InputError(
        f"{path} ({size}) holds no Stable Diffusion, and nothing in it says of which network it "
        "is: open it in Python with diffview.wrap(network, ...)"
    )


def named_tensors(value: Any) -> dict[str, Tensor]:
    """What `value` holds of tensors by name."""
    import torch

    pairs = value.items() if isinstance(value, Mapping) else ()
    return {
        name: tensor
        for name, tensor in pairs
        if isinstance(name, str) and isinstance(tensor, torch.Tensor)
    }


def own_tensors(held: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors of the file at `path`, ready to be written. Raises InputError for those that
    are none."""
    _check_tensors(held, path)
    return _without_sharing({name: tensor.contiguous() for name, tensor in held.items()})


def _nested(value: Any) -> list[Mapping[Any, Any]]:
    """The value and what lies in it under a usual name, as far as they hold anything by name."""
    if not isinstance(value, Mapping):
        return []
    inside = (value.get(name) for name in NESTED)
    return [value, *(found for found in inside if isinstance(found, Mapping))]


def _check_tensors(held: Mapping[str, Tensor], path: Path) -> None:
    """Raise InputError for tensors without values of their own, or of more than the file has."""
    import torch

    for name, tensor in held.items():
        dense = tensor.layout is torch.strided and not tensor.is_quantized
        if not dense or tensor.device.type != "cpu":
            raise InputError(f"{path}: tensor '{name}' is sparse, quantised or has no values")
    whole = sum(tensor.numel() * tensor.itemsize for tensor in held.values())
    if whole > MOST_SHARED * path.stat().st_size:
        raise InputError(
            f"{path}: its tensors say they take {memory.gigabytes(whole)}, the file has "
            f"{memory.gigabytes(path.stat().st_size)}: it was not converted"
        )


def _without_sharing(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """safetensors writes no memory twice, so what shares it is copied."""
    seen: set[int] = set()
    own = {}
    for name, tensor in tensors.items():
        shared = tensor.untyped_storage().data_ptr() in seen
        seen.add(tensor.untyped_storage().data_ptr())
        part = tensor.numel() * tensor.itemsize != tensor.untyped_storage().nbytes()
        own[name] = tensor.clone() if shared or part else tensor
    return own
