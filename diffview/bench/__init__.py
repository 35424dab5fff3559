"""diffview's own speed: one file for each thing that is measured, targets in `measures`.

    diffview bench                          a line for each figure: what, value, target, met or not
    diffview bench --json --only engine     one JSON object a line:
        {"name": ..., "what": ..., "value": ..., "unit": ..., "target": ..., "met": ...,
         "detail": {"machine": ..., "min": ..., "max": ..., ...}}

A benchmark, not a test: a missed target is told, and the exit code is 0 all the same.
"""

from __future__ import annotations

import argparse
import importlib
import json
from collections.abc import Iterator

from diffview.bench.measures import GROUPS, MEASURES, SIGNS, Measure, Plan, Reading
from diffview.errors import InputError

FAMILIES = ("sd",)
"""Families of other people's models that have a group of their own."""

_BY_NAME = {measure.name: measure for measure in MEASURES}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what to measure and how to tell it."""
    parser.add_argument("--json", action="store_true", help="one JSON object for each figure")
    parser.add_argument(
        "--only", metavar="NAMES", help=f"some of {','.join(GROUPS)}, with commas between"
    )
    parser.add_argument(
        "--family",
        choices=FAMILIES,
        help="measure only a model of this family, of realistic shape and random weights",
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, rougher figures")
    parser.add_argument(
        "--model", metavar="ID|FILE", default="fashion", help="the model to run (fashion)"
    )
    parser.add_argument(
        "--device", metavar="NAME", default="auto", help="where the engine runs (auto)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure, and print each figure as soon as it is known."""
    groups = _chosen(args.family or args.only)
    plan = Plan(args.model, args.device, args.quick)
    _check_model(plan.model)
    for group in groups:
        for reading in _measure(group, plan):
            tell = as_json if args.json else as_text
            print(tell(_BY_NAME[reading.name], reading), flush=True)
    return 0


def _chosen(only: str | None) -> tuple[str, ...]:
    if only is None:
        return GROUPS
    wanted = [word.strip() for word in only.split(",") if word.strip()]
    unknown = [word for word in wanted if word not in GROUPS]
    if unknown or not wanted:
        raise InputError(f"--only {only}: give some of {', '.join(GROUPS)}, with commas between")
    return tuple(group for group in GROUPS if group in wanted)


def _check_model(name: str) -> None:
    from diffview.models import catalog

    if not catalog.find(name).card.classes:
        raise InputError(f"model '{name}' has no classes, so guidance cannot be measured with it")


def _measure(group: str, plan: Plan) -> Iterator[Reading]:
    # Lazily: the engine needs torch, help needs neither that nor numpy.
    yield from importlib.import_module(f"{__name__}.{group}").measure(plan)


def as_json(measure: Measure, reading: Reading) -> str:
    """One line for programs."""
    from diffview.bench.machine import machine

    facts = {"min": _rounded(reading.low), "max": _rounded(reading.high), **reading.detail}
    return json.dumps(
        {
            "name": measure.name,
            "what": measure.what,
            "value": _rounded(reading.value),
            "unit": measure.unit,
            "target": measure.target,
            "met": measure.met(reading.value),
            "detail": {"at_least": measure.at_least, **facts, "machine": machine()},
        }
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def as_text(measure: Measure, reading: Reading) -> str:
    """One line for people."""
    head = f"{measure.name:<22} {measure.what:<50}"
    if reading.value is None:
        return f"{head} not measured: {reading.detail.get('skipped', '')}"
    notes = [_target(measure, reading.value), *_notes(reading)]
    return f"{head} {_figure(measure, reading):<38} {'; '.join(filter(None, notes))}"


def _figure(measure: Measure, reading: Reading) -> str:
    spread = ""
    if reading.low is not None and reading.high is not None and reading.low < reading.high:
        spread = f" ({reading.low:.3g} to {reading.high:.3g})"
    return f"{reading.value:.3g} {SIGNS[measure.unit]}{spread}"


def _target(measure: Measure, value: float) -> str:
    if measure.target is None:
        return ""
    sign = "≥" if measure.at_least else "≤"
    return f"target {sign} {measure.target:g}: {'met' if measure.met(value) else 'NOT met'}"


def _notes(reading: Reading) -> list[str]:
    return [str(reading.detail["note"])] if "note" in reading.detail else []
