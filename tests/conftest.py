"""Emoji packages of the same make as the real ones, but tiny: for all who read them."""

import io
import json
import tarfile

import pytest
from PIL import Image

ENTRIES = [
    {"hexcode": "1F34E", "label": "red apple", "tags": ["fruit"], "group": 4, "subgroup": 42},
    {"hexcode": "2764-FE0F", "label": "red heart", "tags": ["love"], "group": 0, "subgroup": 14},
    {"hexcode": "1F9D1", "label": "person", "group": 1, "subgroup": 23},
    {"hexcode": "1F468-200D-2695-FE0F", "label": "man doctor", "group": 1, "subgroup": 25},
    {"hexcode": "1F7E5", "label": "red square", "group": 8, "subgroup": 96},
    {"hexcode": "0023", "label": "hash", "group": 8, "subgroup": 94},
    {"hexcode": "1F550", "label": "two-thirty", "group": 5, "subgroup": 58},
    {"hexcode": "1F1E6", "label": "regional indicator A"},
    {"hexcode": "1F3FB", "label": "light skin tone", "group": 2, "subgroup": 32},
    {"hexcode": "1F3C1", "label": "chequered flag", "group": 9, "subgroup": 97},
]


def package(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def picture(colour, size, kind):
    file = io.BytesIO()
    Image.new("RGBA", (size, size), colour).save(file, format=kind, lossless=True)
    return file.getvalue()


@pytest.fixture
def emoji_package():
    """emoji_package(path, {name: bytes}) writes a package as npm packs it."""
    return package


@pytest.fixture
def emoji_entries():
    """What the packages of `emoji_folder` tell of: all that is kept, and some that is not."""
    return ENTRIES


@pytest.fixture
def emoji_folder(tmp_path_factory):
    """A folder with the three packages: one-coloured pictures of ENTRIES in both styles."""
    folder = tmp_path_factory.mktemp("emoji")
    entries = [{**entry, "order": k} for k, entry in enumerate(ENTRIES)]
    data = json.dumps(list(reversed(entries))).encode()
    package(folder / "emojibase-data-17.0.0.tgz", {"package/en/data.json": data})
    codes = [entry["hexcode"].lower() for entry in ENTRIES]
    red, clear = picture((255, 0, 0, 255), 256, "webp"), picture((0, 0, 255, 128), 64, "png")
    fluent = {f"package/assets/{c.replace('-fe0f', '')}.webp": red for c in codes if c != "0023"}
    package(folder / "lobehub-fluent-emoji-3d-1.1.0.tgz", fluent)
    noto = {f"package/img/google/64/{code}.png": clear for code in codes}
    package(folder / "emoji-datasource-google-16.0.0.tgz", noto)
    return folder
