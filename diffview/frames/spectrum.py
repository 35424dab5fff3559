"""Radial power spectra: at which fineness a picture has its energy, and what noise adds to it.

S(f) = mean of |F(k)|^2 / (H W) over the spatial frequencies k of length f, F being the discrete
Fourier transform, f in cycles per pixel. Written so, white noise of variance 1 has S(f) = 1 at
every f, and x_t = alpha x_0 + sigma eps has alpha^2 S_0(f) + sigma^2 on average (Dieleman 2024,
"Diffusion is spectral autoregression"; van der Schaaf & van Hateren 1996 for natural pictures).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffview.engine.levels import NoiseLevel
from diffview.errors import InputError

Float64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spectrum:
    """power (B, F) at frequencies (F,) in cycles per pixel, rising; the mean (f = 0) is left out.

    Channels are averaged.
    """

    frequencies: Float64
    power: Float64

    def noised(self, level: NoiseLevel) -> Float64:
        """What a noisy version of these pictures has on average: alpha^2 S + sigma^2, (B, F)."""
        return np.asarray(level.alpha**2 * self.power + level.sigma**2)


def spectrum(pictures: NDArray[np.floating]) -> Spectrum:
    """The radial spectrum of each of B pictures (B, C, H, W), or (B, H, W).

    One ring for each whole number of cycles over the shorter side, up to its half. Raises
    InputError for what is no picture of two pixels or more.
    """
    if pictures.ndim not in (3, 4) or min(pictures.shape[-2:]) < 2:
        raise InputError(f"samples of shape {pictures.shape[1:]} are no pictures with a spectrum")
    height, width = pictures.shape[-2:]
    power = np.abs(np.fft.fft2(pictures.astype(np.float64))) ** 2 / (height * width)
    if power.ndim == 4:
        power = power.mean(axis=1)
    short = min(height, width)
    cycles = _length(height, width) * short
    ring = np.rint(cycles).astype(int)
    kept = np.flatnonzero((ring >= 1).ravel() & (ring <= short // 2).ravel())
    index = ring.ravel()[kept] - 1
    counts = np.bincount(index, minlength=short // 2)
    flat = power.reshape(len(power), -1)[:, kept]
    sums = np.stack([np.bincount(index, row, short // 2) for row in flat])
    lengths = np.bincount(index, cycles.ravel()[kept], short // 2) / counts
    return Spectrum(np.asarray(lengths / short), np.asarray(sums / counts))


def _length(height: int, width: int) -> Float64:
    """The frequency of each place of an FFT, in cycles per pixel."""
    down, across = np.fft.fftfreq(height), np.fft.fftfreq(width)
    return np.asarray(np.hypot(down[:, None], across[None, :]))
