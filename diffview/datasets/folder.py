"""Any folder of pictures as a set: what is in it, and all pictures brought to one size.

The rule: turned as the camera noted, transparency over white, the middle square cut out, scaled to
S x S (Pillow's Lanczos filter), S being the median of the shorter sides, at most MAX_SIDE; grey if
every picture is grey. Pictures in sub-folders are labelled by them; those right in the folder
have no label then.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from diffview.datasets import LabelledPictures
from diffview.errors import InputError

MAX_SIDE = 64
MAX_PICTURES = 200_000
ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
GREY = ("1", "L", "I", "I;16", "F")


@dataclass(frozen=True, slots=True)
class PictureFolder:
    """The pictures that were found, before they are read; shape is the (C, S, S) they get."""

    path: Path
    files: tuple[Path, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    sha256: str

    def __len__(self) -> int:
        return len(self.files)


def holds_pictures(path: Path) -> bool:
    """Whether there is a picture in the folder, or in a folder right inside it."""
    return next(_candidates(path), None) is not None


def look_into(path: Path) -> PictureFolder:
    """What is in the folder. Raises InputError when it holds no picture, naming a broken one."""
    files = sorted(_candidates(path))
    if not files:
        raise InputError(
            f"{path} holds no pictures: give a folder of {', '.join(ENDINGS[:4])} files, or of "
            "folders of them, one for each class"
        )
    if len(files) > MAX_PICTURES:
        raise InputError(
            f"{path} holds {len(files)} pictures, at most {MAX_PICTURES} can be compared at once"
        )
    classes = tuple(sorted({file.parent.name for file in files if file.parent != path}))
    labels = [classes.index(f.parent.name) if f.parent != path else -1 for f in files]
    side, channels, digest = _survey(path, files)
    shape = (channels, side, side)
    return PictureFolder(path, tuple(files), tuple(labels), classes, shape, digest)


def read(folder: PictureFolder) -> LabelledPictures:
    """All pictures as (N, C, S, S) bytes with their labels, -1 where there is none."""
    channels, side, _ = folder.shape
    pictures = np.empty((len(folder), *folder.shape), np.uint8)
    for k, file in enumerate(folder.files):
        with _opened(file) as picture:
            pictures[k] = square(picture, side, channels)
    return LabelledPictures(pictures, np.array(folder.labels, np.int64))


def rule(shape: tuple[int, int, int]) -> str:
    """What is done to each picture for it to have this shape, in words."""
    channels, side, _ = shape
    return (
        "turned as the camera noted, put on white where it was transparent, cut to the middle "
        f"square and scaled to {side} x {side} {'grey values' if channels == 1 else 'in colour'}"
    )


def square(picture: Image.Image, side: int, channels: int) -> NDArray[np.uint8]:
    """One picture (channels, side, side) by the rule of this module."""
    turned = ImageOps.exif_transpose(picture)
    flat = _eight_bit(turned) if turned.mode in GREY else _over_white(turned)
    scaled = ImageOps.fit(flat, (side, side), Image.Resampling.LANCZOS)
    array = np.asarray(scaled.convert("L" if channels == 1 else "RGB"))
    return array[None] if channels == 1 else array.transpose(2, 0, 1)


def _over_white(picture: Image.Image) -> Image.Image:
    whole = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", whole.size, "white"), whole).convert("RGB")


def _eight_bit(picture: Image.Image) -> Image.Image:
    """16 bits to 8 by their upper half; others by Pillow's own rule."""
    if picture.mode not in ("I", "I;16"):
        return picture.convert("L")
    values = np.asarray(picture).clip(0, 65535)
    return Image.fromarray((values // 256).astype(np.uint8))


def _candidates(path: Path) -> Iterator[Path]:
    try:
        inside = sorted(path.iterdir())
        for one in inside:
            yield from [one] if not one.is_dir() and _is_picture(one) else []
            if one.is_dir() and not one.name.startswith("."):
                yield from (file for file in sorted(one.iterdir()) if _is_picture(file))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from None


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()


def _survey(path: Path, files: list[Path]) -> tuple[int, int, str]:
    """Side, channels, and a digest of names and contents; pictures are not decoded."""
    digest, sides, grey = hashlib.sha256(), [], True
    for file in files:
        digest.update(f"{file.relative_to(path)}\0".encode())
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
        with _opened(file) as picture:
            sides.append(min(picture.size))
            grey = grey and picture.mode in GREY
    return min(MAX_SIDE, median_low(sides)), 1 if grey else 3, digest.hexdigest()


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """The picture in `file`. What Pillow raises becomes an InputError naming the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as picture:
                yield picture
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        raise InputError(
            f"{file} cannot be read as a picture ({error}): mend it, or take it out of the folder"
        ) from None
