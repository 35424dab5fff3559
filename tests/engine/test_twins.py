"""A seed that is given twice makes one picture twice, and is told of only then."""

from dataclasses import replace

import pytest

from diffview.engine import twins
from diffview.engine.origin import Origin
from diffview.engine.run import run
from diffview.engine.spec import RunSpec

TWICE = RunSpec("m", n_steps=2, seeds=(4, 1, 4))
APART = replace(TWICE, seeds=(4, 1, 5))


def test_two_samples_of_one_seed_are_told_and_are_equal(plain_denoiser):
    assert twins.twins(TWICE) == (0, 2)
    assert twins.warning(TWICE).startswith("seed 4 is given twice: samples 0 and 2 will be equal")
    *_, end = run(plain_denoiser(), TWICE)
    assert (end.x_t[0] == end.x_t[2]).all()
    assert (end.x_t[0] != end.x_t[1]).any()


@pytest.mark.parametrize(
    "spec",
    [
        APART,
        replace(TWICE, condition=(0, 0, 1)),
        replace(TWICE, condition=("a shoe", "a shoe", "a bag")),
        replace(TWICE, origin=Origin(APART, 1)),  # other noise brought them here
        replace(TWICE, origin=Origin(APART, 1, (0, 1, 2))),
        replace(TWICE, origin=Origin(TWICE, 1, x_t="of states that were given")),
    ],
)
def test_samples_that_something_else_tells_apart_are_not_told_of(spec):
    assert twins.warning(spec) == ""


@pytest.mark.parametrize(
    "spec",
    [
        replace(TWICE, condition=3),
        replace(TWICE, condition=(0, 1, 0)),
        replace(TWICE, origin=Origin(TWICE, 1)),
        replace(TWICE, origin=Origin(APART, 1, (0, 1, 0))),  # completions of one state
    ],
)
def test_samples_of_one_past_are_told_of(spec):
    assert twins.twins(spec) == (0, 2)
