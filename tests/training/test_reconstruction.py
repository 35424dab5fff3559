"""Figures of a tokenizer, against their definitions."""

import math

import pytest
import torch

from diffview.training.reconstruction import perplexity, psnr


def test_psnr_of_a_known_error():
    # an error of 0.2 everywhere, with a peak of 2: 20 log10 (2 / 0.2) = 20 dB
    assert psnr(torch.full((3,), 0.04)) == pytest.approx(20.0)


def test_psnr_is_the_mean_over_pictures():
    assert psnr(torch.tensor([4.0, 0.04])) == pytest.approx((0 + 20) / 2)


def test_perplexity_of_k_equally_used_codes_is_k():
    assert perplexity(torch.tensor([5.0, 0, 5, 5, 5])) == pytest.approx(4)


def test_perplexity_of_unequal_use():
    # H = 2 * 1/4 ln 4 + 1/2 ln 2 = 1.5 ln 2
    assert perplexity(torch.tensor([1.0, 1, 2])) == pytest.approx(math.exp(1.5 * math.log(2)))
