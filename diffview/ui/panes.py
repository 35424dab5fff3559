"""What the panes and the film strip show of another run: what it has, and what suits its kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from diffview.engine.trajectory import Trajectory
from diffview.frames.quantities import find
from diffview.ui.state import Look, Pane

USUAL = {False: ("xt", "x0hat"), True: ("xt", "entropy")}
"""By whether a run writes token by token: its state, and what it thinks or how open that is."""


def fitting(look: Look, run: Trajectory, before: Trajectory | None) -> dict[str, Any]:
    """The changes of `look` by which it shows only what `run` recorded.

    Where the run before was of the other kind, the panes begin anew with what is usual.
    """
    by_token = run.spec.by_token
    usual = USUAL[by_token]
    other_kind = before is not None and before.spec.by_token != by_token
    if other_kind or (before is None and by_token):
        return {
            "panes": tuple(Pane(name) for name in usual),
            "strip": "xt" if by_token else "x0hat",
        }

    def fits(name: str, otherwise: str) -> str:
        lacking = find(name).lacking(by_token=by_token, guided=run.guided)
        return otherwise if lacking else name

    second = usual[1]
    shown = tuple(replace(pane, quantity=fits(pane.quantity, second)) for pane in look.panes)
    return {"panes": shown, "strip": fits(look.strip, "xt" if by_token else "x0hat")}
