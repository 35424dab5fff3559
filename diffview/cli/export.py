"""Write pictures, animations or the raw trajectory of a saved run."""

from __future__ import annotations

import argparse

from diffview.cli import arguments, exporting
from diffview.cli.report import Report
from diffview.engine import session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SESSION and the flags of an export."""
    parser.add_argument(
        "run_file",
        metavar="SESSION",
        type=arguments.path,
        help="a .dvsession or a trajectory.safetensors",
    )
    exporting.add_arguments(parser, required=True)
    parser.add_argument("--json", action="store_true", help="events on stdout, one object a line")


def run(args: argparse.Namespace) -> int:
    """Read, check, write."""
    with Report(as_json=args.json) as report:
        trajectory, about = session.load(args.run_file)
        exporting.check(args, trajectory.spec, trajectory.data_shape)
        files = exporting.write(args, trajectory, about, report)
        report.event("done", files=files)
        report.result(f"wrote {exporting.listed(files)}")
    return 0
