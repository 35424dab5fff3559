"""Emoji as training data: pictures of two styles, and the words that name them.

Pictures: Fluent Emoji in 3-D (Microsoft, MIT) and Noto Emoji (Google, Apache-2.0); names, keywords
and groups: emojibase (Miles Johnson, MIT). They are read from the three npm packages as
downloaded, which nothing needs to unpack.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffview import places
from diffview.errors import InputError

SIZE = 64
STYLES = ("3d", "flat")
EMOJI_LICENCE = (
    "Fluent Emoji: MIT, (c) Microsoft Corporation; Noto Emoji: Apache-2.0, (c) Google LLC; "
    "names and keywords: emojibase, MIT, (c) 2017-2019 Miles Johnson "
    "(the notices: licences/emoji.txt)"
)
_PACKAGES = {
    "3d": "lobehub-fluent-emoji-3d-1.1.0.tgz",
    "flat": "emoji-datasource-google-16.0.0.tgz",
    "words": "emojibase-data-17.0.0.tgz",
}
_INSIDE = {"3d": "package/assets/", "flat": "package/img/google/64/"}
_FETCH = (
    "npm pack @lobehub/fluent-emoji-3d@1.1.0 emoji-datasource-google@16.0.0 emojibase-data@17.0.0"
)
_WHITE = (255, 255, 255, 255)
# Groups of emojibase: components, flags, and those without a group (single letters) are left out.
_SYMBOLS, _LEFT_OUT = 8, (None, 2, 9)
_GEOMETRIC = 96
_GROUPS = {
    0: "smileys and emotion", 1: "people and body", 3: "animals and nature", 4: "food and drink",
    5: "travel and places", 6: "activities", 7: "objects",
}  # fmt: skip
# ZWJ sequences with a sign for man or woman: gendered copies of a picture that is there without.
_GENDERED = re.compile(r"200D-264[02]|^1F46[89]-200D")
_TIMES = re.compile("-thirty|o.clock")


@dataclass(frozen=True, slots=True)
class Emoji:
    """One emoji: its name, keywords, group, and emojibase's number of its sub-group.

    plain: neither a gendered copy, nor a sign or letter, nor one of 24 clock faces.
    """

    code: str
    name: str
    keywords: tuple[str, ...]
    subgroup: int
    plain: bool
    group: str = ""

    @property
    def gendered(self) -> bool:
        """Whether it is a copy, with a man or a woman, of a picture that is there without."""
        return _GENDERED.search(self.code) is not None

    @property
    def held_out(self) -> bool:
        """Whether it is kept from training: one name in sixteen, in both styles."""
        return hashlib.sha256(self.name.encode()).digest()[0] % 16 == 0


@dataclass(frozen=True, slots=True)
class EmojiPictures:
    """pictures (N, 3, 64, 64) uint8 on white, the emoji of each, and its style as an index."""

    pictures: NDArray[np.uint8]
    emoji: tuple[Emoji, ...]
    styles: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pictures)

    def where(self, keep: NDArray[np.bool_]) -> EmojiPictures:
        """Those with a true value in keep (N,)."""
        emoji = tuple(e for e, kept in zip(self.emoji, keep, strict=True) if kept)
        return EmojiPictures(self.pictures[keep], emoji, self.styles[keep])

    def split(self, name: str) -> EmojiPictures:
        """The pictures to train on ("train"), or those kept from training ("test")."""
        test = np.array([e.held_out for e in self.emoji], dtype=bool)
        return self.where(test if name == "test" else ~test)


def folder_of_data() -> Path:
    """Where the packages are looked for when no folder is named."""
    found = places.folder("data")
    if found is None:
        raise InputError("there is no home folder with the emoji's data: name their folder")
    return found / "data" / "emoji"


def emoji_pictures(folder: Path | None = None) -> EmojiPictures:
    """All pictures of both styles, the 3-D ones first, each in emojibase's order.

    Raises InputError, saying how to get the packages, when they are missing or damaged.
    """
    return _pictures(folder or folder_of_data())


@cache
def _pictures(folder: Path) -> EmojiPictures:
    known = _emoji(_package(folder, "words"))
    pictures, emoji, styles = [], [], []
    for style, name in enumerate(STYLES):
        found = _members(_package(folder, name), _INSIDE[name])
        for one in known:
            content = next((found[key] for key in _spellings(one.code) if key in found), None)
            if content is not None:
                pictures.append(_picture(content, f"{_PACKAGES[name]}: {one.code}"))
                emoji.append(one)
                styles.append(style)
    return EmojiPictures(np.stack(pictures), tuple(emoji), np.array(styles, dtype=np.int64))


def _package(folder: Path, what: str) -> Path:
    path = folder / _PACKAGES[what]
    if not path.is_file():
        raise InputError(
            f"{path} is missing: in that folder run\n  {_FETCH}\n"
            "(npm comes with Node.js), or give the folder of the three .tgz files with "
            "--data FOLDER"
        )
    return path


def _members(path: Path, inside: str) -> dict[str, bytes]:
    """The content of every file right under `inside`, by its name without ending."""
    try:
        with tarfile.open(path) as archive:
            return dict(_read(archive, inside))
    except (OSError, EOFError, tarfile.TarError) as error:
        raise InputError(f"{path} is not a whole .tgz file ({error}); fetch it again") from None


def _read(archive: tarfile.TarFile, inside: str) -> Iterator[tuple[str, bytes]]:
    for member in archive:
        content = archive.extractfile(member) if member.name.startswith(inside) else None
        if content is not None:
            yield member.name.removeprefix(inside).rpartition(".")[0], content.read()


def _spellings(code: str) -> tuple[str, ...]:
    """File names of an emoji: the packages do not agree on the variation selector FE0F."""
    lower = code.lower()
    return lower, lower.replace("-fe0f", ""), f"{lower}-fe0f"


def _picture(content: bytes, where: str) -> NDArray[np.uint8]:
    try:
        picture = Image.open(io.BytesIO(content)).convert("RGBA")
    except OSError as error:
        raise InputError(f"{where} is no picture ({error}); fetch the package again") from None
    flat = Image.alpha_composite(Image.new("RGBA", picture.size, _WHITE), picture).convert("RGB")
    small = flat.resize((SIZE, SIZE), Image.Resampling.BOX, reducing_gap=None)
    return np.asarray(small, dtype=np.uint8).transpose(2, 0, 1)


def _emoji(path: Path) -> tuple[Emoji, ...]:
    try:
        entries = json.loads(_members(path, "package/en/")["data"])
        kept = sorted(
            (e for e in entries if e.get("group") not in _LEFT_OUT), key=lambda e: e["order"]
        )
        return tuple(_one(entry) for entry in kept)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} does not hold emojibase's en/data.json ({error!r})") from None


def _one(entry: Mapping[str, Any]) -> Emoji:
    code, name, subgroup = entry["hexcode"], entry["label"], entry["subgroup"]
    sign = entry["group"] == _SYMBOLS and (subgroup != _GEOMETRIC or "small" in name)
    plain = not (sign or _GENDERED.search(code) or _TIMES.search(name))
    group = _GROUPS.get(entry["group"], "symbols")
    return Emoji(code, name, tuple(entry.get("tags", ())), subgroup, plain, group)
