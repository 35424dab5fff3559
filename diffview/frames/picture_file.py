"""A picture file as a sample of a model: read(path, shape) -> (C, H, W) in the model's own range.

The rule, whatever the file is: its first frame; turned as the camera noted; transparency over
white; 16 bits cut to 8; the largest middle part of the wanted shape, scaled to it (Pillow's
Lanczos filter); to grey by 0.299 R + 0.587 G + 0.114 B (ITU-R 601), from grey by the same value
for every channel. What was done is told in `Picture.done`.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from diffview.errors import InputError

MAX_PIXELS = 64_000_000
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
"""Pillow knows more, but some of them run other programs."""
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")

UPRIGHT = 1
"""As the camera held it, by EXIF's tag of the orientation."""
GREY = ("1", "L", "I", "I;16", "I;16B", "F")
SEE_THROUGH = ("RGBA", "LA", "La", "PA", "RGBa")
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError,
           OverflowError, MemoryError, struct.error, Warning)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Picture:
    """values (C, H, W) float32 in the model's range; done: how the file became that, in words."""

    values: NDArray[np.float32]
    done: tuple[str, ...] = ()


def read(path: Path, shape: Sequence[int], low: float = -1.0, high: float = 1.0) -> Picture:
    """The picture in `path`, brought to `shape` (C, H, W), C 1 or 3, and to low .. high.

    Raises InputError naming the file: it is no picture, damaged, or of more than 64 million
    pixels; or the model takes no pictures.
    """
    channels, height, width = _checked(shape)
    with _opened(path) as file:
        levels, done = _fitted(file, channels, height, width)
    return Picture(_in_range(levels, low, high), done)


def of_levels(
    levels: NDArray[np.uint8], shape: Sequence[int], low: float = -1.0, high: float = 1.0
) -> Picture:
    """A picture (3, H, W) of bytes by the same rule. Raises InputError as `read` does."""
    channels, height, width = _checked(shape)
    image = Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0)))
    fitted, done = _fitted(image, channels, height, width)
    return Picture(_in_range(fitted, low, high), done)


def _in_range(levels: NDArray[np.uint8], low: float, high: float) -> NDArray[np.float32]:
    values = low + (high - low) * (levels.astype(np.float32) / 255)
    return np.ascontiguousarray(values, np.float32)


def check(path: Path) -> None:
    """Raises what `read` would raise of the file, whatever the model: all of it is decoded."""
    with _opened(path) as file:
        file.load()


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The picture, its size checked. What Pillow raises becomes an InputError naming the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as file:
                _check_size(*file.size)
                yield file
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise InputError(f"{path}: {_too_large('it')}") from None
    except UnidentifiedImageError:
        raise InputError(
            f"{path} is no picture: give a PNG, JPEG, WebP, GIF, BMP or TIFF file"
        ) from None
    except _BROKEN as error:
        reason = getattr(error, "strerror", None) or error or type(error).__name__
        raise InputError(f"{path} cannot be read as a picture: {reason}") from None


def is_picture(path: Path) -> bool:
    """Whether the file begins like a picture of those formats; no pixel is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS):
                return True
    except (Image.DecompressionBombError, *_BROKEN) as error:
        return isinstance(error, Image.DecompressionBombError)


def _checked(shape: Sequence[int]) -> tuple[int, int, int]:
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InputError(
            f"this model's samples of shape {'x'.join(map(str, shape))} are no pictures, so no "
            "picture can be given to it: choose a model of grey or RGB pictures"
        )
    return shape[0], shape[1], shape[2]


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise InputError(_too_large(f"a picture of {width} x {height} pixels"))


def _too_large(what: str) -> str:
    return f"{what} is too large (at most {MAX_PIXELS // 10**6} million pixels): make it smaller"


def _fitted(
    file: Image.Image, channels: int, height: int, width: int
) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """(C, H, W) bytes, and what was done."""
    done = [f"frame 1 of {frames}"] if (frames := getattr(file, "n_frames", 1)) > 1 else []
    turned = ImageOps.exif_transpose(file)
    if file.getexif().get(ExifTags.Base.Orientation, UPRIGHT) != UPRIGHT:
        done.append("turned")
    flat = _eight_bit(turned)
    if flat is not turned:
        done.append("to 8 bits")
    if flat.mode == "CMYK":
        done.append("CMYK to RGB")
    if flat.mode in SEE_THROUGH or "transparency" in flat.info:
        flat = _over_white(flat)
        done.append("transparency over white")
    if flat.size != (width, height):
        done.append(f"{flat.width} × {flat.height} → {width} × {height}")
        if flat.width * height != flat.height * width:
            done.append("the middle cut out")
    middle = _plain(flat).crop(_middle(*flat.size, height, width))
    scaled = middle.resize((width, height), Image.Resampling.LANCZOS)
    if channels == 1 and scaled.mode != "L":
        done.append("to grey")
    array = np.asarray(scaled.convert("L" if channels == 1 else "RGB"))
    return (array[None] if channels == 1 else array.transpose(2, 0, 1)), tuple(done)


def _middle(wide: int, high: int, height: int, width: int) -> tuple[int, int, int, int]:
    """The largest box of the shape height x width in the middle of a picture wide x high."""
    if wide * height > high * width:
        inner = max(1, round(high * width / height))
        left = (wide - inner) // 2
        return left, 0, left + inner, high
    inner = max(1, round(wide * height / width))
    top = (high - inner) // 2
    return 0, top, wide, top + inner


def _eight_bit(picture: Image.Image) -> Image.Image:
    """16 bits to 8 by their upper half; numbers with a fraction as they are, cut to 0 .. 255."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.asarray(picture)
    values = values.clip(0, 65535) // 256 if picture.mode != "F" else np.nan_to_num(values)
    return Image.fromarray(np.rint(values).clip(0, 255).astype(np.uint8))


def _over_white(picture: Image.Image) -> Image.Image:
    whole = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")


def _plain(picture: Image.Image) -> Image.Image:
    """Grey or RGB, before it is scaled: palettes and CMYK cannot be interpolated."""
    return picture.convert("L" if picture.mode in GREY else "RGB")
