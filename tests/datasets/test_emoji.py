"""Emoji are read from the packages as downloaded; tiny ones of the same make stand in here."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from diffview.datasets.emoji import emoji_pictures
from diffview.errors import InputError

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
def folder(tmp_path):
    entries = [{**entry, "order": k} for k, entry in enumerate(ENTRIES)]
    data = json.dumps(list(reversed(entries))).encode()
    package(tmp_path / "emojibase-data-17.0.0.tgz", {"package/en/data.json": data})
    codes = [entry["hexcode"].lower() for entry in ENTRIES]
    red, clear = picture((255, 0, 0, 255), 256, "webp"), picture((0, 0, 255, 128), 64, "png")
    fluent = {f"package/assets/{c.replace('-fe0f', '')}.webp": red for c in codes if c != "0023"}
    package(tmp_path / "lobehub-fluent-emoji-3d-1.1.0.tgz", fluent)
    noto = {f"package/img/google/64/{code}.png": clear for code in codes}
    package(tmp_path / "emoji-datasource-google-16.0.0.tgz", noto)
    return tmp_path


def test_pictures_of_both_styles_come_in_order_without_flags_and_parts(folder):
    data = emoji_pictures(folder)
    names = [entry["label"] for entry in ENTRIES[:7]]
    assert [e.name for e in data.emoji] == [n for n in names if n != "hash"] + names
    assert data.styles.tolist() == [0] * 6 + [1] * 7
    assert data.pictures.shape == (13, 3, 64, 64)
    assert data.emoji[0].keywords == ("fruit",)


def test_what_is_transparent_lies_on_white(folder):
    data = emoji_pictures(folder)
    assert np.array_equal(np.unique(data.pictures[0].reshape(3, -1), axis=1), [[255], [0], [0]])
    # half of blue over white, 128 / 255 of it: 255 (1 - a) + 0 a and 255 in blue
    red, green, blue = data.pictures[-1].reshape(3, -1)
    assert set(red) == set(green) == {127} and set(blue) == {255}


def test_gendered_copies_signs_and_clock_faces_are_not_plain(folder):
    plain = {e.name for e in emoji_pictures(folder).emoji if e.plain}
    assert plain == {"red apple", "red heart", "person", "red square"}


def test_both_styles_of_a_name_are_in_the_same_split(folder):
    data = emoji_pictures(folder)
    train, test = data.split("train"), data.split("test")
    assert len(train) + len(test) == len(data)
    assert not {e.name for e in train.emoji} & {e.name for e in test.emoji}


def test_a_missing_package_is_named_with_the_command_that_fetches_it(tmp_path):
    with pytest.raises(InputError, match=r"emojibase-data-17.0.0.tgz is missing.*\n.*npm pack"):
        emoji_pictures(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a package", b"\x1f\x8b\x08\x00broken"])
def test_a_damaged_package_is_named(folder, content):
    path = folder / "lobehub-fluent-emoji-3d-1.1.0.tgz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"lobehub.*not a whole \.tgz file"):
        emoji_pictures(folder)


def test_a_damaged_picture_is_named(folder):
    path = folder / "lobehub-fluent-emoji-3d-1.1.0.tgz"
    package(path, {"package/assets/1f34e.webp": b"RIFF no picture"})
    with pytest.raises(InputError, match="1F34E is no picture"):
        emoji_pictures(folder)


def test_words_of_something_else_are_refused(folder):
    package(folder / "emojibase-data-17.0.0.tgz", {"package/en/data.json": b'{"a": 1}'})
    with pytest.raises(InputError, match="does not hold emojibase"):
        emoji_pictures(folder)
