"""What stands against choices: the reasons by which panels grey out what would make no sense."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from diffview.engine import beginning, divergence, samplers, twins
from diffview.engine.conflicts import ONLY_CFG
from diffview.engine.origin import Origin
from diffview.engine.spacings import LIST, SPACINGS
from diffview.engine.spec import Facts, Guidance, RunSpec, conflicts, declared_options, idle
from diffview.errors import InputError
from diffview.models import guides, sampling
from diffview.models.card import ModelCard
from diffview.ui import state
from diffview.ui.state import Choices

FEW = 4
OTHER_LEVELS = ("schedule", "spacing", "compat")
"""What a branch cannot choose, which stays on the levels of the run it leaves."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Reasons by name.

    idle: options (and "steps") that do nothing as things are. barred: what cannot be chosen of
    "sampler", "spacing", "guidance_kind", "guide" and of an option, by the choice. warning: why
    the choices cannot be run, or can and will disappoint.
    """

    idle: Mapping[str, str] = field(default_factory=dict)
    barred: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    warning: str = ""


@dataclass(frozen=True, slots=True)
class _Subject:
    """A model, equal to any of the same facts."""

    facts: Facts
    card: ModelCard = field(compare=False)
    guidable: bool

    def spec(self, choices: Choices, step: int = 0) -> RunSpec:
        """What is chosen, as of a branch from `step` on; 0 is from x_T."""
        spec = choices.spec(self.card, guidable=self.guidable)
        return replace(spec, origin=Origin(spec, step)) if step else spec

    def reasons(self, choices: Choices, step: int = 0) -> list[str]:
        try:
            return conflicts(self.spec(choices, step), self.facts)
        except InputError as error:
            return [str(error)]


def outlook(
    choices: Choices,
    card: ModelCard,
    known: Sequence[ModelCard],
    *,
    guidable: bool = True,
    left: int = 0,
    here: int = 0,
) -> Outlook:
    """The outlook of `choices` on a model; `known` are the cards of all there are.

    left: the step at which the shown run, a branch on the levels that are chosen, left another;
    here: the one at which a branch would leave now. 0 where there is none.
    """
    subject = _Subject(sampling.facts_of(card, guidable=guidable), card, guidable)
    # How strongly and from which seeds makes no sense nor nonsense of anything.
    plain = replace(choices, guidance_scale=1.0, seeds=(0,), curve=(), condition=_one(choices))
    return Outlook(
        idle=_idle(choices, subject),
        barred={
            **_barred(plain, subject, branched=here > 0),
            "guidance_kind": _barred_kinds(card, subject.facts, known),
            "guide": _barred_guides(choices, card, known),
        },
        warning=_warning(plain, subject, left, here) or _equal(choices, subject),
    )


def _one(choices: Choices) -> int | None:
    return None if choices.condition is None else 0


def _equal(choices: Choices, subject: _Subject) -> str:
    told = twins.warning(subject.spec(choices))
    return told[:1].upper() + told[1:]


def _idle(choices: Choices, subject: _Subject) -> Mapping[str, str]:
    # The run's own spec has lost what is idle, and what depends on it would seem idle too.
    reasons = idle(replace(subject.spec(choices), options=choices.options), subject.facts)
    if choices.spacing == LIST:
        reasons["steps"] = "spacing 'list' has as many steps as times were typed"
    return reasons


@lru_cache(maxsize=64)
def _barred(
    choices: Choices, subject: _Subject, *, branched: bool = False
) -> dict[str, dict[str, str]]:
    """What cannot be chosen for a run from x_T, nor, if one could be `branched` off, for that."""
    present = subject.reasons(_lighter(choices))
    barred: dict[str, dict[str, str]] = {}
    for name, value, other in _others(choices, subject.card):
        # Any step is like the second: only at the first may there be nothing but noise.
        step = int(branched and name not in OTHER_LEVELS)
        new = [why for why in subject.reasons(_lighter(other), step) if why not in present]
        if new:
            barred.setdefault(name, {})[value] = new[0]
    return barred


def _lighter(choices: Choices) -> Choices:
    """Choices of the same reasons with fewer steps: only diffusers' grids break on their number.

    A thousand levels for each of thirty choices would take a second.
    """
    if choices.by_token or choices.option("compat") != "none" or choices.spacing == LIST:
        return choices
    return replace(choices, n_steps=min(choices.n_steps, FEW))


def _others(choices: Choices, card: ModelCard) -> Iterator[tuple[str, str, Choices]]:
    """Every choice of one name that could be made instead, and what would be chosen then."""
    if choices.by_token:  # its options are numbers, and there is one way to write
        return
    for sampler in samplers.every():
        if sampler != choices.sampler:
            yield "sampler", sampler, choices.with_sampler(sampler)
    for spacing in SPACINGS:
        if spacing == LIST != choices.spacing:  # which will begin with times of its own
            noisiest = replace(choices, spacing=LIST, n_steps=1)
            yield "spacing", LIST, noisiest.with_option("times", choices.schedule(card).span[1])
        elif spacing != choices.spacing:
            yield "spacing", spacing, replace(choices, spacing=spacing)
    for name, option in declared_options(choices.sampler).items():
        for value in option.choices:
            if value != choices.option(name):
                yield name, value, choices.with_option(name, value)


def _barred_kinds(card: ModelCard, facts: Facts, known: Sequence[ModelCard]) -> dict[str, str]:
    barred = {}
    if not facts.conditional:
        barred["cfg"] = "this model takes no condition, so there is nothing to steer to"
    elif not facts.null:
        barred["cfg"] = "this model has no 'no condition' input to steer away from"
    if facts.tokens:
        return barred | {kind: ONLY_CFG.format(kind) for kind in Guidance.NEED_GUIDE}
    if card.takes_text:
        barred["classifier"] = "this model takes a prompt, which is no class to steer to"
    for kind in Guidance.NEED_GUIDE:
        if kind not in barred and fitting(card, known, kind) is None:
            what = "classifier" if kind == "classifier" else "weaker model of the same pictures"
            barred[kind] = f"no {what} is here: open its file (Ctrl+O)"
    return barred


def _barred_guides(
    choices: Choices, card: ModelCard, known: Sequence[ModelCard]
) -> dict[str, str]:
    kind = choices.guidance_kind
    reasons = {guide.id: guides.reason_against(card, guide, kind) for guide in known}
    return {name: reason for name, reason in reasons.items() if reason}


def fitting(card: ModelCard, known: Sequence[ModelCard], kind: str) -> ModelCard | None:
    """The first known model that can be the guide of this kind; None where there is none."""
    for guide in known:
        if not guides.reason_against(card, guide, kind) and _has_goal(card, guide, kind):
            return guide
    return None


def _has_goal(card: ModelCard, guide: ModelCard, kind: str) -> bool:
    """Whether there is anything to choose that a classifier would steer to."""
    return kind != "classifier" or bool(state.offered(card, kind, guide))


@lru_cache(maxsize=64)
def _warning(choices: Choices, subject: _Subject, left: int, here: int) -> str:
    for reason in subject.reasons(choices, left):
        if here and not subject.reasons(choices, here):
            return f"Only a branch can be run so, from this step on: {reason}"
        return f"Cannot be run: {reason}"
    spec, schedule = subject.spec(choices, left), subject.card.schedule
    return beginning.warning(spec, schedule) or divergence.warning(spec, schedule)
