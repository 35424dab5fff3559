"""Whether the parts of a folder fit their weights, told without loading any.

Each network is built without memory and compared with the headers of its files, each tokenizer is
held against its text model.
"""

from __future__ import annotations

from collections.abc import Callable

from diffview.models.hf import build, text
from diffview.models.hf.folder import BUILT, Folder
from diffview.models.hf.schedule import SAMPLERS


def check(folder: Folder, count: Callable[[int], None]) -> tuple[str, ...]:
    """What is unusual about it; `count` is called with 1 after each part. Raises InputError for
    what cannot be run."""
    notes: list[str] = []
    for name, part in folder.parts.items():
        if part.cls in BUILT:
            notes += build.compared(part)
        elif part.cls in SAMPLERS:  # each is given what others wrote, so all are asked
            notes += build.unread(part, SAMPLERS)
        elif name.startswith("tokenizer"):
            suffix = name.removeprefix("tokenizer")
            text.words(folder.part(f"text_encoder{suffix}"), part)
        count(1)
    return tuple(notes)
