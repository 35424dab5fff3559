"""A diffusers folder whose weights are Python pickles, made into one of safetensors.

Pipelines saved before 2023 often have no other weights than diffusion_pytorch_model.bin and
pytorch_model.bin. Their tensors alone are read, as `models.pickled` reads them; what is
safetensors already is copied, and so are configurations and words. All else stays behind.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from diffview.errors import DiffviewError, InputError
from diffview.models import pickled
from diffview.models.hf import weights
from diffview.models.hf.folder import BUILT, INDEX, Folder, Part

if TYPE_CHECKING:
    from torch import Tensor

COPIED = (".json", ".txt", ".model")
"""Configurations and words."""
BESIDE = ("README.md",)


def convert(folder: Folder, models: Path) -> Path:
    """Write the model to a folder of its own name in `models`; its path.

    Raises InputError for what the restricted reader refuses, for what needs no conversion, and
    what is there already; DiffviewError where it cannot be written.
    """
    from safetensors import SafetensorError

    target = models / folder.path.resolve().name
    if target.exists():
        raise InputError(f"{target} is there already: open that, or remove it first")
    if not any(map(weights.pickles, folder.parts.values())):
        raise InputError(f"{folder.path} has no weights as pickles to convert: open it as it is")
    try:
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=models, prefix=".converting-") as made:
            _write(folder, Path(made, target.name))
            Path(made, target.name).rename(target)
    except OSError as error:
        raise DiffviewError(f"{target} could not be written: {error.strerror or error}") from None
    except SafetensorError as error:  # a full disk is an error of safetensors' own
        raise DiffviewError(f"{target} could not be written: {error}") from None
    return target


def _write(folder: Folder, made: Path) -> None:
    made.mkdir()
    for part in folder.parts.values():
        (made / part.name).mkdir()
        _copy_told(part.path, made / part.name)
        if part.cls in BUILT:
            _write_weights(part, made / part.name)
    for name in (INDEX, *BESIDE):
        if (folder.path / name).is_file():
            shutil.copyfile(folder.path / name, made / name)


def _copy_told(part: Path, made: Path) -> None:
    for file in sorted(part.iterdir()):
        if file.is_file() and file.suffix in COPIED and ".index" not in file.name:
            shutil.copyfile(file, made / file.name)


def _write_weights(part: Part, made: Path) -> None:
    """Each file of the part's weights as safetensors, under the names that diffusers gives."""
    from safetensors.torch import save_file

    files, stem = weights.pickles(part), weights.STEMS[part.library]
    index: dict[str, str] = {}
    for k, file in enumerate(files, 1):
        shard = "" if len(files) == 1 else f"-{k:05}-of-{len(files):05}"
        name = f"{stem}{shard}.safetensors"
        tensors = _tensors(file)
        save_file(tensors, made / name, {"format": "pt"})
        index |= dict.fromkeys(tensors, name)
    if len(files) > 1:
        (made / f"{stem}.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    if not files:  # safetensors already
        found = weights.find(part)
        for file in found.files:
            shutil.copyfile(file, made / file.name)
        for table in part.path.glob("*.safetensors.index*.json"):
            shutil.copyfile(table, made / table.name)


def _tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a state dict. Raises InputError where it holds none."""
    held = pickled.named_tensors(pickled.read(file))
    if not held:
        raise InputError(f"{file} holds no tensors by name: it is no network's weights")
    return pickled.own_tensors(held, file)
