"""MP4 with H.264, through PyAV (the extra `video`).

Two qualities, because they cannot be had together. `plain` (yuv420p, even sides) plays everywhere,
but halves the resolution of colour and costs per-pixel noise; `exact` (libx264rgb, qp 0) keeps
every bit and plays in VLC, mpv and ffmpeg, not in browsers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from diffview.atomic import replacing
from diffview.engine.options import Option
from diffview.errors import DiffviewError
from diffview.exporters import Clip, Frames, exporter
from diffview.exporters.carriers import KEY
from diffview.exporters.pool import in_order
from diffview.exporters.recipe import Recipe
from diffview.frames.pixels import Uint8

QUALITY = Option(
    name="quality",
    title="Quality",
    default="plain",
    choices=("plain", "exact"),
    help="plain: plays everywhere, blurs colour and fine noise. "
    "exact: every pixel as it is; VLC, mpv and ffmpeg play it, browsers do not.",
    source="ITU-T H.264",
)

ENCODERS: dict[str, tuple[str, str, dict[str, str]]] = {
    "plain": ("libx264", "yuv420p", {"crf": "16", "preset": "veryfast"}),
    "exact": ("libx264rgb", "rgb24", {"qp": "0", "preset": "ultrafast"}),
}
"""Encoder, pixel format and encoder options by quality."""


@exporter(
    name="mp4",
    title="MP4 video",
    suffix=".mp4",
    filename="run.mp4",
    animated=True,
    lossless=False,
    help="The smallest; for slides and the web. With quality 'exact' every pixel is kept.",
    options=(QUALITY,),
    needs="av",
    extra="video",
)
def mp4(frames: Frames, target: Path, recipe: Recipe, clip: Clip) -> Iterator[int]:
    """Write frames as one file `target`; odd sides get one more row or column when plain."""
    with replacing(target) as partial:
        yield from _encode(frames, partial, recipe, clip)


def _encode(frames: Frames, path: Path, recipe: Recipe, clip: Clip) -> Iterator[int]:
    import av

    # use_metadata_tags: without it MP4 takes no keys of one's own; faststart: the index first,
    # so that a browser plays while it loads.
    flags = {"movflags": "use_metadata_tags+faststart"}
    quality = str(clip.options[QUALITY.name])
    try:
        with (
            closing(
                in_order(len(frames), lambda index: _sided(frames[index], quality))
            ) as pictures,
            av.open(str(path), "w", format="mp4", options=flags) as container,
        ):
            container.metadata[KEY] = recipe.to_text()
            stream = _add_stream(container, _sided(frames[0], quality), quality, clip.fps)
            for index, picture in enumerate(pictures):
                last = index == len(frames) - 1
                for _ in range(1 + clip.hold if last else 1):
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
                yield index + 1
            container.mux(stream.encode(None))
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        raise DiffviewError(f"the video could not be written: {error}") from error


def _add_stream(container: Any, picture: Uint8, quality: str, fps: float) -> Any:
    encoder, pixel_format, options = ENCODERS[quality]
    stream = container.add_stream(encoder, rate=Fraction(fps).limit_denominator(1001))
    stream.height, stream.width = picture.shape[:2]
    stream.pix_fmt = pixel_format
    stream.options = options
    return stream


def _sided(frame: Uint8, quality: str) -> Uint8:
    """The frame, with its last row and column repeated where yuv420p needs even sides."""
    if quality == "exact":
        return frame
    height, width = frame.shape[:2]
    return np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
