"""What a person has chosen, as frozen values: which run to make, and what of it to look at."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

from diffview.engine import compat, samplers
from diffview.engine.options import CLIP, CLIP_RANGE, RUN_OPTIONS, SCHEDULE, Value, numbers
from diffview.engine.schedules import Schedule, chosen
from diffview.engine.spacings import LIST
from diffview.engine.spec import (
    Condition,
    Curve,
    Guidance,
    RunSpec,
    checked,
    conflicts,
    declared_options,
    trimmed,
)
from diffview.errors import InputError
from diffview.models import hf, memory, sampling
from diffview.models.card import ModelCard

DEFAULT_SAMPLES = 16
DEFAULT_SCALE = 3.0
FEW_SAMPLES = 4
"""Of a large model, until a person asks for more."""


@dataclass(frozen=True, slots=True)
class Choices:
    """The settings of the next run, as the panels show them.

    A condition of several classes is dealt out to the samples in turn, over and over. The guide
    is the second model of classifier guidance and autoguidance, by its id.
    """

    model_id: str
    sampler: str = "ddim"
    n_steps: int = 50
    spacing: str = "trailing"
    guidance_scale: float = DEFAULT_SCALE
    condition: Condition = None
    seeds: tuple[int, ...] = tuple(range(DEFAULT_SAMPLES))
    options: tuple[tuple[str, Value], ...] = ()
    guidance_kind: str = "cfg"
    guide: str = ""
    curve: Curve = ()
    negative: str | None = None

    def option(self, name: str) -> Value:
        """The chosen value of an option, else its default; also of those this sampler lacks."""
        declared = {option.name: option for option in RUN_OPTIONS} | declared_options(self.sampler)
        return dict(self.options).get(name, declared[name].default)

    def schedule(self, card: ModelCard) -> Schedule:
        """The schedule that a run goes by: a network has no other than its own."""
        exact = card.family in sampling.EXACT
        return chosen(str(self.option(SCHEDULE.name)), card.schedule) if exact else card.schedule

    @property
    def by_token(self) -> bool:
        """Whether they ask for a picture token by token."""
        return samplers.find(self.sampler).by_token

    def with_option(self, name: str, value: Value) -> Choices:
        """The same with one option changed; typed times decide how many steps there are."""
        options = tuple(sorted({**dict(self.options), name: value}.items()))
        changed = replace(self, options=options)
        if name != "times" or self.spacing != LIST:
            return changed
        try:
            return replace(changed, n_steps=len(numbers(value)) or self.n_steps)
        except InputError:  # it stays as it was typed, and the run is refused for it
            return changed

    def with_spacing(self, spacing: str, card: ModelCard) -> Choices:
        """The same with another spacing; 'list' begins with the times of the present one."""
        changed = replace(self, spacing=spacing)
        if spacing != LIST or spacing == self.spacing:
            return changed
        try:
            levels = self.spec(card).levels(card.schedule)[:-1]
        except InputError:
            return changed
        return changed.with_option("times", ", ".join(f"{level.t:.6g}" for level in levels))

    def with_guidance(self, kind: str, guide: str, card: ModelCard) -> Choices:
        """The same under another kind of guidance; clipping follows unless it was chosen."""
        changed = replace(self, guidance_kind=kind, guide=guide)
        if self.by_token or self.option("clip") != _usual_clip(self, card):
            return changed
        return changed.with_option("clip", _usual_clip(changed, card))

    def with_sampler(self, sampler: str) -> Choices:
        """The same with another sampler; options it does not have are dropped."""
        known = set(declared_options(samplers.find(sampler).name))
        if (sampler in compat.FLOW) != (self.sampler in compat.FLOW):
            known.discard("compat")  # no scheduler of diffusers is of both kinds
        options = tuple((name, value) for name, value in self.options if name in known)
        return replace(self, sampler=sampler, options=options)

    def spec(self, card: ModelCard, *, guidable: bool = True) -> RunSpec:
        """The run these choices ask of a model; `guidable` if it has a label that means none."""
        condition = self.condition
        if isinstance(condition, tuple):
            dealt = (condition[k % len(condition)] for k in range(len(self.seeds)))
            condition = cast(Condition, tuple(dealt))
        guidance = self._guidance(condition, guidable=guidable)
        spec = RunSpec(
            model_id=card.id,
            sampler=self.sampler,
            n_steps=self.n_steps,
            spacing=self.spacing,
            guidance=guidance,
            condition=condition,
            negative=self.negative if guidance.kind == "cfg" else None,
            seeds=self.seeds,
            options=self._ranged(card),
        )
        # What is greyed out is kept here and takes no part in the run.
        return trimmed(spec, sampling.facts_of(card, guidable=guidable))

    def _ranged(self, card: ModelCard) -> tuple[tuple[str, Value], ...]:
        """The options; a run that clipped nothing has told nothing of the range of the data."""
        if self.by_token:
            return self.options
        return tuple(sorted({**sampling.range_of(card), **dict(self.options)}.items()))

    def _guidance(self, condition: Condition, *, guidable: bool) -> Guidance:
        kind, steers = self.guidance_kind, condition is not None
        possible = {"cfg": guidable and steers, "classifier": steers, "autoguidance": True}
        if not possible.get(kind, False):
            return Guidance()
        guide = self.guide if kind in Guidance.NEED_GUIDE else ""
        return Guidance(kind, self.guidance_scale, guide, self.curve)


def defaults(card: ModelCard) -> Choices:
    """What the model's card recommends, else common values; nonsense recommends nothing."""
    try:
        own = _recommended(card)
        checked(own.spec(card))
        return own
    except (InputError, AttributeError, TypeError, ValueError, OverflowError):
        return _recommended(replace(card, defaults={}))


def _recommended(card: ModelCard) -> Choices:
    sampler = str(sampling.default(card, "sampler"))
    known = declared_options(sampler)
    options = sampling.default(card, "options")
    return Choices(
        card.id,
        sampler=sampler,
        n_steps=int(sampling.default(card, "steps")),
        spacing=str(sampling.default(card, "spacing")),
        guidance_scale=float(sampling.default(card, "guidance")),
        condition=_first_label(card),
        options=tuple(sorted((k, v) for k, v in options.items() if k in known)),
        guidance_kind=str(sampling.default(card, "guidance_kind")),
    )


def offered(card: ModelCard, kind: str, guide: ModelCard | None) -> tuple[str, ...]:
    """The classes that can be asked for: the model's, and where it has none its classifier's."""
    if card.classes or card.takes_text or kind != "classifier" or guide is None:
        return card.classes
    return guide.classes


def steered(choices: Choices, card: ModelCard, guide: ModelCard | None) -> Choices:
    """The same asking for a class that the classifier knows, if the model itself has none."""
    if card.classes or card.takes_text:
        return choices
    count = len(offered(card, choices.guidance_kind, guide))
    labels = choices.condition if isinstance(choices.condition, tuple) else (choices.condition,)
    if count and all(isinstance(label, int) and label < count for label in labels):
        return choices
    return replace(choices, condition=0 if count else None)


def _usual_clip(choices: Choices, card: ModelCard) -> Value:
    own = sampling.clip_for(card, Guidance(choices.guidance_kind))
    return {"clip": CLIP.default, **own, **sampling.default(card, "options")}["clip"]


def _first_label(card: ModelCard) -> Condition:
    label = card.defaults.get("label", 0)
    if card.takes_text:
        prompt = card.defaults.get("prompt")
        return prompt if isinstance(prompt, str) and prompt else None
    if not card.classes:
        return None
    return label if type(label) is int and 0 <= label < len(card.classes) else 0


def from_spec(spec: RunSpec) -> Choices:
    """The choices that ask for `spec` again."""
    guided = spec.guidance.kind != "none"
    # Without a condition there may be nothing to guide, which is no choice against guidance.
    kind = spec.guidance.kind if guided or spec.condition is not None else "cfg"
    return Choices(
        model_id=spec.model_id,
        sampler=spec.sampler,
        n_steps=spec.n_steps,
        spacing=spec.spacing,
        guidance_scale=spec.guidance.scale if guided else DEFAULT_SCALE,
        condition=spec.condition,
        seeds=spec.seeds,
        options=spec.options,
        guidance_kind=kind,
        guide=spec.guidance.guide,
        curve=spec.guidance.curve,
        negative=spec.negative,
    )


def same_settings(spec: RunSpec, chosen: RunSpec) -> bool:
    """Whether a run, or the part of a branch that is its own, is what was chosen.

    An option that is not given has its default; one class for all is the same class for each.
    """
    return _plain(spec) == _plain(chosen)


def _plain(spec: RunSpec) -> RunSpec:
    declared, asked = spec.declared(), spec.condition
    options = tuple(pair for pair in spec.options if pair[1] != declared[pair[0]].default)
    if isinstance(asked, tuple) and len(set(asked)) == 1:
        asked = asked[0]
    return replace(spec, origin=None, options=options, condition=asked)


def adapted(choices: Choices, card: ModelCard, before: ModelCard | None = None) -> Choices:
    """The choices carried over to another model: what it lacks falls back to its defaults.

    So does a guidance scale that is still the one of the model `before`: what is strong for one
    model may be weak for another.
    """
    own = defaults(card)
    labels = choices.condition if isinstance(choices.condition, tuple) else (choices.condition,)
    keeps = all(_has(card, label) for label in labels)
    needs_guide = choices.guidance_kind in Guidance.NEED_GUIDE
    usual = before is not None and choices.guidance_scale == defaults(before).guidance_scale
    negative = choices.negative if card.takes_text and card.guidable else None
    condition = choices.condition if keeps else own.condition
    seeds = choices.seeds[:FEW_SAMPLES] if is_large(card) else choices.seeds
    anew = replace(own, seeds=seeds, condition=condition, negative=negative)
    if choices.by_token or card.by_token or card.family == hf.FAMILY:
        # How a picture is sampled says nothing of how one is written, nor the other way round;
        # and a person's model comes with the sampler that its makers chose.
        return anew
    carried = replace(
        choices,
        model_id=card.id,
        n_steps=min(choices.n_steps, card.schedule.T),
        spacing=own.spacing if choices.spacing == LIST else choices.spacing,
        condition=condition,
        guidance_kind="cfg" if needs_guide else choices.guidance_kind,
        guidance_scale=own.guidance_scale if usual else choices.guidance_scale,
        guide="",
        negative=negative,
        options=_carried(choices, own),
    )
    return anew if _is_nonsense(carried, card) else carried


def _carried(choices: Choices, own: Choices) -> tuple[tuple[str, Value], ...]:
    """The options of other choices; the range of the data is the model's own."""
    kept = [pair for pair in choices.options if pair[0] != CLIP_RANGE.name]
    ranged = [pair for pair in own.options if pair[0] == CLIP_RANGE.name]
    return tuple(sorted([*kept, *ranged]))


def is_large(card: ModelCard) -> bool:
    """Whether a run of it takes long enough to be asked for before it begins."""
    return card.parameters >= memory.LARGE


def waits(choices: Choices, card: ModelCard) -> bool:
    """Whether a run is not begun before a prompt is there: it would be long, and of nothing."""
    return is_large(card) and card.takes_text and choices.condition is None


def _is_nonsense(choices: Choices, card: ModelCard) -> bool:
    """Whether no such run can be made, as of a sampler for flows where there is none."""
    try:
        return bool(conflicts(checked(choices.spec(card)), sampling.facts_of(card)))
    except InputError:
        return True


def _has(card: ModelCard, label: int | str | None) -> bool:
    if isinstance(label, str):
        return card.takes_text
    return label is not None and label < len(card.classes)


@dataclass(frozen=True, slots=True)
class Pane:
    """What one pane shows, and how values become brightness."""

    quantity: str
    policy: str = "clamp"


@dataclass(frozen=True, slots=True)
class Look:
    """What of the shown run is looked at.

    `following` keeps the newest step in view until a person takes the scrubber. `guidance_scale`
    is the slider's preview at this step; None shows the run as it was made. stage: which of a
    step's evaluations, 0 its own.
    """

    index: int = 0
    following: bool = True
    panes: tuple[Pane, Pane] = (Pane("xt"), Pane("x0hat"))
    strip: str = "x0hat"
    sample: int = 0
    focus: int | None = None
    guidance_scale: float | None = None
    stage: int = 0


@dataclass(frozen=True, slots=True)
class Activity:
    """What the sampling thread is doing; `redoing` says the old run is still on screen.

    look_steps: in how many steps its first samples are shown before, 0 where in all.
    """

    busy: bool = False
    redoing: bool = False
    text: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    look_steps: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to the person: "info", "warning" or "error", with details one click away.

    topic: what it is about, "open" or "run"; it is taken back when that is done anew.
    """

    text: str
    kind: str = "info"
    details: str = ""
    topic: str = ""
