"""Declared options: what they accept, in which type, and what they say when they refuse."""

import math

import pytest

from diffview.engine.options import (
    CLIP,
    INTERVAL,
    REDERIVE_EPS,
    RUN_OPTIONS,
    STEPS_OFFSET,
    TIMES,
    numbers,
)
from diffview.engine.samplers.ddim import ETA
from diffview.engine.samplers.ddpm import VARIANCE
from diffview.errors import InputError


@pytest.mark.parametrize("given", [0, 0.0, "0", "0.5", 0.5, 1, "1"])
def test_a_number_is_taken_from_a_number_or_its_text(given):
    value = ETA.checked(given)
    assert isinstance(value, float)
    assert value == float(given)


@pytest.mark.parametrize("given", [-0.1, 1.5, math.nan, math.inf, "nan", 10**400])
def test_a_number_out_of_range_is_refused_with_the_range(given):
    with pytest.raises(InputError, match=r"eta = .* is outside 0 to 1"):
        ETA.checked(given)


@pytest.mark.parametrize("given", ["much", "", "0,5"])
def test_words_are_no_number(given):
    with pytest.raises(InputError, match=f"eta = {given} is not a number"):
        ETA.checked(given)


@pytest.mark.parametrize(
    ("given", "value"),
    [(True, True), (False, False), ("true", True), ("No", False), ("1", True), (0, False)],
)
def test_a_switch_understands_the_usual_words(given, value):
    assert REDERIVE_EPS.checked(given) is value


def test_a_switch_refuses_other_words():
    with pytest.raises(InputError, match="rederive_eps = maybe is neither true nor false"):
        REDERIVE_EPS.checked("maybe")


@pytest.mark.parametrize("option", [CLIP, VARIANCE])
def test_a_choice_is_one_of_its_words_and_says_which_there_are(option):
    for word in option.choices:
        assert option.checked(word) == word
    with pytest.raises(InputError, match=f"{option.name} = 7 is not one of {option.choices[0]}"):
        option.checked(7)


@pytest.mark.parametrize("given", [2, 2.0, "2", "2.0"])
def test_a_whole_number_stays_one(given):
    value = STEPS_OFFSET.checked(given)
    assert isinstance(value, int)
    assert value == 2


def test_half_a_step_is_no_whole_number():
    with pytest.raises(InputError, match=r"steps_offset = 0.5 is not a whole number"):
        STEPS_OFFSET.checked(0.5)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("900,500, 100", (900, 500, 100)),
        ("0.1", (0.1,)),
        (" 1e2 7 ", (100, 7)),
        ("", ()),
        (5, (5,)),
    ],
)
def test_a_list_of_numbers_is_read_and_read_again_the_same(given, value):
    text = TIMES.checked(given)
    assert numbers(text) == value
    assert TIMES.checked(text) == text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("1", "interval = 1 has 1 number; it takes 2"),
        ("1 2 3", "has 3 numbers; it takes 2"),
        ("a b", "interval = a b: a is not a number from 0 to 1e"),
        ("-1 2", "interval = -1 2: -1 is not a number from 0 to 1e"),
        ("0,nan", "interval = 0,nan: nan is not a number from 0"),
        ((0.2, math.inf), "interval = 0.2, inf: inf is not a number from 0"),
    ],
)
def test_a_list_that_is_not_as_declared_is_refused(given, message):
    with pytest.raises(InputError, match=message):
        INTERVAL.checked(given)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (CLIP, ", ".join(CLIP.choices)),
        (REDERIVE_EPS, "true or false"),
        (ETA, "0 to 1"),
        (TIMES, "numbers from 0 to 1e+06"),
    ],
)
def test_an_option_says_in_words_what_it_takes(option, words):
    assert option.allowed == words


@pytest.mark.parametrize("option", RUN_OPTIONS, ids=lambda option: option.name)
def test_every_option_takes_its_own_default_and_says_what_it_does_and_who_says_so(option):
    assert option.checked(option.default) == option.default
    assert type(option.checked(option.default)) is type(option.default)
    assert option.help.endswith(".")
    assert option.source
    assert option.title
