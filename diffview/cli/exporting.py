"""What `sample` and `export` share: the flags of an export, its checks, and writing it."""

from __future__ import annotations

import argparse
import os
from collections.abc import Generator, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, cast

import numpy as np

from diffview import exporters
from diffview.cli import arguments
from diffview.cli.report import Report
from diffview.engine.levels import CLEAN
from diffview.engine.next_token import NOT_YET, Written
from diffview.engine.next_token import levels as token_levels
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.errors import InputError
from diffview.exporters import job
from diffview.exporters.place import AlreadyThere
from diffview.exporters.sequence import Selection, Sheets
from diffview.frames import lens as lenses
from diffview.frames.compose import LATENTS, POLICIES
from diffview.frames.lens import Lens
from diffview.frames.quantities import QUANTITIES
from diffview.models import preview
from diffview.models.card import ModelCard


def add_arguments(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """Declare where an export goes, what it shows, and in which formats."""
    group = parser.add_argument_group("what is written")
    group.add_argument(
        "--out",
        metavar="DIR",
        type=arguments.path,
        required=required,
        help="a new folder for what --format asks for",
    )
    group.add_argument(
        "--format",
        metavar="NAME,...",
        type=arguments.names,
        default=("png",),
        help=f"any of {', '.join(exporters.every())} (png)",
    )
    group.add_argument(
        "--show",
        metavar="NAME,...",
        type=arguments.names,
        help=f"side by side, any of {', '.join(QUANTITIES)} (xt,x0hat; of tokens xt,entropy)",
    )
    group.add_argument(
        "--decode",
        choices=LENSES,
        default="full",
        help="how a latent model's steps become pictures: full its own decoder, preview a fitted "
        "linear map, quick and rough, none the latents themselves (full)",
    )
    group.add_argument(
        "--brightness",
        metavar="NAME",
        default="clamp",
        help="how values map to brightness: "
        + ", ".join(f"{name} {what}" for name, what in POLICIES.items())
        + " (clamp)",
    )
    group.add_argument(
        "--every",
        metavar="K",
        type=arguments.whole,
        default=1,
        help="every K-th step, the last one always (1)",
    )
    group.add_argument(
        "--scale",
        metavar="K",
        type=arguments.whole,
        help="magnify K times, nearest neighbour (what brings a grid to about 512 pixels)",
    )
    group.add_argument(
        "--caption", action="store_true", help="a line below with step, t and guidance"
    )
    group.add_argument(
        "--sample",
        metavar="K",
        type=arguments.whole,
        help="only sample K, from 0 (all, as a grid)",
    )
    group.add_argument(
        "--fps",
        metavar="F",
        type=arguments.number,
        default=12.0,
        help="frames per second of animations (12)",
    )
    group.add_argument(
        "--overwrite", action="store_true", help="replace an earlier export or session"
    )


LENSES = ("full", "preview", "none")


def lens_of(args: argparse.Namespace, model: Any) -> Lens | None:
    """What the model's latents are looked at through; None where its samples are pictures."""
    card = model.card
    if not card.coded or args.decode == "none":
        return None
    if args.decode == "full":
        return lenses.decoded(model, card.shown_shape)
    room = card.shown_shape if args.brightness == LATENTS else None  # for every channel
    return lenses.previewed(preview.of(model), card.data_shape, room)


def _blank_lens(args: argparse.Namespace, card: ModelCard | None) -> Lens | None:
    if card is None or not card.coded or args.decode == "none":
        return None
    if args.decode == "full":
        return lenses.blank(lenses.DECODED, card.shown_shape)
    if card.by_token:
        raise InputError("tokens have no linear preview: give --decode full, or none")
    small = (card.picture_shape[0], *card.data_shape[1:])
    shape = card.shown_shape if args.brightness == LATENTS else small
    return lenses.blank(lenses.PREVIEW, shape)


def selection(args: argparse.Namespace, spec: RunSpec) -> Selection:
    """What the flags ask to see of a run of `spec`."""
    return Selection(
        quantities=args.show or ("xt", "entropy" if spec.by_token else "x0hat"),
        policies=(args.brightness,),
        every=args.every,
        sample=args.sample,
        scale=args.scale,
        caption=args.caption,
    )


def check(
    args: argparse.Namespace,
    spec: RunSpec,
    data_shape: tuple[int, ...],
    card: ModelCard | None = None,
) -> None:
    """Raise InputError for whatever the export of such a run would be refused for.

    A run of zeros of the same shape is drawn, so nothing is sampled in vain.
    """
    try:
        job.check(args.out, args.format, fps=args.fps, overwrite=args.overwrite)
    except AlreadyThere:
        raise InputError(
            f"{args.out} exists and holds an earlier export: choose another folder, or add "
            "--overwrite"
        ) from None
    _check_writable(args.out)
    lens = _blank_lens(args, card)
    if args.brightness == LATENTS and lens is None:
        raise InputError(_no_latents(spec, card))
    blank = Trajectory(spec, data_shape)
    blank.append(_blank_record(spec, data_shape))
    Sheets(blank, selection(args, spec), lens)[0]


def _no_latents(spec: RunSpec, card: ModelCard | None) -> str:
    if card is not None and card.coded:
        return (
            "--brightness latents shows them as large as decoded pictures: give --decode full or "
            "preview with it"
        )
    return (
        f"model '{spec.model_id}' samples no latents that are decoded: give --brightness "
        f"{', '.join(name for name in POLICIES if name != LATENTS)}"
    )


def _blank_record(spec: RunSpec, data_shape: tuple[int, ...]) -> StepRecord:
    zeros = np.zeros((spec.batch, *data_shape), np.float32)
    guided = zeros if spec.guidance.kind != "none" else None
    if spec.by_token:
        return _blank_tokens(spec, zeros)
    return StepRecord(0, CLEAN, zeros, zeros, guided, guided, None, 0, 0.0)


def _blank_tokens(spec: RunSpec, zeros: Float32) -> StepRecord:
    """Nothing written yet, of a model that tells two tokens apart."""
    one, codes = np.zeros((spec.batch, 1)), np.zeros((spec.batch, 2), np.float32)
    known = Written(one.astype(np.int64), one.astype(np.float32), one.astype(np.float32), one)
    guided = codes if spec.guidance.kind != "none" else None
    x_t = zeros + NOT_YET
    level = token_levels(spec.n_steps)[0]
    return StepRecord(
        i=0, level=level, x_t=x_t, x0_hat=x_t, base=guided, direction=guided, move=None, nfe=0,
        seconds=0.0, logits=None if guided is not None else codes, written=known,
    )  # fmt: skip


def _check_writable(target: Path) -> None:
    above = next(parent for parent in target.absolute().parents if parent.exists())
    if not above.is_dir():
        raise InputError(f"{target} cannot be made: {above} is a file, not a folder")
    if not os.access(above, os.W_OK):
        raise InputError(f"{target} cannot be made: folder {above} is not writable")


def check_file(file: Path, *, overwrite: bool) -> None:
    """Raise InputError when `file` cannot be written, or is there already."""
    if file.is_dir():
        raise InputError(f"{file} is a folder: give a file's name, such as run.dvsession")
    if file.exists() and not overwrite:
        raise InputError(f"{file} is there already: choose another name, or add --overwrite")
    if not file.parent.is_dir():
        raise InputError(f"{file} cannot be made: there is no folder {file.parent}")
    _check_writable(file)
    _check_room(file)


def _check_room(file: Path) -> None:
    """A file beside it can be made: of /proc and the like, only trying tells."""
    try:
        with NamedTemporaryFile(dir=file.parent, prefix=".diffview-"):
            pass
    except OSError as error:
        raise InputError(
            f"{file} cannot be made: {error.strerror or error}; choose another folder"
        ) from None


def write(
    args: argparse.Namespace,
    trajectory: Trajectory,
    about: Mapping[str, Any],
    report: Report,
    lens: Lens | None = None,
) -> list[str]:
    """Export as the flags say, latents through `lens`; returns the files that are there now."""
    steps = job.export(
        trajectory,
        about,
        args.out,
        args.format,
        selection(args, trajectory.spec),
        fps=args.fps,
        overwrite=args.overwrite,
        lens=lens,
    )
    with closing(cast("Generator[job.Progress]", steps)):  # an interrupt must clean up at once
        done = 0
        for step in steps:
            report.progress("writing", step.done, step.total)
            if step.done > done:  # a writer also says that it is still at work
                report.event("written", done=step.done, total=step.total, path=str(step.path))
            done = step.done
    return sorted(str(path) for path in args.out.rglob("*") if path.is_file())


def listed(files: list[str]) -> str:
    """Files as a person wants them told: a folder's files after its name, frames as a count."""
    folders: dict[str, list[str]] = {}
    for file in map(Path, files):
        folders.setdefault(str(file.parent), []).append(file.name)
    return "; ".join(
        _counted(names) if folder == "." else f"{folder}: {_counted(names)}"
        for folder, names in folders.items()
    )


def _counted(names: list[str]) -> str:
    frames = [name for name in names if name.endswith(".png")]
    others = [name for name in names if name not in frames]
    if frames:
        others.append(f"{len(frames)} PNG frames" if len(frames) > 1 else frames[0])
    return ", ".join(others)
