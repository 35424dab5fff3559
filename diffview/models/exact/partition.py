"""The partition function of an energy, summed on a grid: what it costs, and who needs it.

    p(x) = exp(-E(x)) / Z,     Z = integral of exp(-E(x)) dx

A grid of n cells along each axis takes n^D evaluations of E (midpoint rule), so each dimension
multiplies the price by n. The score, -grad E, does not contain Z: an energy plus a constant has
the same score and another Z (LeCun et al. 2006, A tutorial on energy-based learning; Song &
Kingma 2021, arXiv 2101.03288).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffview.errors import InputError
from diffview.models.exact.grid import Grid, square

Energy = Callable[[Tensor], Tensor]
"""x (B, D) float64 -> E (B,), in nats; defined up to a constant."""

AT_ONCE = 1 << 16
"""How many places are evaluated between two reports."""


@dataclass(frozen=True, slots=True)
class Partition:
    """Z so far: `done` of `total` evaluations, log_z in nats, and the seconds they took."""

    dims: int
    per_axis: int
    done: int
    total: int
    log_z: float
    seconds: float

    @property
    def z(self) -> float:
        """Z; infinite where no number holds it."""
        return math.exp(self.log_z) if self.log_z < 709 else math.inf

    @property
    def complete(self) -> bool:
        """Whether the whole grid was summed."""
        return self.done == self.total


@torch.no_grad()
def partition(energy: Energy, grid: Grid) -> Generator[Partition, None, None]:
    """Z of `energy` over `grid`, a piece at a time; the last one yielded is complete."""
    log_sum, log_cell = torch.tensor(-math.inf, dtype=torch.float64), math.log(grid.cell)
    seconds = 0.0
    for start in range(0, grid.count, AT_ONCE):
        began = time.perf_counter()
        stop = min(start + AT_ONCE, grid.count)
        values = _evaluated(energy, torch.from_numpy(grid.rows(start, stop)))
        log_sum = torch.logaddexp(log_sum, (-values).logsumexp(0))
        seconds += time.perf_counter() - began
        log_z = float(log_sum) + log_cell
        yield Partition(grid.dims, grid.size[0], stop, grid.count, log_z, seconds)


def partitions(
    energy: Energy, *, half: float = 2.0, per_axis: int = 64, dims: Sequence[int] = (1, 2, 3)
) -> Generator[Partition, None, None]:
    """Z in 1, 2 and 3 dimensions one after the other, at the same fineness: what it costs."""
    for d in dims:
        yield from partition(energy, square(half, per_axis, d))


def double_well(x: Tensor) -> Tensor:
    """E(x) = sum_d (4 x_d^2 - 1)^2: 2^D valleys at (+-1/2, ...), for any number of dimensions."""
    return (4 * x.square() - 1).square().sum(1)


def score_of(energy: Energy, x: Tensor) -> Tensor:
    """-grad E (B, D) at x (B, D), by autograd; no constant in E changes it."""
    with torch.enable_grad():
        at = x.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(energy(at).sum(), at)
    return -gradient


def _evaluated(energy: Energy, x: Tensor) -> Tensor:
    values = energy(x).double()
    if values.shape != (len(x),):
        raise InputError(
            f"the energy gave shape {tuple(values.shape)} for {len(x)} places: one number each"
        )
    if bool(values.isnan().any()) or bool((values == -math.inf).any()):
        raise InputError("the energy is NaN or minus infinity somewhere: it has no Z")
    return values
