"""Levels against the definitions: x_t = alpha x_0 + sigma eps, lambda = log(alpha / sigma)."""

import math

import pytest

from diffview.engine.levels import CLEAN, NoiseLevel


def test_snr_of_equal_parts_is_one_and_its_logarithms_are_zero():
    level = NoiseLevel(t=5, alpha=math.sqrt(0.5), sigma=math.sqrt(0.5))
    assert level.snr == pytest.approx(1)
    assert level.lam == pytest.approx(0)
    assert level.snr_db == pytest.approx(0)


def test_alpha_four_fifths_gives_the_snr_of_a_three_four_five_triangle():
    level = NoiseLevel(t=1, alpha=0.8, sigma=0.6)
    assert level.alphas_cumprod == pytest.approx(0.64)
    assert level.snr == pytest.approx(16 / 9)
    assert level.lam == pytest.approx(math.log(4 / 3))
    assert level.ratio == pytest.approx(3 / 4)
    assert level.snr_db == pytest.approx(20 * math.log10(4 / 3))


def test_the_clean_level_has_no_noise_and_an_infinite_snr():
    assert (CLEAN.alpha, CLEAN.sigma) == (1, 0)
    assert CLEAN.snr == CLEAN.lam == CLEAN.snr_db == math.inf


def test_pure_noise_has_snr_zero_and_a_log_snr_of_minus_infinity():
    noise = NoiseLevel(t=999, alpha=0, sigma=1)
    assert noise.snr == 0
    assert noise.ratio == math.inf
    assert noise.lam == noise.snr_db == -math.inf
