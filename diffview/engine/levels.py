"""Noise levels: everything here is alpha and sigma of x_t = alpha x_0 + sigma eps.

Variance preserving (Ho, Jain, Abbeel 2020, arXiv 2006.11239, eq. 4): alpha = sqrt(alphas_cumprod),
sigma = sqrt(1 - alphas_cumprod). Variance exploding (Karras et al. 2022, arXiv 2206.00364): alpha
= 1. Rectified flow (Liu et al. 2022, arXiv 2209.03003): alpha = 1 - s, sigma = s. Log-SNR as in
Kingma et al. (2021), arXiv 2107.00630.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NoiseLevel:
    """One level of noise; `t` is the schedule's own time and counts down to the picture."""

    t: float
    alpha: float
    sigma: float

    @property
    def alphas_cumprod(self) -> float:
        """alpha squared, the alpha-bar of a variance preserving level."""
        return self.alpha**2

    @property
    def ratio(self) -> float:
        """sigma / alpha, the sigma that this level has where alpha = 1 (EDM's, k-diffusion's)."""
        return self.sigma / self.alpha if self.alpha > 0 else math.inf

    @property
    def lam(self) -> float:
        """Half the log signal-to-noise ratio, log(alpha / sigma), in nats."""
        if self.sigma == 0:
            return math.inf
        return math.log(self.alpha / self.sigma) if self.alpha > 0 else -math.inf

    @property
    def snr(self) -> float:
        """(alpha / sigma)^2, a ratio of powers."""
        return (self.alpha / self.sigma) ** 2 if self.sigma > 0 else math.inf

    @property
    def snr_db(self) -> float:
        """The signal-to-noise ratio in decibels."""
        if self.sigma == 0:
            return math.inf
        return 10 * math.log10(self.snr) if self.alpha > 0 else -math.inf


CLEAN = NoiseLevel(t=0.0, alpha=1.0, sigma=0.0)
"""The end of every run: the picture itself, no noise left."""
