"""From where a branch leaves and what is chosen in the panels to the branch itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from diffview.engine.options import Value
from diffview.engine.spec import RunSpec, checked, idle
from diffview.errors import InputError
from diffview.models import branching, chance, sampling
from diffview.models.branching import UNCHANGED, Branch
from diffview.models.card import ModelCard
from diffview.ui.family import Leave
from diffview.ui.jobs import ModelSource
from diffview.ui.shelf import Shelf
from diffview.ui.state import Choices


def branched(
    leave: Leave, choices: Choices, source: ModelSource, shelf: Shelf, *, again: bool = False
) -> Branch:
    """The branch of a run of `source` under these choices. Raises InputError for what cannot be.

    Seeds are those chosen, where there are as many; made `again`, also in the leave's stead.
    """
    run, card = leave.base.run, source.card
    batch = len(leave.rows) or run.spec.batch
    plain = _seeds_of(run.spec, leave.rows)
    fits = len(choices.seeds) == batch and (again or leave.seeds is None)
    seeds = choices.seeds if fits else leave.seeds or plain
    chosen = _chosen(choices, source, seeds)
    _check_levels(run.spec, chosen, card)
    judge = shelf.guide_of(chosen, card)
    made = branching.branch(
        run,
        card,
        leave.step,
        guidance=chosen.guidance,
        seeds=None if seeds == plain else seeds,
        sampler=chosen.sampler,
        options=_options(run.spec, chosen, card),
        x_t=leave.x_t,
        rows=leave.rows,
        judge=None if judge is None else judge.card,
        guidable=source.guidable,
        **_condition(choices, source, run.spec, chosen),
    )
    if leave.rows:
        spec = made.trajectory.spec
        chance.check_completions(spec, card, leave.step, len(leave.rows))
    return made


def _seeds_of(spec: RunSpec, rows: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(spec.seeds[row] for row in rows) if rows else spec.seeds


def _chosen(choices: Choices, source: ModelSource, seeds: tuple[int, ...]) -> RunSpec:
    if choices.model_id != source.card.id:
        raise InputError(
            f"another model is chosen: choose '{source.card.title}' to branch off its run"
        )
    return checked(replace(choices, seeds=seeds).spec(source.card, guidable=source.guidable))


def _check_levels(left: RunSpec, chosen: RunSpec, card: ModelCard) -> None:
    same_number = left.n_steps == chosen.n_steps
    if same_number and left.levels(card.schedule) == chosen.levels(card.schedule):
        return
    raise InputError(
        f"a branch stays on the noise levels of its run, {left.n_steps} steps of spacing "
        f"'{left.spacing}': choose these again, or press Run for a run of its own"
    )


def _options(left: RunSpec, chosen: RunSpec, card: ModelCard) -> dict[str, Value]:
    """The chosen options that the branch would not have by itself."""
    unused = idle(chosen, sampling.facts_of(card))
    own = sampling.card_options(card, chosen.sampler).keys() | dict(left.options).keys()
    return {
        name: chosen.option(name)
        for name, option in chosen.declared().items()
        if name not in unused and (name in own or chosen.option(name) != option.default)
    }


def _condition(
    choices: Choices, source: ModelSource, left: RunSpec, chosen: RunSpec
) -> dict[str, Any]:
    """What differs in condition and negative prompt, as `branching.branch` takes it."""
    before = replace(choices, seeds=left.seeds).spec(source.card, guidable=source.guidable)
    negative = chosen.negative if chosen.negative != left.negative else UNCHANGED
    if before.condition == left.condition:
        return {"negative_prompt": negative}
    name = "prompt" if source.card.takes_text else "label"
    return {name: chosen.condition, "negative_prompt": negative}
