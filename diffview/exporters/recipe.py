"""The recipe: what reproduces a run, as JSON text inside every exported file, and back.

    {"diffview": "0.1.0", "recipe": 1, "spec": RunSpec, "model": {"id", "sha256"},
     "step": i or null, "shown": [...], "about": {...}}

PNG and APNG carry it as iTXt `diffview`, GIF as a comment, WebP as EXIF ImageDescription, MP4 as
metadata key `diffview`, safetensors in its header. What is read is data: it is checked like any
input, and no path in it is ever opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffview.engine.spec import RunSpec

RECIPE_VERSION = 1
KEY = "diffview"
FILENAME = "recipe.json"
MAX_TEXT = 1_000_000
MAX_PIXELS = 64_000_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an exported file says of the run it shows; `step` is None in an animation."""

    spec: RunSpec
    weights_sha256: str = ""
    step: int | None = None
    shown: tuple[str, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    diffview: str = ""

    def at(self, step: int) -> Recipe:
        """The recipe of one picture of the run."""
        raise NotImplementedError

    def to_text(self) -> str:
        """JSON in ASCII, the same everywhere."""
        raise NotImplementedError


def read(path: Path) -> Recipe:
    """The recipe in an exported PNG, APNG, GIF, WebP or MP4, a recipe.json, a saved run
    (.dvsession, .safetensors), or an exported folder; the content decides, not the suffix.

    No picture is decoded. Raises InputError naming the file and the reason.
    """
    raise NotImplementedError
