"""The recipe: what reproduces a run, as JSON text inside every exported file, and back.

    {"diffview": "0.1.0", "recipe": 1, "spec": RunSpec, "model": {"id": ..., "sha256": ...},
     "step": i or null, "shown": {...}, "about": {...}}

PNG and APNG carry it as iTXt `diffview`, GIF as a comment, WebP as EXIF ImageDescription, MP4 as
metadata key `diffview`, safetensors in its header. What is read is data: it is checked like any
input, and no path in it is ever opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import diffview
from diffview import tensorfile
from diffview.engine import session
from diffview.engine import spec as specs
from diffview.engine.spec import RunSpec
from diffview.errors import InputError
from diffview.exporters import carriers
from diffview.exporters.carriers import KEY

RECIPE_VERSION = 1
FILENAME = "recipe.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an exported file says of the run it shows.

    about: what is known beside the spec, as in a saved run; about["model"] has id and sha256.
    step: the run's step i of one picture, None in an animation. shown: the Selection's fields.
    """

    spec: RunSpec
    about: Mapping[str, Any] = field(default_factory=dict)
    step: int | None = None
    shown: Mapping[str, Any] = field(default_factory=dict)
    diffview: str = diffview.__version__

    @property
    def weights_sha256(self) -> str:
        """The hash of the weights that made the run, "" where it is not known."""
        model = self.about.get("model")
        return str(model.get("sha256", "")) if isinstance(model, Mapping) else ""

    def at(self, step: int) -> Recipe:
        """The recipe of one picture of the run."""
        return replace(self, step=step)

    def to_text(self) -> str:
        """JSON in ASCII, the same under every locale."""
        rest = {key: value for key, value in self.about.items() if key != "model"}
        document = {
            KEY: self.diffview,
            "recipe": RECIPE_VERSION,
            "spec": self.spec.to_json(),
            "model": self.about.get("model", {"id": self.spec.model_id, "sha256": ""}),
            "step": self.step,
            "shown": dict(self.shown),
            "about": rest,
        }
        return json.dumps(document)


def read(path: Path) -> Recipe:
    """The recipe in an exported PNG, APNG, GIF, WebP or MP4, a recipe.json, a saved run
    (.dvsession, .safetensors), or an exported folder; the content decides, not the suffix.

    No picture and no tensor is decoded. Raises InputError naming the file and the reason.
    """
    try:
        return _recipe_of(path / FILENAME if path.is_dir() else path)
    except InputError as error:
        message = str(error)
        raise InputError(message if str(path) in message else f"{path}: {message}") from None
    except (OSError, ValueError) as error:  # ValueError: a name with a NUL in it
        reason = error.strerror if isinstance(error, OSError) else None
        raise InputError(f"{path} cannot be read: {reason or error}") from None


def _recipe_of(path: Path) -> Recipe:
    if carriers.is_safetensors(path):
        return _from_session(path)
    text = carriers.text_of(path)
    if text is None:
        raise InputError("it carries no diffview recipe, so the run behind it is not known")
    return parse(text)


def parse(text: str) -> Recipe:
    """The recipe that `Recipe.to_text` wrote. Raises InputError for anything else."""
    value = _object(text)
    version = value.get("recipe")
    if type(version) is not int or version < 1 or KEY not in value:
        raise InputError("its text is not a recipe that diffview wrote")
    if version > RECIPE_VERSION:
        raise InputError(
            f"its recipe has version {version}, this diffview reads up to {RECIPE_VERSION}: "
            "update diffview to open it"
        )
    step = value.get("step")
    if step is not None and (type(step) is not int or step < 0):
        raise InputError("its recipe is damaged: 'step' is not a step's number")
    return Recipe(
        spec=specs.from_json(value.get("spec")),
        about={**_part(value, "about"), "model": _part(value, "model")},
        step=step,
        shown=_part(value, "shown"),
        diffview=str(value[KEY])[:40],
    )


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise InputError(f"its recipe is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError("its recipe is not a JSON object")
    return value


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is not a number")


def _part(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = value.get(name)
    if not isinstance(part, dict):
        raise InputError(f"its recipe is damaged: '{name}' is not a JSON object")
    return part


def _from_session(path: Path) -> Recipe:
    """From a saved run's header; its tensors are not read."""
    text = tensorfile.read_header(path).metadata.get(session.METADATA_KEY)
    if text is None:
        raise InputError("it holds no saved run, so there is no recipe in it")
    carriers.check_length(len(text))
    value = _object(text)
    version = value.get("version")
    if type(version) is not int or version > session.SESSION_VERSION:
        raise InputError(
            f"it has version {version}, this diffview reads up to {session.SESSION_VERSION}: "
            "update diffview to open it"
        )
    return Recipe(
        specs.from_json(value.get("spec")),
        _part(value, "about"),
        diffview=str(value.get("diffview", ""))[:40],
    )
