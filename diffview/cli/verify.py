"""Replay a saved run and name the first step whose x_t or x̂₀ differs, and by how much.

On the CPU of one machine a replay is equal to the last bit; on another device or with another
build of torch it is not: --tolerance says how much is still the same.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

import numpy as np

from diffview.cli import arguments
from diffview.cli.report import Report
from diffview.engine import session
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.errors import InputError
from diffview.models import catalog, guides, sampling
from diffview.models.catalog import Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SESSION and how to replay it."""
    parser.add_argument(
        "run_file",
        metavar="SESSION",
        type=arguments.path,
        help="a .dvsession or a trajectory.safetensors",
    )
    parser.add_argument(
        "--model", metavar="ID|FILE", help="replay with this model (the one the run names)"
    )
    parser.add_argument(
        "--guide", metavar="ID|FILE", help="guide with this second model (the one the run names)"
    )
    parser.add_argument(
        "--device", metavar="NAME", help="where to replay (where the run was made, else auto)"
    )
    parser.add_argument(
        "--tolerance",
        metavar="D",
        type=arguments.number,
        default=0.0,
        help="largest difference of a value that still counts as equal (0)",
    )
    parser.add_argument("--json", action="store_true", help="events on stdout, one object a line")


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one tensor of one step differs, as the largest absolute difference."""

    i: int
    t: float
    name: str
    largest: float

    def __str__(self) -> str:
        shown = {"x_t": "x_t", "x0_hat": "x̂₀"}[self.name]
        return f"step {self.i} (t = {self.t:g}): {shown} differs by up to {self.largest:.3g}"


def run(args: argparse.Namespace) -> int:
    """0 when every recorded step is replayed equally, 1 when not."""
    if not args.tolerance >= 0:
        raise InputError(f"--tolerance {args.tolerance:g} must be 0 or more")
    with Report(as_json=args.json) as report:
        trajectory, about = session.load(args.run_file)
        entry = _model(args, trajectory)
        _compare_weights(entry, about, report)
        guide = guides.entry_for(args.guide, trajectory.spec.guidance.guide)
        if guide is not None:
            _compare_weights(guide, {"model": about.get("guide", {})}, report)
        device = _device(args, about, report)
        found = list(_differences(trajectory, about, entry, guide, device, report))
        over = [one for one in found if not one.largest <= args.tolerance]
        return _tell(over, found, trajectory, report)


def _model(args: argparse.Namespace, trajectory: Trajectory) -> Entry:
    """The model asked for, else the bundled one that the run names.

    A run's file may come from anyone: no path in it is opened.
    """
    if args.model is not None:
        return catalog.find(args.model)
    name = trajectory.spec.model_id
    for entry in catalog.bundled():
        if entry.card.id == name:
            return entry
    raise InputError(
        f"this run was made with model '{name}', which does not ship with diffview: "
        "give its file with --model FILE"
    )


def _compare_weights(entry: Entry, about: dict[str, Any], report: Report) -> None:
    saved, now = sampling.weights_of(about), entry.card.weights_sha256
    if not saved:
        report.note("the run does not say which weights it used")
    elif saved != now:
        report.note(
            f"the weights differ: the run used sha256 {saved[:12]}..., "
            f"{entry.path} has {now[:12]}..."
        )
    else:
        report.note(f"the weights are the same: sha256 {now[:12]}...")


def _device(args: argparse.Namespace, about: dict[str, Any], report: Report) -> str:
    if args.device is not None:
        return str(args.device)
    saved = str(about.get("device") or "auto")
    try:
        sampling.choose_device(saved)
    except InputError:
        report.note(f"the run was made on '{saved}', which is not here: expect small differences")
        return "auto"
    return saved


def _differences(
    trajectory: Trajectory,
    about: dict[str, Any],
    entry: Entry,
    guide: Entry | None,
    device: str,
    report: Report,
) -> list[Difference]:
    """One for each recorded step and tensor, zeros too, in the order of the run."""
    spec = trajectory.spec
    if trajectory.data_shape != entry.card.data_shape:
        raise InputError(
            f"the run has samples of shape {trajectory.data_shape}, model '{entry.card.id}' "
            f"makes {entry.card.data_shape}: give the right one with --model"
        )
    model = sampling.open_model(entry, device)
    guiding = None if guide is None else guides.open_guide(guide, entry.card, model.device)
    start = trajectory[0].x_t if about.get("init_noise") == "given" else None
    again = Trajectory(spec, trajectory.data_shape, trajectory.stride)
    saved = {record.i: record for record in trajectory}
    last = max(saved)
    found = []
    for record in sampling.sample_into(again, model, start, guiding):
        report.progress("replaying", record.i, last)
        if record.i in saved:
            found += _compare(saved[record.i], record)
        if record.i == last:
            break
    return found


def _compare(saved: StepRecord, again: StepRecord) -> list[Difference]:
    return [
        Difference(
            saved.i, saved.level.t, name, _largest(getattr(saved, name), getattr(again, name))
        )
        for name in ("x_t", "x0_hat")
    ]


def _largest(saved: np.ndarray[Any, Any], again: np.ndarray[Any, Any]) -> float:
    return float(np.max(np.abs(saved.astype(np.float64) - again)))


def _tell(
    over: list[Difference], found: list[Difference], trajectory: Trajectory, report: Report
) -> int:
    count = len(trajectory)
    largest = max(one.largest for one in found)
    first = over[0] if over else None
    report.event(
        "done",
        equal=first is None,
        steps=count,
        largest=largest,
        first=first and {"i": first.i, "t": first.t, "name": first.name, "by": first.largest},
    )
    if first is None:
        exactly = "to the last bit" if largest == 0 else f"within {largest:.3g}"
        report.result(f"equal: all {count} recorded steps replay {exactly}")
        return 0
    report.result(f"different from {first}; at most {largest:.3g} in any step")
    return 1
