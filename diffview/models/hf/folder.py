"""A diffusers folder read as what it is: untrusted JSON beside untrusted tensors.

    model_index.json          which pipeline, and of which class each part is
    PART/config.json          the part's own configuration (scheduler_config.json, ...)
    PART/*.safetensors        its weights

Refused, each with its own words: classes that are not on the list, keys that make libraries import
code, names and links that lead out of the folder, pipes and devices, JSON that is none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffview import tensorfile
from diffview.errors import InputError
from diffview.models.hf import settings
from diffview.models.hf.ldm_names import Stored

INDEX = "model_index.json"
MAX_JSON = 16 * 1024**2
MAX_NUMBER = 2**20
"""No size in a configuration is larger; what is, would only make us allocate."""

CLASSES: Mapping[str, str] = {
    "UNet2DModel": "diffusers",
    "UNet2DConditionModel": "diffusers",
    "DiTTransformer2DModel": "diffusers",
    "Transformer2DModel": "diffusers",
    "PixArtTransformer2DModel": "diffusers",
    "SD3Transformer2DModel": "diffusers",
    "FluxTransformer2DModel": "diffusers",
    "AutoencoderKL": "diffusers",
    "VQModel": "diffusers",
    "CLIPTextModel": "transformers",
    "CLIPTextModelWithProjection": "transformers",
    "T5EncoderModel": "transformers",
    "CLIPTokenizer": "transformers",
    "CLIPTokenizerFast": "transformers",
    "T5Tokenizer": "transformers",
    "T5TokenizerFast": "transformers",
}
"""The classes that are built -> the library they come from; nothing else is imported."""
BUILT = tuple(cls for cls in CLASSES if "Tokenizer" not in cls)
"""The classes that have weights."""

NOT_LOADED = {
    "StableDiffusionSafetyChecker": "stable_diffusion",
    "CLIPFeatureExtractor": "transformers",
    "CLIPImageProcessor": "transformers",
    "CLIPImageProcessorFast": "transformers",
    "CLIPVisionModelWithProjection": "transformers",
}
"""Classes that may stand in an index and are left alone: they play no part in denoising."""

CODE_KEYS = frozenset(
    {
        "auto_map",
        "trust_remote_code",
        "custom_pipeline",
        "custom_pipelines",
        "custom_code",
        "_module",
        "__module__",
        "quantization_config",
        "use_kernels",
    }
)
"""Keys at which a library would import code: the model's own, or another package."""

ATTENTION = (None, "eager", "sdpa")
"""Other attention implementations are fetched and run."""

CONFIG_FILES = {"scheduler": "scheduler_config.json", "tokenizer": "tokenizer_config.json"}

UNREAD = ("special_tokens_map_file",)
"""Where a file lay on its author's machine, as published models say; no library reads it there."""
LENGTHS = ("model_max_length", "max_len")
"""How many tokens a prompt may have; 10^30 stands for no bound."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Part:
    """One part of a pipeline: its class, its folder and its configuration.

    inside: the single file that holds it, where there is no folder, and stored: what its tensors
    are called there.
    """

    name: str
    cls: str
    path: Path
    config: Mapping[str, Any]
    inside: Path | None = None
    stored: Callable[[str], Stored] | None = None

    @property
    def source(self) -> Path:
        """The file that its configuration was read from, or the single file that holds it all."""
        return self.path if self.inside is not None else self.path / config_file(self.cls)

    def file(self, name: str) -> Path:
        """A file of this part, which may not be there. Raises InputError as `inside`."""
        return inside(self.path.parent, self.path.name, name)

    @property
    def library(self) -> str:
        """The package its class comes from."""
        return CLASSES[self.cls]


@dataclass(frozen=True)
class Folder:
    """A whole pipeline. `settings` are the index's other values, `notes` what is unusual."""

    path: Path
    pipeline: str
    parts: Mapping[str, Part]
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    def part(self, name: str, *classes: str) -> Part:
        """The part called `name`, of one of `classes`. Raises InputError otherwise."""
        if name not in self.parts:
            raise InputError(
                f"{self.path / INDEX} has no '{name}', which a {self.pipeline} cannot do without"
            )
        found = self.parts[name]
        if classes and found.cls not in classes:
            raise InputError(
                f"{self.path / INDEX}: '{name}' is a {found.cls}; a {self.pipeline} can be opened "
                f"with {' or '.join(classes)}"
            )
        return found


def read(path: Path, pipelines: Collection[str]) -> Folder:
    """The folder at `path`, every name in it checked. Raises InputError naming what is wrong."""
    where = inside(path, INDEX)
    if not where.is_file():
        raise InputError(
            f"{path} has no {INDEX}, so it is no diffusers model: give the folder that holds that "
            "file, a single .safetensors file, or a saved run"
        )
    index = read_json(where)
    pipeline = pipeline_of(index, where, pipelines)
    parts, others, notes = {}, {}, []
    for name, value in index.items():
        if name.startswith("_"):
            continue
        if not isinstance(value, list):
            others[name] = value
        elif value != [None, None] and _is_loaded(name, value, where):
            parts[name] = _part(path, name, value[1])
        elif value[1] is not None:
            notes.append(f"{name} ({value[1]}) is not loaded: it plays no part in denoising")
    notes += [f"{found} is never run" for found in sorted(p.name for p in path.glob("*.py"))]
    return Folder(path, pipeline, parts, others, tuple(notes))


def loaded_parts(index: Mapping[str, Any], where: Path) -> dict[str, str]:
    """The parts that are built -> their classes. Raises InputError for one not on the list."""
    return {
        name: value[1]
        for name, value in index.items()
        if not name.startswith("_") and isinstance(value, list) and value != [None, None]
        if _is_loaded(name, value, where)
    }


def pipeline_of(index: Mapping[str, Any], where: Path, pipelines: Collection[str]) -> str:
    """The pipeline an index names. Raises InputError for one that is not among `pipelines`."""
    name = index.get("_class_name")
    if isinstance(name, str) and name in pipelines:
        return name
    if name is None:
        raise InputError(f"{where} does not say which pipeline it is of (_class_name)")
    raise InputError(
        f"{where}: pipeline {json.dumps(name)[:80]} is not known here; known are "
        f"{', '.join(pipelines)}"
    )


def _is_loaded(name: str, value: list[Any], where: Path) -> bool:
    """Whether a part is built; the class must be on one of the lists either way."""
    if len(value) != 2 or not all(isinstance(word, str) for word in value):
        raise InputError(f"{where}: '{name}' is {json.dumps(value)[:80]}, not [library, class]")
    library, cls = value
    if NOT_LOADED.get(cls) == library:
        return False
    if CLASSES.get(cls) == library or (library == "diffusers" and _is_scheduler(cls)):
        return True
    raise InputError(
        f"{where}: '{name}' is of class {cls} of {library}, which is not on the list of what is "
        f"opened here; nothing was imported. Known are {', '.join(CLASSES)} and schedulers"
    )


def _is_scheduler(cls: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9]+Scheduler", cls))


def _part(root: Path, name: str, cls: str) -> Part:
    folder = inside(root, name)
    if not folder.is_dir():
        raise InputError(f"{folder} is missing: {INDEX} names it as the model's {cls}")
    file = inside(root, name, config_file(cls))
    for held in sorted(folder.rglob("*")):  # all are looked at before anything is read
        _refuse_way_out(root, held)
        if held.exists() and not held.is_dir():
            tensorfile.check_regular(held)
    config = read_json(file)
    check_config(config, file)
    stated = config.get("_class_name", cls)
    if stated != cls and not _is_scheduler(cls):
        raise InputError(f"{file} is of a {stated}, {INDEX} says {cls}")
    settings.check(cls, config, file)
    return Part(name, cls, folder, config)


def config_file(cls: str) -> str:
    """What the configuration of a part of this class is called."""
    kind = "scheduler" if _is_scheduler(cls) else "tokenizer" if "Tokenizer" in cls else ""
    return CONFIG_FILES.get(kind, "config.json")


def is_plain(name: str) -> bool:
    """Whether `name` is that of a file or folder and nothing else, on any system."""
    return bool(_NAME.fullmatch(name))


def inside(root: Path, *names: str) -> Path:
    """root / names, if every name is a plain one and no link leads out of the folder.

    Links of the hub's own cache, from a snapshot into the blobs beside it, are its way to store.
    Raises InputError otherwise.
    """
    for name in names:
        if not is_plain(name):
            raise InputError(
                f"{root}: {name!r} is no name of a file or folder in it, so it is not opened"
            )
    path = root.joinpath(*names)
    _refuse_way_out(root, path)
    return path


def _refuse_way_out(root: Path, path: Path) -> None:
    homes = [_resolved(root)]
    if root.parent.name == "snapshots":
        homes.append(_resolved(root.parent.parent / "blobs"))
    found = _resolved(path)
    if not any(found.is_relative_to(home) for home in homes):
        raise InputError(f"{path} is a link that leads out of the model's folder: not opened")


def _resolved(path: Path) -> Path:
    """Where links lead. Raises InputError for a link that leads back to itself."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # RuntimeError: how Python 3.11 tells of a loop
        raise InputError(
            f"{path} is a link that leads back to itself: put the file itself in its place"
        ) from None


def read_json(path: Path) -> dict[str, Any]:
    """The configuration in `path`, as `json_object`, which must not make libraries import code."""
    value = json_object(path)
    _refuse_code(value, path)
    return value


def json_object(path: Path) -> dict[str, Any]:
    """The JSON object in `path`. Raises InputError naming what is wrong with it."""
    try:
        if tensorfile.check_regular(path) > MAX_JSON:
            raise InputError(f"{path} is larger than any configuration ({MAX_JSON >> 20} MB)")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} is not a JSON object")
    return value


def _refuse_code(value: object, path: Path) -> None:
    for key, found in _items(value):
        if key in CODE_KEYS and found not in (None, False):
            raise InputError(
                f"{path}: key '{key}' would make a library import code; such models are not opened"
            )
        if key.endswith("attn_implementation") and found not in ATTENTION:
            raise InputError(
                f"{path}: {key} {json.dumps(found)[:60]} would fetch code; known are eager, sdpa"
            )
        if key.endswith(("_file", "_files")) and key not in UNREAD:
            for name in found if isinstance(found, list) else [found]:
                if isinstance(name, str) and not _NAME.fullmatch(name.removeprefix("./")):
                    raise InputError(f"{path}: {key} {name!r} leads out of the folder: not opened")


def check_config(config: Mapping[str, Any], path: Path) -> None:
    """Raise InputError for sizes that no model has, and for lengths that are no numbers."""
    for key, value in _items(config):
        if key in LENGTHS:
            _check_length(key, value, path)
            continue
        numbers = value if isinstance(value, list) else [value]
        for number in numbers:
            if type(number) is int and abs(number) > MAX_NUMBER:
                raise InputError(f"{path}: {key} = {number} is larger than any model's")


def _check_length(key: str, value: object, path: Path) -> None:
    if value is None or (type(value) in (int, float) and value >= 1):  # type: ignore[operator]
        return
    raise InputError(
        f"{path}: {key} = {json.dumps(value)[:60]} is no number of tokens: mend it, or fetch the "
        "model again"
    )


def _items(value: object) -> Iterator[tuple[str, Any]]:
    """Every key and value, at any depth."""
    if isinstance(value, dict):
        for key, found in value.items():
            yield str(key), found
            yield from _items(found)
    elif isinstance(value, list):
        for found in value:
            yield from _items(found)
