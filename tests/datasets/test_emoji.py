"""Emoji are read from the packages as downloaded; tiny ones of the same make stand in here."""

import numpy as np
import pytest

from diffview.datasets.emoji import emoji_pictures
from diffview.errors import InputError


def test_pictures_of_both_styles_come_in_order_without_flags_and_parts(
    emoji_folder, emoji_entries
):
    data = emoji_pictures(emoji_folder)
    names = [entry["label"] for entry in emoji_entries[:7]]
    assert [e.name for e in data.emoji] == [n for n in names if n != "hash"] + names
    assert data.styles.tolist() == [0] * 6 + [1] * 7
    assert data.pictures.shape == (13, 3, 64, 64)
    assert data.emoji[0].keywords == ("fruit",)


def test_what_is_transparent_lies_on_white(emoji_folder):
    data = emoji_pictures(emoji_folder)
    assert np.array_equal(np.unique(data.pictures[0].reshape(3, -1), axis=1), [[255], [0], [0]])
    # half of blue over white, 128 / 255 of it: 255 (1 - a) + 0 a and 255 in blue
    red, green, blue = data.pictures[-1].reshape(3, -1)
    assert set(red) == set(green) == {127} and set(blue) == {255}


def test_gendered_copies_signs_and_clock_faces_are_not_plain(emoji_folder):
    plain = {e.name for e in emoji_pictures(emoji_folder).emoji if e.plain}
    assert plain == {"red apple", "red heart", "person", "red square"}


def test_both_styles_of_a_name_are_in_the_same_split(emoji_folder):
    data = emoji_pictures(emoji_folder)
    train, test = data.split("train"), data.split("test")
    assert len(train) + len(test) == len(data)
    assert not {e.name for e in train.emoji} & {e.name for e in test.emoji}


def test_a_missing_package_is_named_with_the_command_that_fetches_it(tmp_path):
    with pytest.raises(InputError, match=r"emojibase-data-17.0.0.tgz is missing.*\n.*npm pack"):
        emoji_pictures(tmp_path)


@pytest.mark.parametrize("content", [b"", b"not a package", b"\x1f\x8b\x08\x00broken"])
def test_a_damaged_package_is_named(emoji_folder, content):
    path = emoji_folder / "lobehub-fluent-emoji-3d-1.1.0.tgz"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"lobehub.*not a whole \.tgz file"):
        emoji_pictures(emoji_folder)


def test_a_damaged_picture_is_named(emoji_folder, emoji_package):
    path = emoji_folder / "lobehub-fluent-emoji-3d-1.1.0.tgz"
    emoji_package(path, {"package/assets/1f34e.webp": b"RIFF no picture"})
    with pytest.raises(InputError, match="1F34E is no picture"):
        emoji_pictures(emoji_folder)


def test_words_of_something_else_are_refused(emoji_folder, emoji_package):
    emoji_package(
        emoji_folder / "emojibase-data-17.0.0.tgz", {"package/en/data.json": b'{"a": 1}'}
    )
    with pytest.raises(InputError, match="does not hold emojibase"):
        emoji_pictures(emoji_folder)
