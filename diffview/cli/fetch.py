"""Fetch a model of the Hugging Face hub into the models folder; asks before it downloads.

What is there already of it is not fetched again, also after an interrupt.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator
from contextlib import closing
from typing import cast

from diffview.cli.report import Report
from diffview.errors import InputError
from diffview.models import catalog, memory
from diffview.models.hf import hub


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ID, --yes and --json."""
    parser.add_argument("id", metavar="OWNER/NAME", help="the model's id on the hub")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="events on stdout, one object a line")


def run(args: argparse.Namespace) -> int:
    """Look, ask, fetch."""
    models = catalog.models_folder()
    if models is None:
        raise InputError("there is no home folder to keep models in: set HOME")
    with Report(as_json=args.json) as report:
        found = hub.look(args.id)
        report.event("found", id=found.id, pipeline=found.pipeline, bytes=found.size,
                     files=[file.name for file in found.files])  # fmt: skip
        report.note(
            f"{found.id}: a {found.pipeline}, {len(found.files)} files, "
            f"{memory.gigabytes(found.size)}, to {models / found.folder_name}"
        )
        if not (args.yes or _agreed()):
            raise InputError("nothing was fetched: say yes, or give --yes")
        with closing(cast("Generator[hub.Progress]", hub.fetch(found, models))) as steps:
            for step in steps:
                report.progress("fetching", step.done, step.total, f"  {step.name}")
        report.event("done", folder=str(models / found.folder_name))
        report.result(f"fetched: diffview sample --model {found.id} ...")
    return 0


def _agreed() -> bool:
    """The person's answer; none where nobody can be asked."""
    if not sys.stdin.isatty():
        return False
    print("Fetch it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
