"""The exact denoiser of a mixture: x0_hat, score and log p(x_t) in closed form at every level.

With x_t = alpha x_0 + sigma eps each component stays Gaussian: S_k = alpha^2 Sigma_k + sigma^2 I,
    p(x_t)      = sum_k w_k N(x_t; alpha mu_k, S_k)
    r_k(x_t)    = P(k | x_t), the softmax over k of log w_k + log N(x_t; alpha mu_k, S_k)
    x0_hat      = sum_k r_k (mu_k + alpha Sigma_k S_k^-1 (x_t - alpha mu_k))
    score       = sum_k r_k S_k^-1 (alpha mu_k - x_t)        (so x0_hat = (x_t + sigma^2 score) /
                                                               alpha, Tweedie's formula)
Under a label the sums run over its components alone. For points (Sigma = 0) x0_hat is the weighted
mean of the data (Karras et al. 2022, arXiv 2206.00364, eq. 57 and appendix B.3).

Everything is float64 inside, so small sigma costs no digits that matter; what comes out has the
type of x_t. All that depends on x_t are matrix products with a row of monomials of x_t.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Schedule
from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.exact.mixture import Mixture

PAIRS = 1 << 22
"""How many (sample, component) pairs are in memory at once: 32 MiB for each such array."""


@dataclass(frozen=True, slots=True)
class _AtLevel:
    """The numbers of all components at one level, each (K, ...): see the module."""

    quadratic: Tensor  # (1 + D + D^2, K): log of w_k N(x; ...) over the monomials 1, x_i, x_i x_j
    x0: Tensor  # (K, D + D^2): x0_hat of component k = first part + second part times x
    score: Tensor  # (K, D + D^2): the same for its score


class MixtureDenoiser:
    """A `Model` that is exact. Condition: labels (B,) int64; the null label is the one after them.

    x_t is (B, D) everywhere, in any floating type; logarithms are in nats.
    """

    def __init__(self, card: ModelCard, data: Mixture, device: torch.device | str = "cpu") -> None:
        if card.data_shape != (data.dims,) or card.classes != data.classes:
            raise InputError(
                f"the card tells of samples {card.data_shape} and {len(card.classes)} classes, "
                f"the mixture has ({data.dims},) and {len(data.classes)}"
            )
        self.card, self.mixture = card, data
        # Apple's GPUs have no float64; these sums are small enough for the processor.
        self.device = torch.device("cpu" if torch.device(device).type == "mps" else device)
        self._means, self._log_weights = self._on(data.means), self._on(data.weights).log()
        self._labels = torch.from_numpy(data.labels).to(self.device)
        values, self._axes = torch.linalg.eigh(self._on(data.covariances))
        self._variances = values.clamp_min(0)
        self._at: dict[tuple[float, float], _AtLevel] = {}

    @property
    def schedule(self) -> Schedule:
        """The schedule whose levels the card names; any level can be asked for."""
        return self.card.schedule

    @property
    def data_shape(self) -> tuple[int, ...]:
        """(D,)."""
        return self.card.data_shape

    def null_condition(self, batch: int) -> Tensor | None:
        """The label that means none; None for a mixture without labels."""
        if not self.card.classes:
            return None
        return torch.full((batch,), len(self.card.classes), device=self.device)

    def __call__(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None) -> Tensor:
        """E[x_0 | x_t] (B, D), or E[x_0 | x_t, y]."""
        return self._mean(x_t, level, condition, lambda at: at.x0)

    def score(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None = None) -> Tensor:
        """grad log p(x_t) (B, D), or grad log p(x_t | y)."""
        return self._mean(x_t, level, condition, lambda at: at.score)

    def log_prob(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None = None) -> Tensor:
        """log p(x_t) (B,), or log p(x_t | y), in nats."""
        joint = self._by_rows(x_t, lambda x, rows: self._joint(x, level, condition, rows))
        return joint.logsumexp(1).to(x_t.dtype)

    # ---- inside: float64, components along the second axis --------------------------------------

    def _on(self, array: object) -> Tensor:
        return torch.as_tensor(array, dtype=torch.float64, device=self.device)

    def _by_rows(self, x_t: Tensor, part: Callable[[Tensor, slice], Tensor]) -> Tensor:
        """`part` of a few rows at a time, so that memory does not grow with the batch."""
        step = max(1, PAIRS // len(self._means))
        rows = [slice(start, start + step) for start in range(0, len(x_t), step)]
        return torch.cat([part(x_t[some].double(), some) for some in rows])

    def _mean(
        self,
        x_t: Tensor,
        level: NoiseLevel,
        condition: Tensor | None,
        table: Callable[[_AtLevel], Tensor],
    ) -> Tensor:
        """sum_k r_k (a_k + B_k x), with a_k and B_k from `table`."""
        dims = self.mixture.dims

        def part(x: Tensor, rows: slice) -> Tensor:
            r = self._joint(x, level, condition, rows).softmax(1)
            mixed = r @ table(self._level(level))
            linear = mixed[:, dims:].reshape(-1, dims, dims)
            return mixed[:, :dims] + (linear @ x[:, :, None]).squeeze(2)

        return self._by_rows(x_t, part).to(x_t.dtype)

    def _joint(
        self, x: Tensor, level: NoiseLevel, condition: Tensor | None, rows: slice
    ) -> Tensor:
        """log P(k) N(x; k) (b, K), or log P(k | y) N(x; k), -inf for other labels' components."""
        joint = _monomials(x) @ self._level(level).quadratic
        if condition is None:
            return joint
        labels = condition[rows].to(self.device)
        log_share = self._on(self.mixture.label_weights).log()
        null = len(log_share)
        other = (labels[:, None] != self._labels) & (labels != null)[:, None]
        shares = torch.cat([log_share, log_share.new_zeros(1)])[labels]
        return (joint - shares[:, None]).masked_fill(other, -math.inf)

    def _level(self, level: NoiseLevel) -> _AtLevel:
        key = (level.alpha, level.sigma)
        known = self._at.get(key)
        if known is None:
            known = self._at_level(level)
            self._at = {key: known}  # one level at a time is asked for, often in several ways
        return known

    def _at_level(self, level: NoiseLevel) -> _AtLevel:
        alpha, dims = level.alpha, self.mixture.dims
        noisy = alpha**2 * self._variances + level.sigma**2
        if bool((noisy <= 0).any()):
            raise InputError(
                "points have no density without noise: choose a level with σ > 0, or give the "
                "points a width"
            )
        precision = (self._axes / noisy[:, None, :]) @ self._axes.mT
        gain = (self._axes * (alpha * self._variances / noisy)[:, None, :]) @ self._axes.mT
        pull = (precision @ (alpha * self._means)[:, :, None]).squeeze(2)
        constant = self._log_weights - 0.5 * (
            (pull * alpha * self._means).sum(1) + noisy.log().sum(1) + dims * math.log(2 * math.pi)
        )
        flat = precision.flatten(1)
        start = self._means - alpha * (gain @ self._means[:, :, None]).squeeze(2)
        return _AtLevel(
            quadratic=torch.cat([constant[:, None], pull, -0.5 * flat], dim=1).mT.contiguous(),
            x0=torch.cat([start, gain.flatten(1)], dim=1),
            score=torch.cat([pull, -flat], dim=1),
        )


def _monomials(x: Tensor) -> Tensor:
    """(b, D) -> (b, 1 + D + D^2): 1, x_i and x_i x_j."""
    return torch.cat([torch.ones_like(x[:, :1]), x, (x[:, :, None] * x[:, None, :]).flatten(1)], 1)
