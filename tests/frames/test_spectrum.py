"""Radial spectra: of noise, of a wave of known frequency, and of their sum."""

import numpy as np
import pytest

from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError
from diffview.frames.spectrum import spectrum


def wave(size, cycles, across=0):
    place = np.arange(size)
    angle = 2 * np.pi * (cycles * place[:, None] + across * place[None, :]) / size
    return np.sqrt(2) * np.cos(angle)  # of mean square 1


def test_white_noise_of_variance_one_has_power_one_at_every_frequency():
    noise = np.random.default_rng(0).standard_normal((400, 3, 28, 28))
    made = spectrum(noise)
    assert made.power.shape == (400, 14)
    # 1,200 independent pictures, the ring of fewest frequencies having some 8 of them.
    np.testing.assert_allclose(made.power.mean(0), 1, atol=0.03)
    assert (np.diff(made.frequencies) > 0).all()
    assert made.frequencies[-1] == pytest.approx(0.5, abs=0.5 / 28)  # of a ring's width


@pytest.mark.parametrize(("cycles", "across"), [(5, 0), (0, 5), (3, 4)])
def test_a_wave_has_all_its_power_in_its_own_ring(cycles, across):
    made = spectrum(wave(32, cycles, across)[None])
    assert made.power[0].argmax() == 4
    assert np.delete(made.power[0], 4).max() < 1e-20
    # Parseval: the mean square 1, spread over a ring of so many of the 32 x 32 frequencies.
    ring = np.rint(np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32))) * 32) == 5
    assert made.power[0, 4] == pytest.approx(32 * 32 / ring.sum())
    assert made.frequencies[4] == pytest.approx(5 / 32, rel=0.03)


def test_the_mean_is_no_frequency():
    flat = spectrum(np.full((1, 1, 16, 16), 3.0)).power
    np.testing.assert_allclose(flat, 0, atol=1e-20)


def test_a_noised_picture_has_the_mixed_spectrum():
    rng = np.random.default_rng(1)
    clean, level = 2 * wave(28, 3)[None, None], NoiseLevel(0, 0.8, 0.6)
    noisy = level.alpha * clean + level.sigma * rng.standard_normal((4000, 1, 28, 28))
    expected = spectrum(clean).noised(level)[0]
    np.testing.assert_allclose(spectrum(noisy).power.mean(0), expected, rtol=0.03)


def test_a_picture_that_is_not_square_goes_as_far_as_its_shorter_side():
    assert spectrum(np.random.default_rng(0).normal(size=(2, 3, 20, 30))).power.shape == (2, 10)


def test_points_have_no_spectrum():
    with pytest.raises(InputError, match="no pictures with a spectrum"):
        spectrum(np.zeros((4, 2)))
