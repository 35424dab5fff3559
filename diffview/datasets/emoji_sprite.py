"""The 3-D emoji that ship with diffview, 64 x 64 pixels on white, each with its name.

Made by packaging/emoji_sprite.py from Fluent Emoji (MIT, (c) Microsoft Corporation).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffview import resources
from diffview.datasets import LabelledPictures, picture_set
from diffview.errors import InputError

GROUPS = (
    "smileys and emotion", "people and body", "animals and nature", "food and drink",
    "travel and places", "activities", "objects", "symbols",
)  # fmt: skip
LICENCE = (
    "Fluent Emoji: MIT, (c) Microsoft Corporation; names: emojibase, MIT, (c) 2017-2019 Miles "
    "Johnson (the notices: licences/emoji.txt)"
)
COUNT = 1201


@dataclass(frozen=True, slots=True)
class NamedPictures:
    """pictures (N, 3, 64, 64) uint8, their names, keywords, groups (N,), and held_out (N,): which
    ones the emoji tokenizers were kept from in training."""

    pictures: NDArray[np.uint8]
    names: tuple[str, ...]
    keywords: tuple[tuple[str, ...], ...]
    groups: NDArray[np.int64]
    held_out: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.pictures)


@cache
def emoji_sprite() -> NamedPictures:
    """All of them. Raises InputError when the files are missing or damaged."""
    picture, text = (resources.path("pictures") / f"emoji.{end}" for end in ("webp", "json"))
    try:
        told = json.loads(text.read_text("utf-8"))
        sheet = np.asarray(Image.open(picture).convert("RGB"))
        size, columns, emoji = told["size"], told["columns"], told["emoji"]
        tiles = sheet.reshape(-1, size, columns, size, 3).transpose(0, 2, 4, 1, 3)
        return NamedPictures(
            tiles.reshape(-1, 3, size, size)[: len(emoji)],
            tuple(one["name"] for one in emoji),
            tuple(tuple(one["keywords"]) for one in emoji),
            np.array([GROUPS.index(one["group"]) for one in emoji], dtype=np.int64),
            np.array([one["held_out"] for one in emoji], dtype=bool),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{picture} or {text} is missing or damaged ({error}); install diffview again"
        ) from None


@picture_set(
    "emoji", title="Emoji, 3-D", count=COUNT, shape=(3, 64, 64), classes=GROUPS, licence=LICENCE
)
def _load(folder: Path | None) -> LabelledPictures:
    data = emoji_sprite()
    return LabelledPictures(data.pictures, data.groups)
