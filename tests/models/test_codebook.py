"""Codes of a picture and of changed tokens, usage, neighbours and figures."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffview.errors import InputError
from diffview.models.codebook import Codebook, neighbours, perplexity, psnr
from diffview.models.tokenizer import Tokenizer, TokenizerConfig

SHAPE = TokenizerConfig(size=16, codes=12, depth=2, narrow=4, wide=8, blocks=1)


def tokenizer(seed, codes=None):
    torch.manual_seed(seed)
    made = Tokenizer(SHAPE).eval()
    made.codebook.copy_(torch.randn(12, 2) if codes is None else codes)
    return made


@pytest.fixture
def pair():
    first = tokenizer(0)
    return first, tokenizer(1, first.codebook)


@pytest.fixture
def x():
    return np.random.default_rng(0).uniform(-1, 1, (3, 16, 16)).astype(np.float32)


def test_the_index_is_that_of_the_nearest_code_and_the_distance_is_to_it(pair, x):
    coded = Codebook(pair).code(x)
    codes = pair[0].codebook.numpy()
    for row, column in np.ndindex(4, 4):
        distance = np.linalg.norm(codes - coded.z[:, row, column], axis=1)
        assert coded.indices[row, column] == distance.argmin()
        assert coded.distance[row, column] == pytest.approx(distance.min(), rel=1e-5)


def test_each_decoder_makes_its_own_picture_of_the_same_codes(pair, x):
    book = Codebook(pair)
    made = book.decode(book.code(x).indices)
    for one, picture in zip(pair, made, strict=True):
        codes = pair[0].quantise(pair[0].encode(torch.from_numpy(x)[None])).z_q
        want = one.decode(codes)[0].clamp(-1, 1).detach().numpy()
        np.testing.assert_allclose(picture, want, atol=1e-6)


def test_other_codebooks_are_refused():
    with pytest.raises(InputError, match="different codebooks"):
        Codebook((tokenizer(0), tokenizer(1)))


def test_a_count_over_bytes_is_the_sum_of_its_pictures(pair):
    pictures = np.random.default_rng(1).integers(0, 256, (3, 3, 16, 16), np.uint8)
    book = Codebook(pair)
    alone = sum(book.usage(book.code(p.astype(np.float32) / 127.5 - 1).indices) for p in pictures)
    assert np.array_equal(book.count(pictures), alone)
    assert alone.sum() == 3 * 16


def test_neighbours_on_a_line():
    vectors = np.array([[0.0], [1.0], [3.0], [7.0]], np.float32)
    near = neighbours(vectors, 1, 3)
    assert [(one.code, one.distance) for one in near] == [(0, 1.0), (2, 2.0), (3, 6.0)]


@given(st.integers(1, 30), st.integers(1, 9))
def test_codes_used_alike_have_their_number_as_perplexity(codes, times):
    counts = np.array([times] * codes + [0] * 5)
    assert perplexity(counts) == pytest.approx(codes)


def test_nothing_counted_has_no_perplexity():
    assert perplexity(np.zeros(4, np.int64)) == 0


def test_psnr_of_a_constant_error_and_of_none(x):
    assert psnr(np.zeros((1, 2, 2), np.float32), np.full((1, 2, 2), 0.2, np.float32)) == (
        pytest.approx(20.0)
    )  # 10 log10(4 / 0.04)
    assert psnr(x, x) == math.inf
