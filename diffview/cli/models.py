"""List what can be run: bundled models, your own, those opened last; or all about one of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from diffview.cli.report import Report
from diffview.models import catalog
from diffview.models import facts as facts_of
from diffview.models.catalog import Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare MODEL and --json."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        nargs="?",
        help="an id, a file or a folder: say all that is known",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line, in full")


def run(args: argparse.Namespace) -> int:
    """Print the models, one a line; or one model, a fact a line."""
    if args.model is not None:
        with Report():  # gigabytes may be read for their hashes
            entry = catalog.find(args.model)
            unusual = facts_of.checked(entry)
        return _one(entry, unusual, as_json=args.json)
    with Report():
        entries = (*catalog.bundled(), *catalog.own(), *catalog.recent())
    if args.json:
        for entry in entries:
            print(json.dumps(facts(entry)))
    elif entries:
        print(table([_row(entry) for entry in entries]))
    else:
        print("no models ship with this copy of diffview; give a model's file to --model")
    return 0


def _one(entry: Entry, unusual: Sequence[str], *, as_json: bool) -> int:
    """One model alone was held against its weights too, which takes too long for a list."""
    if as_json:
        known = facts(entry)
        print(json.dumps(known | {"notes": [*known["notes"], *unusual]}))
        return 0
    told = (*facts_of.of_entry(entry), *(("note", note) for note in unusual))
    width = max(len(name) for name, _ in told)
    for name, value in told:
        print(f"{name:<{width}}  {value}")
    return 0


def facts(entry: Entry) -> dict[str, Any]:
    """What --json says of a model."""
    card = entry.card
    return {
        "id": card.id,
        "title": card.title,
        "family": card.family,
        "samples": card.samples,
        "shape": list(card.data_shape),
        "classes": list(card.classes),
        "text_tokens": card.text_tokens,
        "picture_shape": list(card.picture_shape),
        "prediction": card.prediction,
        "schedule": card.schedule.name,
        "T": card.schedule.T,
        "parameters": card.parameters,
        "defaults": dict(card.defaults),
        "licence": card.licence,
        "data_licence": card.data_licence,
        "source": card.source,
        "description": card.description,
        "limits": card.limits,
        "figures": dict(card.figures),
        "notes": list(card.notes),
        "bundled": entry.bundled,
        "path": str(entry.path),
        "weights_sha256": card.weights_sha256,
    }


HEAD = ("ID", "TITLE", "SHAPE", "CLASSES", "PREDICTS", "SCHEDULE", "PARAMETERS", "LICENCE", "USE")


def _row(entry: Entry) -> tuple[str, ...]:
    card = entry.card
    return (
        card.id,
        card.title,
        "x".join(map(str, card.data_shape)),
        str(len(card.classes) or "-"),
        card.prediction,
        f"{card.schedule.name}, T {card.schedule.T}"
        if card.samples and not card.by_token
        else "-",
        f"{card.parameters / 1e6:.2f} M" if card.parameters else "-",
        card.licence or "-",
        "sample" if card.samples else "judge",
    )


def table(rows: list[tuple[str, ...]]) -> str:
    """Rows under HEAD, columns aligned."""
    lines = [HEAD, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
