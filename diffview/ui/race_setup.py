"""What a lesson's set-up chooses in the race: the pair, and what both are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from diffview.errors import InputError
from diffview.ui.jobs import ModelSource
from diffview.ui.racing import SHOWN_RUN, Racing, Wanted, missing


def arrangement(racing: Racing) -> Mapping[str, str]:
    """What is chosen now, in a set-up's words."""
    left, right = (one.choice for one in racing.entrants)
    asked = {"prompt": racing.wanted.prompt, "label": racing.wanted.label}
    pair = {"pair": f"{left}, {right}"} if left and right else {}
    return {**pair, **asked}


def prepared(
    wanted: Mapping[str, str], racing: Racing, sources: Mapping[str, ModelSource]
) -> tuple[tuple[str, str] | None, Wanted]:
    """The pair, None where it stays, and what both are asked for.

    Raises InputError for a model that is not here and a class that neither side has.
    """
    asked = replace(
        racing.wanted,
        prompt=wanted.get("prompt", racing.wanted.prompt),
        label=wanted.get("label", racing.wanted.label),
    )
    if "pair" not in wanted:
        return None, asked
    left, right = (name.strip() for name in wanted["pair"].split(","))
    for name in (left, right):
        if name not in sources and name != SHOWN_RUN:
            raise InputError(" ".join(missing(name).split()))
    known = {name for one in (left, right) if one in sources for name in sources[one].card.classes}
    if "label" in wanted and known and asked.label not in known:
        raise InputError(f"neither model of the pair has a class '{asked.label}'")
    return (left, right), asked
