"""Declared options: what they accept, in which type, and what they say when they refuse."""

import math

import pytest

from diffview.engine.options import CLIP, REDERIVE_EPS
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
