"""Everyday things are shown as often as stated, and nothing is left out."""

from collections import Counter

import pytest

from diffview.datasets.emoji import Emoji
from diffview.datasets.emoji_sprite import emoji_sprite
from diffview.training.everyday import EVERYDAY, SHARE, one_round


def emoji(*names):
    return tuple(Emoji(str(k), name, (), 1, True) for k, name in enumerate(names))


def test_everyday_things_take_their_share_of_a_round_and_all_the_others_stand_in_it_once():
    others = [f"strange thing {k}" for k in range(90)]
    shown = Counter(one_round(emoji("banana", *others, "cat face", "robot")).tolist())
    assert set(shown) == set(range(93))
    assert {shown[k] for k in range(1, 91)} == {1}
    assert shown[0] == shown[91] == shown[92]
    assert (shown[0] * 3) / shown.total() == pytest.approx(SHARE, abs=0.005)


@pytest.mark.parametrize("names", [("banana", "robot"), ("a strange thing", "another")])
def test_things_of_one_kind_are_shown_once_each(names):
    assert one_round(emoji(*names)).tolist() == [0, 1]


def test_the_names_are_those_of_emoji():
    assert {"red apple", "cat face", "four leaf clover"} <= EVERYDAY
    assert EVERYDAY - set(emoji_sprite().names) == set()
