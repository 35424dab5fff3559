"""Ids and cards of picture sets, known before a picture is read.

exact:NAME          a set of `diffview.datasets`, in its usual place
exact:NAME:FOLDER   the same, its files lying in FOLDER
FOLDER              the pictures in a folder, by the rule of `datasets/folder.py`; exact:FOLDER too
"""

from __future__ import annotations

from pathlib import Path

from diffview.datasets import PictureSet, folder, picture_sets
from diffview.datasets.folder import PictureFolder
from diffview.engine import schedules
from diffview.errors import InputError
from diffview.models.card import ModelCard
from diffview.models.exact.memory import check_memory, memory_needed

PREFIX = "exact:"


def set_of(id: str) -> str | None:
    """The name of the set that a model's id speaks of; None for a folder's and all others."""
    name = id.removeprefix(PREFIX)
    return name if id.startswith(PREFIX) and name in picture_sets() else None


def parse(name: str) -> tuple[PictureSet, Path | None]:
    """The set in "exact:NAME" or "exact:NAME:FOLDER". Raises InputError naming what there is."""
    wanted, _, place = name.removeprefix(PREFIX).partition(":")
    if wanted not in picture_sets():
        known = ", ".join(PREFIX + known for known in picture_sets())
        raise InputError(f"unknown picture set '{name}': give one of {known}, or a folder")
    if place and not Path(place).expanduser().is_dir():
        raise InputError(f"{place} is no folder, so the pictures of {wanted} are not in it")
    return picture_sets()[wanted], Path(place).expanduser() if place else None


def set_card(known: PictureSet) -> ModelCard:
    """The card of a known set."""
    return _card(
        PREFIX + known.name,
        f"{known.title}, by heart",
        known.shape,
        known.classes,
        known.count,
        data_licence=known.licence,
    )


def folder_card(path: Path) -> ModelCard:
    """The card of a folder of pictures. Raises InputError when it holds none, or too many."""
    found: PictureFolder = folder.look_into(path)
    name = path.resolve().name
    # The stroke keeps a folder's id apart from that of a known set.
    return _card(
        f"{PREFIX}{name}/",
        f"{name}, by heart",
        found.shape,
        found.classes,
        len(found),
        sha256=found.sha256,
        more=f" Each was {folder.rule(found.shape)}; {_labels(found)}.",
    )


def _labels(found: PictureFolder) -> str:
    if not found.classes:
        return "there are no sub-folders, so no classes"
    if len(found.classes) == 1:
        return "its one sub-folder is the only class"
    return f"its {len(found.classes)} sub-folders are the classes"


def _pictures(count: int) -> str:
    return f"{count} picture{'' if count == 1 else 's'}"


def _card(
    id: str,
    title: str,
    shape: tuple[int, int, int],
    classes: tuple[str, ...],
    count: int,
    *,
    data_licence: str = "",
    sha256: str = "",
    more: str = "",
) -> ModelCard:
    check_memory(count, shape)
    size = "x".join(map(str, shape))
    megabytes = round(memory_needed(count, shape) / 1e6)
    return ModelCard(
        id=id,
        title=title,
        family="pictures",
        data_shape=shape,
        prediction="x0",
        schedule=schedules.named("cosine"),
        classes=classes,
        description=f"The exact denoiser of {_pictures(count)} of {size}: it weighs every one of "
        f"them at every step, and takes {megabytes} MB of memory.{more}",
        limits="Not trained: it knows these pictures by heart, so every run ends on one of them.",
        source="computed from the pictures (Karras et al. 2022, arXiv 2206.00364, eq. 57)",
        licence="MIT",
        data_licence=data_licence,
        weights_sha256=sha256,
        defaults={"sampler": "ddim", "steps": 50, "guidance": 1.0},
        figures={"pictures": count, "megabytes": megabytes},
    )
