"""Mixtures of Gaussians with labels: the data of the exact models, as numbers.

    p(x_0) = sum_k w_k N(x_0; mu_k, Sigma_k),   p(x_0 | y) the same over the k of label y

Sigma_k may be zero: a set of points is the mixture of its deltas. A curve is a row of narrow
Gaussians closer to each other than they are wide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diffview.errors import InputError

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]

MAX_COMPONENTS = 20_000


@dataclass(frozen=True, eq=False)
class Mixture:
    """K components in D dimensions, made by `mixture` or `points`, which check them.

    weights (K,) sum to 1; means (K, D); covariances (K, D, D); labels (K,) count `classes`.
    """

    weights: Float64
    means: Float64
    covariances: Float64
    labels: Int64
    classes: tuple[str, ...]

    @property
    def dims(self) -> int:
        """D."""
        return int(self.means.shape[1])

    @cached_property
    def label_weights(self) -> Float64:
        """P(y), (C,)."""
        shares = [self.weights[self.labels == y].sum() for y in range(len(self.classes))]
        return np.array(shares, dtype=np.float64)

    @cached_property
    def sha256(self) -> str:
        """A digest of the numbers, as hexadecimal digits: equal data, equal digest."""
        digest = hashlib.sha256()
        for array in (self.weights, self.means, self.covariances, self.labels):
            # Last digits depend on the machine's cosine; they are no other data.
            digest.update(np.round(array, 9).tobytes())
        return digest.hexdigest()

    def of_label(self, label: int) -> Mixture:
        """p(x_0 | y = label), the weights summing to 1 again."""
        chosen = self.labels == label
        weights = self.weights[chosen] / self.weights[chosen].sum()
        return Mixture(
            weights,
            self.means[chosen],
            self.covariances[chosen],
            self.labels[chosen],
            self.classes,
        )

    def moments(self) -> tuple[Float64, Float64]:
        """Mean (D,) and covariance (D, D) of x_0."""
        mean = self.weights @ self.means
        off = self.means - mean
        spread = self.covariances + off[:, :, None] * off[:, None, :]
        return mean, np.einsum("k,kij->ij", self.weights, spread)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Float64, Int64]:
        """n draws of x_0 (n, D) with their labels (n,)."""
        k = rng.choice(len(self.weights), size=n, p=self.weights)
        z = rng.standard_normal((n, self.dims))
        return self.means[k] + np.einsum("nij,nj->ni", self._roots[k], z), self.labels[k]

    @cached_property
    def _roots(self) -> Float64:
        values, vectors = np.linalg.eigh(self.covariances)
        return np.asarray(vectors * np.sqrt(np.clip(values, 0, None))[:, None, :])


def mixture(
    means: ArrayLike,
    covariances: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    labels: ArrayLike | None = None,
    classes: Sequence[str] = (),
) -> Mixture:
    """A checked mixture of K Gaussians in D dimensions.

    means (K, D); covariances (K, D, D), or variances (K,) or one for all. weights (K,) need not
    sum to 1 and are equal if left out. labels (K,) count from 0; classes names them, else they are
    called by number. Without labels there are no classes. Raises InputError for numbers that are
    no mixture.
    """
    mu = _numbers(means, "means")
    if mu.ndim != 2 or not 1 <= len(mu) <= MAX_COMPONENTS or not 1 <= mu.shape[1] <= 16:
        raise InputError(
            f"means of shape {mu.shape} are no mixture: give (K, D) of 1 to {MAX_COMPONENTS} "
            "components in 1 to 16 dimensions"
        )
    marks, names = _labels(labels, tuple(classes), len(mu))
    return Mixture(_weights(weights, len(mu)), mu, _covariances(covariances, mu), marks, names)


def points(
    places: ArrayLike,
    *,
    std: float = 0.0,
    labels: ArrayLike | None = None,
    classes: Sequence[str] = (),
) -> Mixture:
    """The mixture of N points (N, D), as drawn by hand: deltas, or Gaussians of `std`."""
    if not 0 <= std < np.inf:
        raise InputError(f"std = {std} must be a number from 0 up")
    return mixture(places, std**2, labels=labels, classes=classes)


def _numbers(values: ArrayLike, what: str) -> Float64:
    try:
        array: Float64 = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} must be numbers: {error}") from None
    if not np.isfinite(array).all():
        raise InputError(f"{what} hold NaN or infinite values")
    return array


def _weights(values: ArrayLike | None, count: int) -> Float64:
    if values is None:
        return np.full(count, 1 / count)
    weights = _numbers(values, "weights")
    if weights.shape != (count,) or (weights <= 0).any():
        raise InputError(f"weights must be {count} numbers above 0, one for each mean")
    return np.asarray(weights / weights.sum())


def _covariances(values: ArrayLike, means: Float64) -> Float64:
    count, dims = means.shape
    array = _numbers(values, "covariances")
    if array.shape in ((), (count,)):
        variances = np.broadcast_to(array, (count,))
        array = variances[:, None, None] * np.eye(dims)
    if array.shape != (count, dims, dims):
        raise InputError(
            f"covariances of shape {array.shape} do not fit: give one variance, {count} of them, "
            f"or ({count}, {dims}, {dims})"
        )
    if not np.allclose(array, array.transpose(0, 2, 1)):
        raise InputError("covariances must be symmetric")
    if np.linalg.eigvalsh(array).min() < -1e-9 * max(1.0, float(np.abs(array).max())):
        raise InputError("covariances must not have negative eigenvalues")
    return array


def _labels(
    values: ArrayLike | None, classes: tuple[str, ...], count: int
) -> tuple[Int64, tuple[str, ...]]:
    if values is None:
        if classes:
            raise InputError("classes were named, but no component has a label")
        return np.zeros(count, np.int64), ()
    array: NDArray[Any] = np.asarray(values)
    if array.shape != (count,) or array.dtype.kind not in "iu" or array.min() < 0:
        raise InputError(f"labels must be {count} whole numbers from 0 up, one for each component")
    known = len(classes) or int(array.max()) + 1
    if len(np.unique(array)) != known or array.max() >= known:
        raise InputError(f"labels must use each of 0 to {known - 1} at least once")
    return array.astype(np.int64), classes or tuple(str(k) for k in range(known))
