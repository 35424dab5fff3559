"""PNG sequence: frame_0000.png, frame_0001.png, ... in a folder, each with its own recipe."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from diffview.engine.options import Option
from diffview.exporters import Clip, Frames, exporter
from diffview.exporters.carriers import KEY
from diffview.exporters.pool import in_order
from diffview.exporters.recipe import Recipe
from diffview.frames.pixels import Uint8

COMPRESSION = Option(
    name="compression",
    title="Compression",
    default=1.0,
    low=0.0,
    high=9.0,
    help="zlib's level: 1 is fast; 9 is a few per cent smaller and several times slower.",
    source="RFC 1950",
)


@exporter(
    name="png",
    title="PNG sequence",
    suffix=".png",
    filename="",
    animated=False,
    lossless=True,
    help="One file per step, every pixel exact; what papers and video editors take.",
    options=(COMPRESSION,),
)
def png(frames: Frames, target: Path, recipe: Recipe, clip: Clip) -> Iterator[int]:
    """Write frames into the folder `target`, which is made if it is not there."""
    level = int(clip.options[COMPRESSION.name])

    def encoded(index: int) -> bytes:
        return encode(frames[index], recipe.at(frames.steps[index]), level)

    target.mkdir(exist_ok=True)
    paths = [target / filename(index, len(frames)) for index in range(len(frames))]
    try:
        with closing(in_order(len(frames), encoded)) as files:
            for index, content in enumerate(files):
                # Not flushed to the disk one by one: a thousand fsyncs take longer than the
                # export, and after a power cut it is made again from the session.
                paths[index].write_bytes(content)
                yield index + 1
    except BaseException:
        for path in paths:
            path.unlink(missing_ok=True)
        raise


def filename(index: int, count: int) -> str:
    """The name of picture `index` of `count`: names sort as the pictures follow."""
    return f"frame_{index:0{max(4, len(str(count - 1)))}d}.png"


def encode(frame: Uint8, recipe: Recipe | None, level: int) -> bytes:
    """(H, W, 3) uint8 as a PNG file's bytes, with the recipe as iTXt if one is given."""
    info = PngInfo()
    if recipe is not None:
        info.add_itxt(KEY, recipe.to_text())
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "png", compress_level=level, pnginfo=info)
    return buffer.getvalue()
