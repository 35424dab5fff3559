"""compose(trajectory, view) -> Frame: the pure way from intent to what is seen.

`ViewState` is what a person asks for, `Frame` is the fact that follows; equal keys have equal
pixels, so frames can be cached.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from diffview.engine.finishing import clipped, guided
from diffview.engine.levels import NoiseLevel
from diffview.engine.next_token import NOT_YET
from diffview.engine.origin import in_force
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.errors import InputError, NonFiniteError
from diffview.frames import pixels, points, quantities, tokens
from diffview.frames.lens import Lens
from diffview.frames.pixels import Uint8

POLICIES = {
    "clamp": "±1",
    "wide": "±3",
    "stretch": "min–max",
    "latents": "latents",
}
"""How values map to brightness: the data's range, three times it, or this frame's own range; of
latents also as they are, not decoded, every channel beside the others."""
LATENTS, DEVIATIONS = "latents", 3.0
"""Latents are drawn from minus to plus so many: blue below zero, amber above."""


@dataclass(frozen=True, slots=True)
class ViewState:
    """What to look at: record `index`, some quantities, and another guidance scale if given.

    stage: 0 is the step's own evaluation, k > 0 its k-th further one, as far as it has so many.
    """

    index: int = 0
    quantities: tuple[str, ...] = ("xt", "x0hat")
    policies: tuple[str, ...] = ("clamp", "clamp")
    guidance_scale: float | None = None
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Tiles:
    """One quantity: pixels (B, H, W, 4) uint8 RGBX, and the values behind them (B, H, W, C)."""

    quantity: str
    pixels: Uint8
    values: Float32


@dataclass(frozen=True, slots=True)
class Frame:
    """What is seen of one step; `lens` names what latents were looked at through."""

    key: Hashable
    i: int
    n_steps: int
    level: NoiseLevel
    guidance_scale: float | None
    tiles: tuple[Tiles, ...]
    lens: str = ""
    by_token: bool = False

    @property
    def nbytes(self) -> int:
        """Bytes of pixels and values."""
        return sum(tiles.pixels.nbytes + tiles.values.nbytes for tiles in self.tiles)


def compose(trajectory: Trajectory, view: ViewState, lens: Lens | None = None) -> Frame:
    """The frame of `view`, latents seen through `lens`.

    Raises InputError for a step or a quantity that is not there.
    """
    if not 0 <= view.index < len(trajectory):
        raise InputError(f"there is no frame {view.index}; the run has {len(trajectory)}")
    spec = in_force(trajectory.spec, trajectory[view.index].i)
    scale = view.guidance_scale if spec.guidance.kind != "none" else None
    record = at_scale(trajectory, at_stage(trajectory[view.index], view.stage), scale)
    name = "" if lens is None else lens.name
    shown = zip(view.quantities, view.policies, strict=True)
    return Frame(
        key=(view.index, view.quantities, view.policies, scale, name, view.stage),
        i=record.i,
        n_steps=spec.n_steps,
        level=record.level,
        guidance_scale=None
        if spec.guidance.kind == "none"
        else (spec.guidance.scale if scale is None else scale),
        tiles=_all_tiles(record, shown, lens),
        lens=name,
        by_token=spec.by_token,
    )


def _all_tiles(
    record: StepRecord, shown: Iterable[tuple[str, str]], lens: Lens | None
) -> tuple[Tiles, ...]:
    """Tiles of (quantity, policy) each; what the decoder could not do is named by its step."""
    try:
        return tuple(tiles(record, quantity, policy, lens) for quantity, policy in shown)
    except NonFiniteError as error:
        raise NonFiniteError(f"step {record.i} (t = {record.level.t:g}): {error}") from None


def merged(frame: Frame, few: Frame) -> Frame:
    """`frame` with its first samples taken from `few`, the others at a third of their brightness.

    Shown while a run is being redone: what is bright is new, what is dim still belongs to the old.
    """
    pairs = zip(frame.tiles, few.tiles, strict=True)
    return replace(frame, key=None, tiles=tuple(_merged_tiles(old, new) for old, new in pairs))


def _merged_tiles(old: Tiles, new: Tiles) -> Tiles:
    out = old.pixels // 3
    out[..., 3] = 255
    out[: len(new.pixels)] = new.pixels
    values = np.concatenate([new.values, old.values[len(new.values) :]])
    return Tiles(old.quantity, out, values)


def at_stage(record: StepRecord, stage: int) -> StepRecord:
    """The record as it was at a further evaluation of its step, with that one's level and state.

    0, or more than it has, is the record itself. Where the network was not asked again, the
    estimate is the step's own: that is what the sampler goes on with.
    """
    if not 0 < stage <= len(record.stages):
        return record
    point = record.stages[stage - 1]
    if point.x0_hat is None:
        return replace(record, level=point.level, x_t=point.x_t)
    return replace(
        record,
        level=point.level,
        x_t=point.x_t,
        x0_hat=point.x0_hat,
        base=point.base,
        direction=point.direction,
        x0_raw=None,
    )


def thumbnail(record: StepRecord, sample: int, quantity: str, lens: Lens | None = None) -> Uint8:
    """(H, W, 4) uint8 RGBX for a film strip: one sample, or all where they are points."""
    if points.are_points(record.x_t.shape[1:]):
        return points.small(tiles(record, quantity, "clamp", lens).pixels)
    made: Uint8 = tiles(one_sample(record, sample), quantity, "clamp", lens).pixels[0]
    return made


def at_scale(trajectory: Trajectory, record: StepRecord, scale: float | None) -> StepRecord:
    """The record as it would be with another guidance scale at the same x_t."""
    spec = in_force(trajectory.spec, record.i)
    if scale is None or scale == spec.guidance.scale:
        return record
    if record.base is None or record.direction is None or record.level.sigma == 0:
        return record  # the clean end is the picture under any guidance
    if record.written is not None:
        return tokens.at_gamma(record, spec, spec.gamma(record.level, scale))
    level, how = record.level, spec.finish()
    gamma = spec.gamma(level, scale)
    raw = guided(record.x_t, record.base, record.direction, gamma, level, how)
    kept = None if record.x0_raw is None else raw
    return replace(record, x0_hat=clipped(raw, how), x0_raw=kept)


def one_sample(record: StepRecord, sample: int) -> StepRecord:
    """The record with one sample alone, as a batch of one (views, no copies)."""
    cut = {name: array[sample : sample + 1] for name, array in record.arrays().items()}
    known = None if record.written is None else record.written.of_rows([sample])
    return replace(record, **cut, written=known)  # type: ignore[arg-type]


def tiles(record: StepRecord, name: str, policy: str, lens: Lens | None = None) -> Tiles:
    """One quantity of a record as pictures.

    States and estimates of latents are seen through the lens; noise, score and differences are no
    latents: they are shown as they are, as large as the pictures beside them.
    """
    quantity = quantities.find(name)
    if lens is None and policy == LATENTS:  # chosen for a model that had latents
        policy = "clamp"
    if points.are_points(record.x_t.shape[1:]):
        return Tiles(name, *points.drawn(record, quantity, policy))
    values = quantity.values(record)
    if lens is not None and policy == LATENTS and not quantity.amount:
        return _undecoded(quantity, record, values, lens.shape)
    if lens is not None and quantity.state:
        values = lens.picture(values)
    pictures = np.asarray(pixels.as_pictures(values), np.float32)
    if lens is not None and not quantity.state:
        pictures = enlarged(pictures, lens.shape)
    if lens is None and quantity.state and record.written is not None:
        return Tiles(name, _numbered(pictures, record), pictures)
    return Tiles(name, _coloured(pictures, quantity, record, policy), pictures)


def _undecoded(
    quantity: quantities.Quantity, record: StepRecord, values: Float32, shape: tuple[int, ...]
) -> Tiles:
    """Latents (B, C, h, w) as they are, as large as pictures of `shape`; token numbers too."""
    flat = enlarged(np.asarray(pixels.by_channel(values), np.float32), shape)
    if quantity.state and record.written is not None:
        return Tiles(quantity.name, _numbered(flat, record), flat)
    extent = DEVIATIONS if quantity.state else quantity.extent(record)
    return Tiles(quantity.name, pixels.signed(flat, extent), flat)


def _numbered(values: Float32, record: StepRecord) -> Uint8:
    """Token numbers that nothing decodes: the last one white, where none is yet black."""
    return pixels.grey_or_rgb(values, NOT_YET, tokens.codes(record) - 1)


def enlarged(pictures: Float32, shape: tuple[int, ...]) -> Float32:
    """(B, h, w, C) as (B, H, W, C) of `shape` (K, H, W): whole multiples, 0 where some is over.

    Of what is larger every k-th row and column is shown, with the smallest k that fits.
    """
    few = pictures[:, :: -(-pictures.shape[1] // shape[-2]), :: -(-pictures.shape[2] // shape[-1])]
    high, wide = shape[-2] // few.shape[1], shape[-1] // few.shape[2]
    whole = few.repeat(high, axis=1).repeat(wide, axis=2)
    over = shape[-2] - whole.shape[1], shape[-1] - whole.shape[2]
    return np.pad(whole, ((0, 0), (0, over[0]), (0, over[1]), (0, 0))) if any(over) else whole


def _coloured(
    values: Float32, quantity: quantities.Quantity, record: StepRecord, policy: str
) -> Uint8:
    if policy not in POLICIES:
        raise InputError(f"unknown brightness '{policy}'; known are {', '.join(POLICIES)}")
    finite = values[np.isfinite(values)] if policy == "stretch" else values
    if quantity.amount:
        most = float(finite.max()) if policy == "stretch" and finite.size else None
        return pixels.amounts(values, quantity.extent(record) if most is None else most)
    if quantity.signed:
        extent = quantity.extent(record) * (3.0 if policy == "wide" else 1.0)
        if policy == "stretch" and finite.size:
            extent = float(np.abs(finite).max())
        return pixels.signed(values, extent)
    if policy == "stretch" and finite.size:
        return pixels.grey_or_rgb(values, float(finite.min()), float(finite.max()))
    bound = 3.0 if policy == "wide" else 1.0
    return pixels.grey_or_rgb(values, -bound, bound)
