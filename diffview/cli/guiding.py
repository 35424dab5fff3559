"""The flags of guidance: its kind, the second model, where it acts and how strongly."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from diffview.cli import arguments
from diffview.engine.options import Value
from diffview.engine.spec import Guidance, RunSpec
from diffview.errors import InputError
from diffview.models import catalog, guides
from diffview.models.card import ModelCard
from diffview.models.catalog import Entry


def add_arguments(group: argparse._ArgumentGroup) -> None:
    """Declare --guidance-kind, --guide, --interval and --curve."""
    group.add_argument(
        "--guidance-kind",
        metavar="NAME",
        type=arguments.word,
        help=f"any of {', '.join(Guidance.KINDS)} (cfg with a condition; what --guide is for)",
    )
    group.add_argument(
        "--guide",
        metavar="ID|FILE",
        type=arguments.word,
        help="the second model: a classifier, or for autoguidance a weaker model of the same "
        "pictures",
    )
    group.add_argument(
        "--interval",
        metavar="LOW,HIGH",
        type=arguments.word,
        help="guide only where σ/α is above the first and not above the second: 0.19,1.61",
    )
    group.add_argument(
        "--curve",
        metavar="λ:f,...",
        type=arguments.curve,
        default=(),
        help="how much of γ acts, over λ = log(α/σ): -4:0,0:1,3:0.5 (everything, everywhere)",
    )


@dataclass(frozen=True, slots=True)
class Guiding:
    """What was asked of guidance, as `sampling.spec_for` takes it, and the guide's file."""

    guidance: float | Guidance | None
    entry: Entry | None
    options: dict[str, Value]

    @property
    def card(self) -> ModelCard | None:
        """The guide's card."""
        return None if self.entry is None else self.entry.card


def chosen(args: argparse.Namespace, card: ModelCard) -> Guiding:
    """Read the flags. Raises InputError for a guide that is not there or does not fit."""
    kind = args.guidance_kind
    if kind is not None and kind not in Guidance.KINDS:
        raise InputError(
            f"unknown --guidance-kind '{kind}'; known are {', '.join(Guidance.KINDS)}"
        )
    if kind in Guidance.NEED_GUIDE and args.guide is None:
        raise InputError(_needs(kind, card))
    entry = None if args.guide is None else catalog.find(args.guide)
    options: dict[str, Value] = dict(args.option)
    if args.interval is not None:
        if "interval" in options:
            raise InputError("--interval and --option interval=... say the same: give one of them")
        options["interval"] = args.interval
    guide = None if entry is None else entry.card
    given = guides.guidance(card, kind=kind, scale=args.guidance, guide=guide, curve=args.curve)
    return Guiding(given, entry, options)


def _needs(kind: str, card: ModelCard) -> str:
    fitting = [
        entry.card.id
        for entry in catalog.bundled()
        if not guides.reason_against(card, entry.card, kind)
    ]
    choice = f"such as {', '.join(fitting)}" if fitting else "by its file: none that ships fits"
    return f"--guidance-kind {kind} needs a second model: choose --guide, {choice}"


def strength(spec: RunSpec) -> str:
    """How strongly a run is guided, for people, in both conventions where there are two."""
    kind, scale = spec.guidance.kind, spec.guidance.scale
    if kind == "none":
        return "no guidance"
    if kind == "cfg":
        return f"γ {scale:g}, w = γ − 1 = {scale - 1:g}"
    return f"γ {scale:g} by {kind} {spec.guidance.guide}"
