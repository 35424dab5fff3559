"""Mixtures as data: what is checked, moments, draws, restriction to a label."""

import numpy as np
import pytest

from diffview.errors import InputError
from diffview.models.exact.mixture import mixture, points
from diffview.models.exact.toys import toys

TWO = {"means": [[0.0, 1.0], [2.0, -1.0]], "covariances": 0.25}


def test_moments_are_those_of_the_textbook():
    made = mixture([[0.0], [4.0]], [1.0, 9.0], weights=[3, 1])
    mean, cov = made.moments()
    # E = 1, Var = (3/4)(1 + 1) + (1/4)(9 + 9) by the law of total variance.
    np.testing.assert_allclose(mean, [1.0])
    np.testing.assert_allclose(cov, [[0.75 * (1 + 1) + 0.25 * (9 + 9)]])


@pytest.mark.parametrize("name", toys())
def test_draws_have_the_mixtures_moments_and_label_shares(name):
    made = toys()[name].mixture
    drawn, labels = made.sample(200_000, np.random.default_rng(0))
    mean, cov = made.moments()
    np.testing.assert_allclose(drawn.mean(0), mean, atol=5e-3)
    np.testing.assert_allclose(np.cov(drawn.T), cov, atol=5e-3)
    shares = np.bincount(labels) / len(labels)
    np.testing.assert_allclose(shares, made.label_weights, atol=5e-3)


@pytest.mark.parametrize("name", toys())
def test_what_ships_lies_within_the_range_of_pictures(name):
    drawn, _ = toys()[name].mixture.sample(20_000, np.random.default_rng(1))
    assert (np.abs(drawn) < 1.3).all()
    assert (np.abs(drawn) < 1).mean() > 0.97


def test_a_label_alone_is_the_mixture_of_its_components():
    made = mixture([[0.0], [4.0], [8.0]], 1.0, weights=[2, 1, 1], labels=[0, 1, 1])
    one = made.of_label(1)
    assert one.means.tolist() == [[4.0], [8.0]]
    assert one.weights.tolist() == [0.5, 0.5]
    assert made.label_weights.tolist() == [0.5, 0.5]


def test_a_tilted_component_is_drawn_tilted():
    cov = np.array([[1.0, 0.8], [0.8, 1.0]])
    drawn, _ = mixture([[0.0, 0.0]], [cov]).sample(200_000, np.random.default_rng(2))
    np.testing.assert_allclose(np.cov(drawn.T), cov, atol=0.02)


def test_points_without_width_are_drawn_as_they_are():
    places = [[0.0, 1.0], [2.0, 3.0]]
    drawn, _ = points(places).sample(50, np.random.default_rng(0))
    assert {tuple(row) for row in drawn.tolist()} == {(0.0, 1.0), (2.0, 3.0)}


def test_equal_data_have_equal_digests_and_other_data_others():
    assert mixture(**TWO).sha256 == mixture(**TWO).sha256
    assert mixture(**TWO).sha256 != mixture(**(TWO | {"covariances": 0.26})).sha256


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"means": [1.0, 2.0]}, "are no mixture"),
        ({"means": [[np.nan, 0.0]]}, "NaN or infinite"),
        ({"means": "many"}, "must be numbers"),
        ({"covariances": [1.0, 2.0, 3.0]}, "do not fit"),
        ({"covariances": [[[1.0, 0.5], [0.0, 1.0]]] * 2}, "symmetric"),
        ({"covariances": [[[1.0, 2.0], [2.0, 1.0]]] * 2}, "negative eigenvalues"),
        ({"weights": [1.0, 0.0]}, "above 0"),
        ({"weights": [1.0]}, "2 numbers"),
        ({"labels": [0, 2]}, "each of 0 to 2"),
        ({"labels": [0.0, 1.0]}, "whole numbers"),
        ({"labels": [0, 1], "classes": ("one",)}, "each of 0 to 0"),
        ({"classes": ("one",)}, "no component has a label"),
    ],
)
def test_what_is_no_mixture_is_refused_with_the_reason(changed, words):
    with pytest.raises(InputError, match=words):
        mixture(**(TWO | changed))


def test_points_of_negative_width_are_refused():
    with pytest.raises(InputError, match="std = -1"):
        points([[0.0, 0.0]], std=-1)
