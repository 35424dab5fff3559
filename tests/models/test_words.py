"""The words of a prompt: one rule for what is read, what is unknown, and what is marked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffview.models.conditions import reading
from diffview.models.words import plain, typed, words

KNOWN = ("red", "apple", "t", "shirt", "pi", "ata")
ARABIC = "\u062a\u0641\u0627\u062d\u0629"


@pytest.fixture
def card(make_card):
    return make_card(classes=(), text_tokens=8, vocabulary=KNOWN)


@given(st.text(max_size=60))
def test_the_words_a_person_sees_hold_all_words_that_are_read(text):
    assert tuple(word for one in typed(text) for word in one.words) == words(text)


def test_hyphens_and_apostrophes_separate_as_they_do_for_the_network(card):
    assert reading(card, "T-shirt red's RED_apple").unknown == ("s",)


def test_unknown_words_are_named_once_as_typed(card):
    told = reading(card, "Blue red BLUE Blue apple")
    assert told.unknown == ("Blue", "BLUE")
    assert told.warning == "unknown to the model and ignored: Blue, BLUE"


def test_a_word_that_is_read_without_some_letters_is_told_of(card):
    told = reading(card, "piñata Été red")
    assert told.partly == (("piñata", "pi ata"), ("Été", "t"))
    assert "piñata as 'pi ata'" in told.warning


def test_right_to_left_words_and_control_characters(card):
    told = reading(card, f"\x00\x1b[31m\u202e{ARABIC} red\u200f")
    assert told.unknown == ("31m", ARABIC)
    assert "\x1b" not in told.warning
    assert "\u202e" not in told.warning


@pytest.mark.parametrize(
    "word",
    ["\U0001f34e", "\U0001f469\u200d\U0001f680", "\u2764\ufe0f", "\U0001f44d\U0001f3fd",
     "\u0938\u0947\u092c"],
    ids=["apple", "astronaut", "heart", "thumb of a skin tone", "Hindi with a vowel sign"],
)  # fmt: skip
def test_emoji_and_signs_that_belong_to_a_letter_are_words_that_are_not_known(card, word):
    told = reading(card, f"red {word}!")
    assert told.unknown == (word,)
    assert word in told.warning
    assert [one.start for one in typed(f"{word} red")] == [0, len(word) + 1]


def test_punctuation_and_mathematics_are_no_words(card):
    assert reading(card, "red + apple = (red) ^ `apple` ~ $ \u201cred\u201d").warning == ""


def test_words_after_the_last_that_is_read_are_counted(card):
    told = reading(card, "red " * 2500)
    assert told.beyond == 2492
    assert told.warning == "only the first 8 known words are read, not 2492 more"


def test_a_warning_stays_short_whatever_the_prompt(card):
    many = " ".join(f"word{k}" for k in range(1600))
    assert len(reading(card, many).warning) < 200
    assert "and 1592 more" in reading(card, many).warning
    assert len(reading(card, "x" * 10_000).warning) < 200


def test_a_model_without_a_list_of_words_reads_everything(make_card):
    card = make_card(classes=(), text_tokens=77)
    assert reading(card, "anything " * 100).warning == ""


def test_what_is_not_seen_becomes_a_space_and_joiners_stay():
    assert plain("a\nb\tc\x00d\u202ee\u2029f\ud800g") == "a b c d e f g"
    assert plain(f"{ARABIC} \u200d") == f"{ARABIC} \u200d"
