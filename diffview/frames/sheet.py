"""A frame laid out as one picture: grids side by side, magnified, with a caption if wanted.

What the window's panes show and what is exported come from the same tiles.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from diffview.errors import InputError
from diffview.frames import quantities
from diffview.frames.compose import Frame
from diffview.frames.picture_file import MAX_PIXELS
from diffview.frames.pixels import Uint8

MAX_SIDE = 16_384


@dataclass(frozen=True, slots=True)
class Layout:
    """How a frame becomes a picture: every length in pixels of the result, scale a factor."""

    scale: int = 4
    gap: int = 2
    margin: int = 0
    sample: int | None = None
    columns: int | None = None
    caption: bool = False
    background: tuple[int, int, int] = (17, 19, 24)
    ink: tuple[int, int, int] = (226, 229, 236)


def sheet(frame: Frame, layout: Layout) -> Uint8:
    """(H, W, 3) uint8. Raises InputError when the picture would be too large."""
    tiles = frame.tiles[0].pixels
    check_size(sheet_size(len(tiles), tiles.shape[1], tiles.shape[2], len(frame.tiles), layout))
    grids = [_grid(tiles.pixels[..., :3], layout) for tiles in frame.tiles]
    picture = _beside(grids, layout)
    if layout.caption:
        picture = _captioned(picture, frame, layout)
    return picture


def sheet_size(batch: int, height: int, width: int, shown: int, layout: Layout) -> tuple[int, int]:
    """(width, height) in pixels of a sheet, before any is drawn."""
    count = 1 if layout.sample is not None else batch
    columns = layout.columns or columns_for(count)
    rows = math.ceil(count / columns)
    wide = columns * width * layout.scale + (columns - 1) * layout.gap
    high = rows * height * layout.scale + (rows - 1) * layout.gap
    width = shown * wide + (shown - 1) * 4 * layout.gap + 2 * layout.margin
    height = high + 2 * layout.margin
    return width, height + (_caption_height(width) if layout.caption else 0)


def check_size(size: tuple[int, int]) -> None:
    """Raises InputError for a (width, height) that is too large to be drawn."""
    if max(size) > MAX_SIDE or size[0] * size[1] > MAX_PIXELS:
        raise InputError(
            f"a picture of {size[0]} x {size[1]} pixels is too large (at most {MAX_SIDE} a side "
            f"and {MAX_PIXELS // 1_000_000} million in all): choose a smaller scale or one sample"
        )


def columns_for(count: int, aspect: float = 1.0) -> int:
    """How many columns let `count` square tiles fill a pane of width/height `aspect`."""
    return max(1, min(count, math.ceil(math.sqrt(count * aspect) - 1e-9)))


def _grid(tiles: Uint8, layout: Layout) -> Uint8:
    if layout.sample is not None:
        if not 0 <= layout.sample < len(tiles):
            raise InputError(f"there is no sample {layout.sample}; the run has {len(tiles)}")
        tiles = tiles[layout.sample : layout.sample + 1]
    columns = layout.columns or columns_for(len(tiles))
    rows = math.ceil(len(tiles) / columns)
    height, width = tiles.shape[1] * layout.scale, tiles.shape[2] * layout.scale
    out = _blank(
        rows * height + (rows - 1) * layout.gap,
        columns * width + (columns - 1) * layout.gap,
        layout,
    )
    for k, tile in enumerate(tiles):
        top, left = (k // columns) * (height + layout.gap), (k % columns) * (width + layout.gap)
        _magnify(tile, layout.scale, out[top : top + height, left : left + width])
    return out


def _blank(height: int, width: int, layout: Layout) -> Uint8:
    """A picture of nothing but background; whole rows are copied, not single pixels."""
    out = np.empty((height, width, 3), np.uint8)
    out[:] = np.full((width, 3), layout.background, np.uint8)
    return out


def _magnify(tile: Uint8, scale: int, out: Uint8) -> None:
    """Write the tile into `out`, every pixel `scale` times along both axes."""
    # Whole rows are copied, which is several times faster than repeating along the rows too, and
    # unlike repeat() it lets other threads run, which matters when many sheets are exported.
    wide = tile.repeat(scale, axis=1)
    for k in range(scale):
        out[k::scale] = wide


def _beside(grids: list[Uint8], layout: Layout) -> Uint8:
    bar = _blank(grids[0].shape[0], 4 * layout.gap, layout)
    parts: list[Uint8] = []
    for grid in grids:
        parts.extend([bar, grid] if parts else [grid])
    row = np.concatenate(parts, axis=1) if len(parts) > 1 else grids[0]
    margin = layout.margin
    if not margin:
        return row
    out = _blank(row.shape[0] + 2 * margin, row.shape[1] + 2 * margin, layout)
    out[margin:-margin, margin:-margin] = row
    return out


def _caption_height(width: int) -> int:
    return max(18, min(40, width // 24))


def _captioned(picture: Uint8, frame: Frame, layout: Layout) -> Uint8:
    """The picture with a line below: what is shown, the step, t and γ."""
    height = _caption_height(picture.shape[1])
    strip = Image.new("RGB", (picture.shape[1], height), layout.background)
    draw = ImageDraw.Draw(strip)
    font = ImageFont.load_default(size=height * 0.55)
    draw.text((height * 0.3, height * 0.5), caption(frame), layout.ink, font, anchor="lm")
    return np.concatenate([picture, np.asarray(strip)], axis=0)


def caption(frame: Frame) -> str:
    """The line under an exported picture, in letters every font has."""
    names = " | ".join(
        _PLAIN.get(t.quantity, quantities.find(t.quantity).name) for t in frame.tiles
    )
    end = "clean" if frame.level.sigma == 0 else f"t {frame.level.t:g}"
    if frame.by_token:
        end = "written" if frame.level.t == 0 else f"{frame.level.t:g} tokens left"
    guided = "" if frame.guidance_scale is None else f"   guidance {frame.guidance_scale:g}"
    lens = f"   {frame.lens}" if frame.lens else ""
    return f"{names}   step {frame.i}/{frame.n_steps}   {end}{guided}{lens}"


_PLAIN = {"xt": "x_t", "x0hat": "x0 estimate", "x0cond": "x0 cond.", "x0uncond": "x0 uncond.",
          "diff": "cond. - uncond.", "eps": "noise estimate", "score": "score",
          "entropy": "entropy", "surprise": "surprise"}  # fmt: skip
