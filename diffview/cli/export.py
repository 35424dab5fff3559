"""Write pictures, animations or the raw trajectory of a saved run."""

from __future__ import annotations

import argparse
from typing import Any

from diffview.cli import arguments, exporting
from diffview.cli.report import Report
from diffview.engine import session
from diffview.models import catalog, sampling
from diffview.models.catalog import Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare SESSION and the flags of an export."""
    parser.add_argument(
        "run_file",
        metavar="SESSION",
        type=arguments.path,
        help="a .dvsession or a trajectory.safetensors",
    )
    parser.add_argument(
        "--model",
        metavar="ID|FILE",
        help="the model that made the run, to decode its latents (bundled ones are found)",
    )
    exporting.add_arguments(parser, required=True)
    parser.add_argument("--json", action="store_true", help="events on stdout, one object a line")


def run(args: argparse.Namespace) -> int:
    """Read, check, write."""
    with Report(as_json=args.json) as report:
        trajectory, about = session.load(args.run_file)
        entry = _model(args, about)
        card = None if entry is None else entry.card
        exporting.check(args, trajectory.spec, trajectory.data_shape, card)
        by_token = trajectory.spec.by_token
        undecoded = by_token or trajectory.data_shape[0] not in (1, 3)
        if card is None and undecoded and args.decode != "none":
            what = "are tokens" if by_token else "look like latents"
            report.note(f"these {what} and are shown as they are: --model decodes them")
        coded = entry is not None and entry.card.coded and args.decode != "none"
        lens = exporting.lens_of(args, sampling.open_model(entry)) if coded and entry else None
        files = exporting.write(args, trajectory, about, report, lens)
        report.event("done", files=files)
        report.result(f"wrote {exporting.listed(files)}")
    return 0


def _model(args: argparse.Namespace, about: dict[str, Any]) -> Entry | None:
    """The model asked for, else a known one of these weights; no path in a run is opened."""
    if args.model is not None:
        return catalog.find(args.model)
    return catalog.by_hash(sampling.weights_of(about))
