"""List what can be run: bundled models, your own, those opened last; or all about one of them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from diffview.models import catalog
from diffview.models.card import ModelCard
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
        return _one(catalog.find(args.model), as_json=args.json)
    entries = (*catalog.bundled(), *catalog.own(), *catalog.recent())
    if args.json:
        for entry in entries:
            print(json.dumps(facts(entry)))
    elif entries:
        print(table([_row(entry) for entry in entries]))
    else:
        print("no models ship with this copy of diffview; give a model's file to --model")
    return 0


def _one(entry: Entry, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps(facts(entry)))
        return 0
    told = [pair for pair in _told(entry).items() if pair[1]]
    width = max(len(name) for name, _ in told)
    for name, value in told:
        print(f"{name:<{width}}  {value}")
    for note in entry.card.notes:
        print(f"{'note':<{width}}  {note}")
    return 0


def _told(entry: Entry) -> dict[str, str]:
    """All that is known of a model, in a person's words; "" where there is nothing to say."""
    card = entry.card
    shape = "x".join(map(str, card.data_shape))
    pictures = "x".join(map(str, card.picture_shape))
    return {
        "model": card.title if card.title == card.id else f"{card.title} ({card.id})",
        "what": card.source,
        "parts": card.description,
        "samples": shape + (f" latents, decoded to {pictures}" if pictures else ""),
        "predicts": f"{card.prediction}{' and a variance' if card.learned_variance else ''}",
        "schedule": _schedule(card) if card.samples else "",
        "condition": _condition(card),
        "parameters": f"{card.parameters:,}" if card.parameters else "",
        "run with": ", ".join(f"{k} {v}" for k, v in card.defaults.items()),
        "limits": card.limits,
        "licence": card.licence or "not stated",
        "data": card.data_licence,
        "path": str(entry.path),
        "sha256": card.weights_sha256,
    }


def _schedule(card: ModelCard) -> str:
    low, high = (card.schedule.level(t) for t in card.schedule.span)
    times = f"T {card.schedule.T}" if card.schedule.discrete else "continuous"
    end = "no signal" if high.alpha == 0 else f"{high.ratio:.4g}"
    return f"{card.schedule.name}, {times}, σ/α from {low.ratio:.4g} to {end}"


def _condition(card: ModelCard) -> str:
    without = "" if card.guidable else "; there is no input that means none"
    if card.takes_text:
        return f"a prompt of up to {card.text_tokens} tokens{without}"
    if card.classes:
        names = ", ".join(card.classes[:5]) + (", ..." if len(card.classes) > 5 else "")
        return f"one of {len(card.classes)} classes ({names}){without}"
    return "none"


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
        f"{card.schedule.name}, T {card.schedule.T}" if card.samples else "-",
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
