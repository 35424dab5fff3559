"""Noise levels: everything here is alpha and sigma of x_t = alpha x_0 + sigma eps.

Ho, Jain, Abbeel (2020), arXiv 2006.11239, eq. 4, with alpha = sqrt(alphas_cumprod) and
sigma = sqrt(1 - alphas_cumprod); log-SNR as in Kingma et al. (2021), arXiv 2107.00630.
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
        """alpha squared, the paper's alpha-bar."""
        return self.alpha**2

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
