"""Choosing tokens: the formulas by hand, and draws whose frequencies are the probabilities."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine.tokens import drawn, entropy, guided, probabilities


def test_guidance_is_affine_in_its_scale():
    base, conditional = torch.tensor([[1.0, 2]]), torch.tensor([[3.0, -1]])
    assert torch.equal(guided(base, conditional, 0), base)
    assert torch.equal(guided(base, conditional, 1), conditional)
    assert torch.equal(guided(base, conditional, 3), torch.tensor([[7.0, -7]]))


def test_probabilities_are_boltzmann_s_at_the_temperature():
    logits = torch.tensor([[0.0, math.log(2), math.log(5)]], dtype=torch.float64)
    np.testing.assert_allclose(probabilities(logits)[0], np.array([1, 2, 5]) / 8)
    np.testing.assert_allclose(probabilities(logits, 0.5)[0], np.array([1, 4, 25]) / 30)
    np.testing.assert_allclose(probabilities(logits, top_k=2)[0], np.array([0, 2, 5]) / 7)
    assert probabilities(logits, 0.0).tolist() == [[0, 0, 1]]
    np.testing.assert_allclose(probabilities(logits, top_k=99)[0], np.array([1, 2, 5]) / 8)


def test_entropy_of_known_distributions():
    p = torch.tensor([[0.25] * 4, [1.0, 0, 0, 0], [0.5, 0.25, 0.25, 0]])
    expected = [math.log(4), 0, 1.5 * math.log(2)]
    np.testing.assert_allclose(entropy(p), expected, rtol=1e-6)


def test_draws_have_the_frequencies_of_the_probabilities():
    p, n = torch.tensor([0.5, 0.0, 0.3, 0.2]), 40_000
    u = torch.rand(n, generator=torch.Generator().manual_seed(0))
    found = np.bincount(drawn(p.expand(n, 4), u), minlength=4) / n
    # four standard deviations of a binomial
    assert np.all(np.abs(found - p.numpy()) < 4 * np.sqrt(0.25 / n))
    assert found[1] == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30).filter(lambda w: sum(w) > 1e-3))
def test_no_draw_ever_takes_what_has_no_probability(weights):
    p = torch.tensor([weights]) / sum(weights)
    for u in (0.0, 0.5, 1 - 2**-24):
        token = int(drawn(p, torch.tensor([u])))
        assert p[0, token] > 0


@pytest.mark.parametrize("batch", [1, 7])
def test_a_draw_does_not_depend_on_its_batch(batch):
    p = torch.rand(7, 20, generator=torch.Generator().manual_seed(0)).softmax(-1)
    u = torch.rand(7, generator=torch.Generator().manual_seed(1))
    whole = drawn(p, u)
    assert torch.equal(drawn(p[:batch], u[:batch]), whole[:batch])
