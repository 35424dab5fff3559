"""Models that write a picture token by token: what the engine asks of them, and how it chooses.

p(picture) = prod_i p(token_i | tokens before it), tokens in reading order. From the logits of a
token: classifier-free guidance (Ho & Salimans 2022, arXiv 2207.12598, on logits as Gafni et al.
2022, arXiv 2203.13131), temperature, top-k (Fan et al. 2018, arXiv 1805.04833, section 5.4), and
the draw by inversion of the cumulated probabilities at one uniform number.

The same numbers decide in a run and behind the slider, so all of it is NumPy, in float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from diffview.engine.levels import NoiseLevel

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

NOT_YET = -1
"""Stands in x_t for a token that is not written yet."""


class PredictsNext(Protocol):
    """A model that predicts the next token; B samples of shape D = (1, rows, columns)."""

    @property
    def data_shape(self) -> tuple[int, ...]:
        """D, the grid of tokens of one sample, written in reading order."""

    @property
    def codes(self) -> int:
        """K: tokens are whole numbers 0 .. K - 1."""

    @property
    def device(self) -> torch.device:
        """Where the network and its inputs lie."""

    def begin(self, condition: Tensor) -> tuple[Any, Tensor]:
        """A reading of nothing but condition (B, ...), and the logits (B, K) of the first token.

        The reading is the model's own; `follow` writes into it.
        """

    def follow(self, reading: Any, token: Tensor) -> Tensor:
        """Read one more token (B,) int64; the logits (B, K) of the one after it."""

    def null_condition(self, batch: int) -> Tensor | None:
        """The condition that means "none" for `batch` samples; None where there are none."""


def predicts_next(model: object) -> bool:
    """Whether a model writes token by token."""
    return hasattr(model, "begin") and hasattr(model, "follow")


def levels(count: int) -> tuple[NoiseLevel, ...]:
    """How far a run of `count` tokens is: t tokens are missing, alpha the share that is there.

    As if what is missing were absorbed noise (Austin et al. 2021, arXiv 2107.03006): sigma is its
    share, alpha + sigma = 1. The last one is CLEAN.
    """
    left = range(count, -1, -1)
    return tuple(NoiseLevel(float(t), (count - t) / count, t / count) for t in left)


@dataclass(frozen=True, slots=True)
class Written:
    """The n tokens up to and with the one that a step chose; arrays (B, n), never written again.

    chosen: their numbers, int64. probability: what each was drawn with. entropy: of what each was
    drawn from, in nats. uniform: the numbers in [0, 1) that chose. At the end of a run n is the
    number of all tokens.
    """

    chosen: Int64
    probability: Float32
    entropy: Float32
    uniform: Float64

    def of_rows(self, rows: Sequence[int]) -> Written:
        """That of these samples in their stead."""
        picked = list(rows)
        return Written(*(getattr(self, name)[picked] for name in PARTS))

    def first(self, count: int) -> Written:
        """That of the first `count` tokens (views, no copies)."""
        return Written(*(getattr(self, name)[:, :count] for name in PARTS))

    def with_last(self, choice: Choice) -> Written:
        """With another choice of the last token."""
        new = {
            name: np.concatenate([getattr(self, name)[:, :-1], value[:, None]], axis=1)
            for name, value in choice.numbers().items()
        }
        return replace(self, **new)


PARTS = ("chosen", "probability", "entropy", "uniform")


@dataclass(frozen=True, slots=True)
class Choice:
    """One token chosen from p (B, K): its number, its probability, the entropy of p; each (B,).

    likeliest (B,) is the token of the largest probability, the first of equals.
    """

    p: Float64
    token: Int64

    @property
    def probability(self) -> Float32:
        """What the token was drawn with."""
        taken = np.take_along_axis(self.p, self.token[:, None], axis=1)[:, 0]
        return np.asarray(taken, np.float32)

    @property
    def entropy(self) -> Float32:
        """In nats."""
        return np.asarray(entropy(self.p), np.float32)

    @property
    def likeliest(self) -> Int64:
        """The most likely token."""
        return np.asarray(self.p.argmax(axis=1), np.int64)

    def numbers(self) -> dict[str, NDArray[Any]]:
        """What is kept of it, by its names in `Written`."""
        return {
            "chosen": self.token,
            "probability": self.probability,
            "entropy": self.entropy,
        }


def choose(logits: Float32, uniform: Float64, temperature: float, top_k: int) -> Choice:
    """What `uniform` (B,) draws from softmax(logits (B, K) / temperature) of the top_k."""
    p = probabilities(logits, temperature, top_k)
    return Choice(p, drawn(p, uniform))


def guided(base: Float32, direction: Float32, gamma: float) -> Float32:
    """Logits base + gamma * direction, which is conditional - base; gamma 1: the conditional."""
    return np.asarray(base + np.float32(gamma) * direction, np.float32)


def probabilities(logits: NDArray[Any], temperature: float = 1.0, top_k: int = 0) -> Float64:
    """softmax(logits / temperature) of the top_k most likely tokens, the others 0; rows (B, K).

    temperature 0 is the limit: all on the most likely token. top_k 0: all. Of equal logits the
    token of the smaller number comes first.
    """
    wide = np.asarray(logits, np.float64)
    if temperature == 0:
        return np.asarray(np.eye(wide.shape[1])[wide.argmax(axis=1)], np.float64)
    below = wide - wide.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):  # of a tiny temperature: minus infinity, so 0 in the end
        weights = np.exp(below / temperature)
    if 0 < top_k < wide.shape[1]:
        out = np.argsort(-wide, axis=1, kind="stable")[:, top_k:]
        np.put_along_axis(weights, out, 0.0, axis=1)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)


def entropy(p: Float64) -> Float64:
    """-sum p log p in nats, (B, K) -> (B,): how open it is what comes next."""
    safe = np.where(p > 0, p, 1.0)
    return np.asarray(0.0 - (p * np.log(safe)).sum(axis=1), np.float64)


def drawn(p: Float64, uniform: Float64) -> Int64:
    """The tokens (B,) at `uniform` (B,) in [0, 1) of the cumulated p (B, K)."""
    cumulated = np.cumsum(p, axis=1)
    total = cumulated[:, -1]
    # Never at the very end, where rounding could lead to a token of no probability.
    place = np.minimum(np.asarray(uniform) * total, np.nextafter(total, 0))
    return np.asarray((cumulated > place[:, None]).argmax(axis=1), np.int64)
