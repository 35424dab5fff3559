"""Captions: names, handfuls of words, or nothing, in the shares that the file states."""

from collections import Counter

import torch

from diffview.datasets.emoji import Emoji
from diffview.training.captions import EMPTY, Captions, vocabulary

EMOJI = (
    Emoji("1", "red apple", ("fruit", "red", "food"), 1, True),
    Emoji("2", "cat with wry smile", ("animal",), 2, True),
)


def test_the_vocabulary_is_every_word_once_the_frequent_first():
    assert vocabulary(EMOJI) == (
        "animal", "apple", "cat", "food", "fruit", "red", "smile", "with", "wry",
    )  # fmt: skip
    twice = (*EMOJI, Emoji("3", "smile", (), 1, True))
    assert vocabulary(twice)[0] == "smile"


def drawn(n):
    known = vocabulary(EMOJI)
    captions = Captions.of(EMOJI, known)
    rows = captions.draw(torch.arange(n) % 2, torch.Generator().manual_seed(0))
    return [[known[k - 1] for k in row if k] for row in rows.tolist()]


def test_a_picture_is_only_ever_called_by_its_own_words():
    own = {"red", "apple", "fruit", "food"}, {"cat", "with", "wry", "smile", "animal"}
    for k, caption in enumerate(drawn(400)):
        assert set(caption) <= own[k % 2]
        assert len(set(caption)) == len(caption)


def test_captions_are_left_out_as_often_as_stated_and_else_are_mostly_names():
    found = Counter(tuple(caption) for caption in drawn(8000)[::2])
    # 0.12, and the names of two words of which both were dropped (0.75 * 0.88 * 0.1^2)
    expected = EMPTY + 0.88 * 0.75 * 0.01
    assert abs(found[()] / 4000 - expected) < 4 * (expected * (1 - expected) / 4000) ** 0.5
    assert found["red", "apple"] > 0.3 * 4000
    assert {len(caption) for caption in found} == {0, 1, 2, 3, 4}


def test_the_same_generator_draws_the_same_captions():
    assert drawn(50) == drawn(50)
