"""Choosing the next token: the formulas by hand and by torch, and draws with their frequencies."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine import noise, tokens
from diffview.engine.levels import CLEAN
from diffview.engine.next_token import (
    choose,
    drawn,
    entropy,
    guided,
    levels,
    probabilities,
)


def logits(rows=5, codes=30, seed=0):
    return np.random.default_rng(seed).normal(0, 3, (rows, codes)).astype(np.float32)


@pytest.mark.parametrize(("temperature", "top_k"), [(1, 0), (0.5, 0), (2, 7), (0, 0), (1, 30)])
def test_probabilities_are_those_of_torch(temperature, top_k):
    expected = tokens.probabilities(torch.from_numpy(logits()).double(), temperature, top_k)
    np.testing.assert_allclose(
        probabilities(logits(), temperature, top_k), expected, rtol=1e-12, atol=1e-15
    )


def test_probabilities_are_boltzmann_s_at_the_temperature():
    row = np.log([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(probabilities(row)[0], np.array([1, 2, 5]) / 8)
    np.testing.assert_allclose(probabilities(row, 0.5)[0], np.array([1, 4, 25]) / 30)
    np.testing.assert_allclose(probabilities(row, top_k=2)[0], np.array([0, 2, 5]) / 7)
    assert probabilities(row, 0.0).tolist() == [[0, 0, 1]]


def test_of_equal_logits_the_first_is_kept_and_exactly_k_are():
    p = probabilities(np.zeros((1, 6)), top_k=2)
    assert p.tolist() == [[0.5, 0.5, 0, 0, 0, 0]]
    assert probabilities(np.zeros((1, 6)), 0.0).tolist() == [[1, 0, 0, 0, 0, 0]]


def test_a_tiny_temperature_is_no_trouble():
    assert probabilities(np.array([[0.0, 3.0, 2.0]]), 1e-300).tolist() == [[0, 1, 0]]


def test_guidance_is_affine_in_its_scale():
    base, conditional = np.float32([[1, 2]]), np.float32([[3, -1]])
    direction = conditional - base
    assert np.array_equal(guided(base, direction, 0), base)
    assert np.array_equal(guided(base, direction, 1), conditional)
    assert np.array_equal(guided(base, direction, 3), [[7, -7]])


def test_entropy_of_known_distributions():
    p = np.array([[0.25] * 4, [1.0, 0, 0, 0], [0.5, 0.25, 0.25, 0]])
    np.testing.assert_allclose(entropy(p), [math.log(4), 0, 1.5 * math.log(2)])
    assert math.copysign(1, entropy(p)[1]) == 1


def test_a_choice_tells_its_probability_its_entropy_and_what_was_likeliest():
    choice = choose(np.log([[1.0, 2.0, 5.0]]), np.array([0.2]), 1.0, 0)
    assert choice.token.tolist() == [1]  # cumulated: 1/8, 3/8, 1
    assert choice.probability[0] == np.float32(0.25)
    assert choice.likeliest.tolist() == [2]
    expected = -(1 / 8 * math.log(1 / 8) + 1 / 4 * math.log(1 / 4) + 5 / 8 * math.log(5 / 8))
    assert choice.entropy[0] == pytest.approx(expected)


def test_draws_have_the_frequencies_of_the_probabilities():
    p, n = np.array([0.5, 0.0, 0.3, 0.2]), 40_000
    u = np.random.default_rng(0).random(n)
    found = np.bincount(drawn(np.tile(p, (n, 1)), u), minlength=4) / n
    # four standard deviations of a binomial
    assert np.all(np.abs(found - p) < 4 * np.sqrt(0.25 / n))
    assert found[1] == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(lambda w: sum(w) > 1e-3))
def test_no_draw_ever_takes_what_has_no_probability(weights):
    p = np.array([weights]) / sum(weights)
    for u in (0.0, 0.5, np.nextafter(1, 0)):
        assert p[0, drawn(p, np.array([u]))[0]] > 0


def test_a_seeds_numbers_are_even_and_depend_on_seed_and_step_alone():
    seeds = range(200)
    numbers = np.array([noise.uniform(seeds, i) for i in range(200)])
    assert numbers.min() >= 0
    assert numbers.max() < 1
    # the largest distance of the empirical distribution from the even one (Kolmogorov, p = 0.001)
    place = np.sort(numbers.ravel())
    n = len(place)
    assert np.abs(place - np.arange(n) / n).max() < 1.95 / math.sqrt(n)
    assert len(np.unique(numbers)) == n
    assert noise.uniform((7, 3), 11).tolist() == [numbers[11, 7], numbers[11, 3]]


def test_levels_count_the_tokens_that_are_missing():
    found = levels(4)
    assert [level.t for level in found] == [4, 3, 2, 1, 0]
    assert [level.alpha for level in found] == [0, 0.25, 0.5, 0.75, 1]
    assert all(level.alpha + level.sigma == 1 for level in found)
    assert found[-1] == CLEAN
