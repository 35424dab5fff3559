"""The exact denoiser of a set of pictures: a network that has learned them by heart.

    x0_hat = sum_i w_i x_i,    w_i = softmax_i(-|x_t - alpha x_i|^2 / (2 sigma^2))

(Karras et al. 2022, arXiv 2206.00364, eq. 57 and appendix B.3). Under a label the sums run over
its pictures alone, so conditional estimate and classifier-free guidance are exact too. Sampled, it
ends on pictures of the set: it memorises, where a trained network generalises.

Numbers: the exponent is a small difference of large products, divided by sigma^2; in float32 it is
wrong by half a nat where sigma is small, enough to change which picture wins. The pictures are
kept as their bytes b = 127.5 (x + 1) and multiplied in float64, a few hundred at a time so that
these stay in the processor's cache. That is no slower than float32, whose four bytes a pixel must
come from memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffview.datasets import LabelledPictures
from diffview.engine.levels import NoiseLevel
from diffview.engine.schedules import Schedule
from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.exact.memory import CHUNK_BYTES

HALF = 127.5
"""x = b / HALF - 1 of a byte b: the numbers that training uses."""

NEGLIGIBLE = 1e-18
"""A picture whose weight is below this in every sample is left out of the weighted sum."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """Which pictures x_t could have come from, for each of B samples.

    nearest (B, k): the heaviest pictures' numbers, weights (B, k) theirs. entropy (B,) of all
    weights in nats; effective (B,) = exp(entropy), how many pictures it is as if there were.
    log_prob (B,): log p(x_t) in nats. label_weights (B, C): the weight of each class.
    """

    nearest: Tensor
    weights: Tensor
    entropy: Tensor
    effective: Tensor
    log_prob: Tensor
    label_weights: Tensor


class ExactPictures:
    """A `Model` over N pictures; x_t (B, *D) in -1 .. 1 where it is clean.

    Condition: labels (B,) int64, the null label is the one after the last. `pictures` (N, *D) are
    the set's bytes, `labels` (N,) its labels, -1 for a picture that has none.
    """

    def __init__(
        self, card: ModelCard, data: LabelledPictures, device: torch.device | str = "cpu"
    ) -> None:
        _check_fit(card, data)
        self.card = card
        # Apple's GPUs have no float64.
        self.device = torch.device("cpu" if torch.device(device).type == "mps" else device)
        writable = np.require(data.pictures, requirements=["C", "W"])  # as torch wants it
        self.pictures = torch.from_numpy(writable).to(self.device)
        self.labels = torch.tensor(data.labels, device=self.device)
        self._flat = self.pictures.flatten(1)
        self._chunk = max(1, CHUNK_BYTES // (8 * self._flat.shape[1]))
        scaled = (part / HALF - 1 for part in self._pieces())
        self._squares = torch.cat([part.square().sum(1) for part in scaled])

    @property
    def schedule(self) -> Schedule:
        """The schedule whose levels the card names; any level can be asked for."""
        return self.card.schedule

    @property
    def data_shape(self) -> tuple[int, ...]:
        """The shape of one picture."""
        return self.card.data_shape

    def null_condition(self, batch: int) -> Tensor | None:
        """The label that means none; None for a set without labels."""
        if not self.card.classes:
            return None
        return torch.full((batch,), len(self.card.classes), device=self.device)

    def __call__(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None) -> Tensor:
        """E[x_0 | x_t] (B, *D), or E[x_0 | x_t, y]."""
        weights = self._log_weights(x_t, level, condition).softmax(1)
        return self._weighted(weights).reshape(x_t.shape).to(x_t.dtype)

    def score(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None = None) -> Tensor:
        """grad log p(x_t) (B, *D), or grad log p(x_t | y): Tweedie's formula."""
        weights = self._log_weights(x_t, level, condition).softmax(1)
        x0_hat = self._weighted(weights).reshape(x_t.shape)
        return ((level.alpha * x0_hat - x_t.double()) / level.sigma**2).to(x_t.dtype)

    def log_prob(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None = None) -> Tensor:
        """log p(x_t) (B,), or log p(x_t | y), in nats; float64."""
        joint = self._log_weights(x_t, level, condition)
        counted = joint.isfinite().sum(1).double().log()
        return joint.logsumexp(1) - counted - self._log_norm(level)

    def posterior(
        self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None = None, k: int = 8
    ) -> Posterior:
        """What `Posterior` tells, everything in float64, with the k heaviest pictures."""
        return self._told(self._log_weights(x_t, level, condition), level, k)

    def explained(
        self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None = None, k: int = 8
    ) -> tuple[Tensor, Posterior]:
        """The estimate and the posterior behind it, for the price of one look at the pictures."""
        joint = self._log_weights(x_t, level, condition)
        x0_hat = self._weighted(joint.softmax(1)).reshape(x_t.shape).to(x_t.dtype)
        return x0_hat, self._told(joint, level, k)

    @torch.no_grad()
    def nearest(self, x_0: Tensor) -> tuple[Tensor, Tensor]:
        """The picture that is nearest to each x_0 (B, *D), and how far: (B,) numbers, (B,) rms."""
        x = x_0.to(self.device, torch.float64).flatten(1)
        squares, number = self._squared_distances(x, 1.0).min(1)
        return number, squares.clamp_(min=0).div_(x.shape[1]).sqrt_()

    def _told(self, joint: Tensor, level: NoiseLevel, k: int) -> Posterior:
        log_weights = joint.log_softmax(1)
        top = log_weights.topk(min(k, len(self._flat)), dim=1)
        entropy = -torch.special.xlogy(log_weights.exp(), log_weights.exp()).sum(1)
        counted = joint.isfinite().sum(1).double().log()
        return Posterior(
            nearest=top.indices,
            weights=top.values.exp(),
            entropy=entropy,
            effective=entropy.exp(),
            log_prob=joint.logsumexp(1) - counted - self._log_norm(level),
            label_weights=self._by_label(log_weights).exp(),
        )

    # ---- inside: float64, pictures along the second axis ----------------------------------------

    def _pieces(self, rows: Tensor | None = None) -> Iterator[Tensor]:
        """The bytes of all pictures, or of some `rows`, as float64, a piece at a time.

        Each piece lies where the last one lay: memory that is new costs more than the copy.
        """
        count, pixels = self._flat.shape if rows is None else (len(rows), self._flat.shape[1])
        room = self._flat.new_empty((self._chunk, pixels), dtype=torch.float64)
        for start in range(0, count, self._chunk):
            some = slice(start, min(start + self._chunk, count))
            part = self._flat[some] if rows is None else self._flat[rows[some]]
            yield room[: len(part)].copy_(part)

    def _log_norm(self, level: NoiseLevel) -> float:
        return 0.5 * self._flat.shape[1] * math.log(2 * math.pi * level.sigma**2)

    @torch.no_grad()
    def _log_weights(self, x_t: Tensor, level: NoiseLevel, condition: Tensor | None) -> Tensor:
        """-|x_t - alpha x_i|^2 / (2 sigma^2) (B, N), -inf for pictures of other labels."""
        if level.sigma <= 0:
            raise InputError("a set of pictures has no density without noise: ask where σ > 0")
        x = x_t.to(self.device, torch.float64).flatten(1)
        # Classifier-free guidance asks for the same x_t twice.
        half = len(x) // 2
        twice = half > 0 and len(x) % 2 == 0 and torch.equal(x[:half], x[half:])
        squares = self._squared_distances(x[:half] if twice else x, level.alpha)
        joint = squares.mul_(-0.5 / level.sigma**2)
        joint = joint.repeat(2, 1) if twice else joint
        if condition is None:
            return joint
        chosen = condition.to(self.device)[:, None]
        null = len(self.card.classes)
        return joint.masked_fill_((chosen != null) & (chosen != self.labels), -math.inf)

    def _squared_distances(self, x: Tensor, alpha: float) -> Tensor:
        """|x - alpha x_i|^2 (B, N) = |x|^2 - 2 alpha x.x_i + alpha^2 |x_i|^2."""
        out = x.new_empty((len(self._flat), len(x)))
        start = 0
        for part in self._pieces():  # x.x_i = x.b_i / HALF - sum of x
            torch.mm(part, x.mT, out=out[start : start + len(part)])
            start += len(part)
        out.mul_(-2 * alpha / HALF).add_(self._squares[:, None], alpha=alpha**2)
        # A row for each sample in one piece: softmax over a column would jump through memory.
        return out.mT.contiguous().add_((x.square() + 2 * alpha * x).sum(1, keepdim=True))

    @torch.no_grad()
    def _weighted(self, weights: Tensor) -> Tensor:
        """sum_i w_i x_i (B, d) over the pictures that carry weight."""
        out = weights.new_zeros((len(weights), self._flat.shape[1]))
        kept = (weights.amax(0) > NEGLIGIBLE).nonzero().squeeze(1)
        few = len(kept) < len(self._flat) / 2  # else picking them out costs more than it saves
        pieces = self._pieces(kept if few else None)
        columns = (weights[:, kept] if few else weights).split(self._chunk, dim=1)  # type: ignore[no-untyped-call]
        for some, part in zip(columns, pieces, strict=True):
            out.addmm_(some, part)
        return out.div_(HALF).sub_(1)

    def _by_label(self, log_weights: Tensor) -> Tensor:
        """logsumexp within each class, (B, C)."""
        classes = range(len(self.card.classes))
        columns = [log_weights[:, self.labels == label].logsumexp(1) for label in classes]
        empty = log_weights.new_zeros((len(log_weights), 0))
        return torch.stack(columns, dim=1) if columns else empty


def _check_fit(card: ModelCard, data: LabelledPictures) -> None:
    if not len(data):
        raise InputError("a set without pictures cannot be denoised")
    if data.pictures.shape[1:] != card.data_shape or len(data.labels) != len(data):
        raise InputError(
            f"the card tells of samples {card.data_shape}, the set has {data.pictures.shape[1:]} "
            f"and {len(data.labels)} labels for {len(data)} pictures"
        )
    known = set(range(len(card.classes)))
    if not known <= set(np.unique(data.labels).tolist()) <= known | {-1}:
        raise InputError("the set's labels are not those of its classes, each at least once")
