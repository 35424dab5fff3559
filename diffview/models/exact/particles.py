"""Room for ten or a hundred thousand particles, kept step by step; `follow` fills it. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffview.engine.spec import RunSpec

MOST_BYTES = 256 * 1024**2


@dataclass(slots=True, eq=False)
class Particles:
    """Paths (N + 1, count, 2) float32, of which the first `ready` particles are complete.

    One thread fills it by `follow`, any other may read what is ready.
    """

    spec: RunSpec
    paths: NDArray[np.float32]
    ready: int = 0

    @property
    def count(self) -> int:
        """How many there will be."""
        return int(self.paths.shape[1])

    def at(self, step: int) -> NDArray[np.float32]:
        """Where those that are ready are at step i of N, (ready, 2)."""
        places: NDArray[np.float32] = self.paths[step, : self.ready]
        return places


def room_for(spec: RunSpec, count: int) -> int:
    """How many of `count` particles fit into MOST_BYTES at this number of steps."""
    return min(count, MOST_BYTES // (8 * (spec.n_steps + 1)))


def particles(spec: RunSpec, count: int) -> Particles:
    """Room for `count` particles, or as many as `room_for` says; none is ready yet."""
    shape = spec.n_steps + 1, room_for(spec, count), 2
    return Particles(spec, np.zeros(shape, np.float32))
