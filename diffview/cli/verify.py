"""Replay a saved run and name the first step that differs: which tensor, and by how much.

A branched run is replayed with the runs it branched off, from x_T on. On the CPU of one machine a
replay is equal to the last bit; on another device or with another build of torch it is not:
--tolerance says how much is still the same. A file that was damaged since it was written is
refused with the step that is not what was saved.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from diffview.cli import arguments, recorded
from diffview.cli.report import Report
from diffview.engine.trajectory import Trajectory
from diffview.errors import InputError
from diffview.models import guides, replaying, sampling
from diffview.models.replaying import Difference, Verdict


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


def run(args: argparse.Namespace) -> int:
    """0 when every recorded step is replayed equally, 1 when not."""
    if not args.tolerance >= 0:
        raise InputError(f"--tolerance {args.tolerance:g} must be 0 or more")
    with Report(as_json=args.json) as report:
        trajectory, about = recorded.load(args.run_file)
        entry = recorded.model_of(args.model, trajectory.spec)
        recorded.compare_weights(sampling.weights_of(about), entry, report)
        found = recorded.guides_of(args.guide, trajectory.spec)
        for name, guide in found.items():
            recorded.compare_weights(recorded.guide_weights(about, name), guide, report)
        model = sampling.open_model(entry, recorded.device_of(args.device, about, report))
        by = {k: guides.open_guide(one, entry.card, model.device) for k, one in found.items()}
        differences: list[Difference] = []
        last = trajectory[-1].i
        for i, compared in replaying.compared(trajectory, about, model, by):
            report.progress("replaying", i, last)
            differences += compared
        since = replaying.replayed_from(trajectory, about)
        return _tell(replaying.verdict(differences, args.tolerance, since), trajectory, report)


def _tell(verdict: Verdict, trajectory: Trajectory, report: Report) -> int:
    first, largest, count = verdict.first, verdict.largest, verdict.steps
    if verdict.since:
        report.note(
            f"replayed from step {verdict.since}, where these samples were chosen: the run they "
            "came from began with given numbers, which are not in this file"
        )
    report.event(
        "done",
        equal=verdict.equal,
        steps=count,
        since=verdict.since,
        largest=largest,
        first=first and {**asdict(first), "by": first.largest},
    )
    if first is None:
        exactly = "to the last bit" if largest == 0 else f"within {largest:.3g}"
        whole = count == len(trajectory)
        which = f"all {count} recorded steps" if whole else f"{count} recorded steps"
        report.result(f"equal: {which} replay {exactly}")
        return 0
    report.result(f"different from {first}; at most {largest:.3g} in any step")
    return 1
