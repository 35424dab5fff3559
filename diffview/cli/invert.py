"""Invert a picture: follow it up to the x_T from which DDIM comes back to it, and go back.

Writes what was found to a new folder: x_T.safetensors, for 'diffview sample --init-noise', the way
back as a session, and inversion.json with the error at each step.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from diffview import atomic, tensorfile
from diffview.cli import arguments, exporting, guiding
from diffview.cli.report import Report
from diffview.engine import inversion, session
from diffview.engine.run import Guide
from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import Float32, Trajectory
from diffview.errors import InputError
from diffview.frames import picture_file
from diffview.models import catalog, guides, inverting, sampling
from diffview.models.card import ModelCard
from diffview.models.inverting import State, StepError

NOISE, WAY_BACK, ERRORS = "x_T.safetensors", "way-back.dvsession", "inversion.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare PICTURE and how to invert it."""
    parser.add_argument(
        "pictures",
        metavar="PICTURE",
        nargs="+",
        type=arguments.path,
        help="PNG, JPEG, WebP, ...: the middle of the model's shape is cut out and scaled to it",
    )
    parser.add_argument(
        "--model", metavar="ID|FILE", default="fashion", help="see 'diffview models' (fashion)"
    )
    parser.add_argument("--label", metavar="N|NAME", help="the class of the picture")
    parser.add_argument("--prompt", metavar="TEXT", type=str, help="what is in the picture")
    parser.add_argument(
        "--negative-prompt", metavar="TEXT", type=str, help="what guidance steers away from"
    )
    parser.add_argument(
        "--guidance",
        metavar="γ",
        type=arguments.number,
        help="on both ways; 1 is the most faithful (1)",
    )
    guiding.add_arguments(parser.add_argument_group("guidance of other kinds"))
    arguments.add_steps(parser)
    parser.add_argument(
        "--option",
        metavar="NAME=VALUE",
        type=arguments.assignment,
        action="append",
        default=[],
        help="an option of ddim, as in 'diffview sample'; can be repeated",
    )
    parser.add_argument(
        "--refine",
        metavar="K",
        type=arguments.whole,
        default=0,
        help="K more evaluations at each step of the way up, which make it the inverse of the way "
        "back (0)",
    )
    parser.add_argument("--device", metavar="NAME", default="auto", help="auto, cpu, cuda, mps")
    parser.add_argument(
        "--out", metavar="DIR", type=arguments.path, required=True, help="a new folder"
    )
    parser.add_argument("--json", action="store_true", help="events on stdout, one object a line")


def run(args: argparse.Namespace) -> int:
    """Check, climb, come back, write."""
    with Report(as_json=args.json) as report:
        entry = catalog.find(args.model)
        spec, asked = _spec(args, entry.card)
        back = sampling.trajectory_for(entry.card, spec)
        _check_folder(args.out)
        pictures = _pictures(args.pictures, entry.card, report)
        model = sampling.open_model(entry, args.device)
        guide = _guide(asked, entry.card, model)
        states = []
        for state in inverting.climb(model, spec, pictures, refine=args.refine, guide=guide):
            report.progress("up", spec.n_steps - state.i, spec.n_steps)
            states.append(state)
        for record in sampling.sample_into(back, model, states[-1].x_t, guide):
            report.progress("back", record.i, spec.n_steps)
        about = inverting.about(entry.card, pictures, args.refine, device=str(model.device))
        about |= guides.about(asked.card)
        errors = inverting.errors(states, back, entry.card.value_range)
        files = _write(args.out, states[-1], back, about, errors)
        _tell(spec, args.refine, states[-1], errors, files, report)
    return 0


def _guide(asked: guiding.Guiding, card: ModelCard, model: sampling.Model) -> Guide | None:
    return None if asked.entry is None else guides.open_guide(asked.entry, card, model.device)


def _spec(args: argparse.Namespace, card: ModelCard) -> tuple[RunSpec, guiding.Guiding]:
    asked = guiding.chosen(args, card)
    # Guidance above 1 makes the way up and the way back differ more: it is for who asks.
    steered = args.label is not None or args.prompt is not None
    plain = 1.0 if asked.guidance is None and steered and card.guidable else asked.guidance
    spec = inverting.spec_for(
        card,
        steps=args.steps,
        spacing=args.spacing,
        guidance=plain,
        label=args.label,
        prompt=args.prompt,
        negative_prompt=args.negative_prompt,
        seeds=range(len(args.pictures)),
        options=asked.options,
        judge=asked.card,
    )
    return spec, asked


def _pictures(paths: list[Path], card: ModelCard, report: Report) -> Float32:
    import numpy as np

    if card.latent:
        raise InputError(f"model '{card.id}' samples latents: it takes no pictures to invert")
    read = [picture_file.read(path, card.data_shape, *card.value_range) for path in paths]
    for path, picture in zip(paths, read, strict=True):
        if picture.done:
            report.note(f"{path}: {', '.join(picture.done)}")
    return np.stack([picture.values for picture in read])


def _check_folder(folder: Path) -> None:
    if folder.exists():
        raise InputError(f"{folder} is there already: choose another name for --out")
    exporting.check_file(folder, overwrite=False)


def _write(
    folder: Path,
    top: State,
    back: Trajectory,
    about: dict[str, Any],
    errors: tuple[StepError, ...],
) -> list[str]:
    told = {"spec": back.spec.to_json(), **about, "errors": [one.to_json() for one in errors]}
    noise = {"diffview.inversion": json.dumps(about["inversion"])}
    partial = folder.with_name(folder.name + atomic.PARTIAL)
    partial.mkdir()
    try:
        tensorfile.write_numpy(partial / NOISE, {"x": top.x_t}, noise)
        session.save(back, partial / WAY_BACK, about)
        (partial / ERRORS).write_text(json.dumps(told, indent=1), encoding="utf-8")
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return [str(folder / name) for name in (NOISE, WAY_BACK, ERRORS)]


def _tell(
    spec: RunSpec,
    refine: int,
    top: State,
    errors: tuple[StepError, ...],
    files: list[str],
    report: Report,
) -> None:
    for one in errors:
        report.event("step", **one.to_json())
    end = errors[-1]
    nfe = inversion.evaluations(spec.n_steps, refine, pure_noise=top.level.alpha == 0)
    report.event(
        "done", files=files, mean=float(top.x_t.mean()), std=float(top.x_t.std()), **end.to_json()
    )
    report.result(_table(errors))
    report.result(
        f"back at the picture within {end.max_abs:.3g} at most, {end.mean_abs:.3g} on average, "
        f"PSNR {end.psnr:.1f} dB; x_T has mean {top.x_t.mean():.3f} and standard deviation "
        f"{top.x_t.std():.3f} (noise at t = {top.level.t:g}: 0 and {top.level.sigma:.3f}); "
        f"{nfe} evaluations up, {spec.n_steps} back, of a sample"
        + (", twice where guided" if spec.guidance.kind in ("cfg", "autoguidance") else "")
    )
    report.result(f"wrote {exporting.listed(files)}")


def _table(errors: tuple[StepError, ...], rows: int = 12) -> str:
    """Some of the steps, evenly, first and last in."""
    chosen = sorted({round(k * (len(errors) - 1) / (rows - 1)) for k in range(rows)})
    lines = ["  step       t   max |Δ|  mean |Δ|   PSNR dB"]
    for one in (errors[k] for k in chosen):
        lines.append(
            f"{one.i:6} {one.t:7.5g} {one.max_abs:9.3g} {one.mean_abs:9.3g} {one.psnr:9.4g}"
        )
    return "\n".join(lines)
