"""Which pictures of a run are exported, and those pictures, drawn one by one when asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from diffview.engine.trajectory import Trajectory
from diffview.errors import InputError
from diffview.frames import pixels, points, quantities
from diffview.frames.compose import POLICIES, ViewState, compose
from diffview.frames.lens import Lens
from diffview.frames.pixels import Uint8
from diffview.frames.sheet import Layout, check_size, columns_for, sheet, sheet_size

AUTOMATIC_SIZE = 512
"""About how many pixels the longer side of one grid gets where no scale is given."""

MAX_SCALE = 64

# Neutral greys: with the window's bluish background a grey run would need more than the 256
# colours of a GIF, and would lose the exactness that it otherwise has.
BACKGROUND = (18, 18, 18)
INK = (228, 228, 228)


@dataclass(frozen=True, slots=True)
class Selection:
    """What to export of a run.

    quantities stand side by side (names as in frames.quantities); policies: one brightness for
    all of them or one each; every: each k-th kept step, first and last always in; sample: one of
    the batch, or None for the grid of all; scale: nearest-neighbour factor, None for one that
    brings small pictures to about 512 px; caption: a line with step, t and γ below;
    guidance_scale: x̂₀ recombined with another γ than the run's (nothing is sampled again).
    """

    quantities: tuple[str, ...] = ("xt", "x0hat")
    policies: tuple[str, ...] = ("clamp",)
    every: int = 1
    sample: int | None = None
    scale: int | None = None
    columns: int | None = None
    caption: bool = False
    guidance_scale: float | None = None


class Sheets:
    """The selected pictures of a run: `len()`, `[k]` -> (H, W, 3) uint8, `.steps`.

    What is exported is settled here, once: steps that a running sampler adds later are not in.
    Latents are seen through `lens`. Raises InputError for a selection that the run cannot fulfil.
    """

    def __init__(
        self, trajectory: Trajectory, selection: Selection, lens: Lens | None = None
    ) -> None:
        _check(trajectory, selection)
        self._trajectory, self._lens = trajectory, lens
        self._indices = indices(len(trajectory), selection.every)
        self._steps = [trajectory[index].i for index in self._indices]
        self._view = ViewState(
            quantities=selection.quantities,
            policies=_policies(selection),
            guidance_scale=selection.guidance_scale,
        )
        self._layout = layout(trajectory, selection, lens)
        check_size(self.size)

    @property
    def scale(self) -> int:
        """The factor by which every pixel is magnified."""
        return self._layout.scale

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of each picture, in pixels."""
        together = points.are_points(self._trajectory.data_shape)
        batch = 1 if together else self._trajectory.spec.batch
        height, width = tile_size(self._trajectory, self._lens)
        return sheet_size(batch, height, width, len(self._view.quantities), self._layout)

    @property
    def steps(self) -> Sequence[int]:
        """The run's step i that each picture shows."""
        return self._steps

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int, /) -> Uint8:
        view = ViewState(
            self._indices[index],
            self._view.quantities,
            self._view.policies,
            self._view.guidance_scale,
        )
        return sheet(compose(self._trajectory, view, self._lens), self._layout)


def indices(count: int, every: int) -> tuple[int, ...]:
    """Each `every`-th of `count` records, the last one always in."""
    return tuple(sorted({*range(0, count, every), count - 1}))


def layout(trajectory: Trajectory, selection: Selection, lens: Lens | None = None) -> Layout:
    """How the selected pictures are laid out."""
    return Layout(
        scale=selection.scale or automatic_scale(trajectory, selection, lens),
        sample=selection.sample,
        columns=selection.columns,
        caption=selection.caption,
        background=BACKGROUND,
        ink=INK,
    )


def automatic_scale(trajectory: Trajectory, selection: Selection, lens: Lens | None = None) -> int:
    """The factor that brings one grid's longer side closest to AUTOMATIC_SIZE, at least 1."""
    together = points.are_points(trajectory.data_shape)
    count = 1 if together or selection.sample is not None else trajectory.spec.batch
    columns = selection.columns or columns_for(count)
    height, width = tile_size(trajectory, lens)
    side = int(max(columns * width, math.ceil(count / columns) * height))
    return max(1, min(MAX_SCALE, round(AUTOMATIC_SIZE / side)))


def tile_size(trajectory: Trajectory, lens: Lens | None = None) -> tuple[int, int]:
    """(height, width) of one sample's picture at scale 1; all points share one."""
    if points.are_points(trajectory.data_shape):
        return points.SIDE, points.SIDE
    if lens is not None:
        return int(lens.shape[-2]), int(lens.shape[-1])
    height, width = pixels.as_pictures(trajectory[0].x_t[:1]).shape[1:3]
    return height, width


def _policies(selection: Selection) -> tuple[str, ...]:
    if len(selection.policies) == 1:
        return selection.policies * len(selection.quantities)
    return selection.policies


def _check(trajectory: Trajectory, selection: Selection) -> None:
    if not len(trajectory):
        raise InputError("this run has no steps yet, so there is nothing to export")
    _check_shown(trajectory, selection)
    if selection.every < 1:
        raise InputError(f"every {selection.every}-th step cannot be taken: give 1 or more")
    if selection.scale is not None and not 1 <= selection.scale <= MAX_SCALE:
        raise InputError(f"scale {selection.scale} is outside 1 to {MAX_SCALE}")
    if selection.columns is not None and selection.columns < 1:
        raise InputError(f"{selection.columns} columns cannot be laid out: give 1 or more")
    batch = trajectory.spec.batch
    if selection.sample is not None and points.are_points(trajectory.data_shape):
        raise InputError("points are drawn together in one picture: leave the sample out")
    if selection.sample is not None and not 0 <= selection.sample < batch:
        raise InputError(
            f"there is no sample {selection.sample}; the run has {batch}, counted from 0"
        )


def _check_shown(trajectory: Trajectory, selection: Selection) -> None:
    if not selection.quantities:
        raise InputError(f"nothing is shown: choose from {', '.join(quantities.QUANTITIES)}")
    for name in selection.quantities:
        lacking = quantities.find(name).lacking(
            by_token=trajectory.spec.by_token, guided=trajectory.guided
        )
        if lacking:
            raise InputError(lacking)
    if len(selection.policies) not in (1, len(selection.quantities)):
        raise InputError(
            f"{len(selection.policies)} brightness policies for {len(selection.quantities)} "
            "pictures side by side: give one, or one each"
        )
    for policy in selection.policies:
        if policy not in POLICIES:
            raise InputError(f"unknown brightness '{policy}'; known are {', '.join(POLICIES)}")
