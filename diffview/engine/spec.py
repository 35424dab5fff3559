"""RunSpec: all that reproduces a run, as one frozen value that turns to JSON and back."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from diffview.engine import compat, next_token, origin, samplers, spacings
from diffview.engine.conflicts import Facts, conflicts, idle, trimmed
from diffview.engine.finishing import Finish
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import CLIP_RANGE, RUN_OPTIONS, SCHEDULE, Option, Value, numbers
from diffview.engine.origin import Origin
from diffview.engine.schedules import Schedule, chosen
from diffview.engine.seeds import MAX_SAMPLES, MAX_SEED, parse_seeds
from diffview.errors import InputError

__all__ = [
    "MAX_SAMPLES",
    "MAX_SEED",
    "Facts",
    "Guidance",
    "RunSpec",
    "checked",
    "conflicts",
    "declared_options",
    "from_json",
    "idle",
    "parse_seeds",
    "trimmed",
]

SPEC_VERSION = 3
"""2 added the guide and the curve of guidance, 3 prompts and branches; those before are read."""
MAX_SCALE = 1e6
MAX_KNOTS = 10_000
MAX_PROMPT = 10_000

_OF_EVERY_RUN = {option.name: option for option in RUN_OPTIONS}

Condition = int | str | tuple[int, ...] | tuple[str, ...] | None
"""A class, a prompt, one class or one prompt per sample, or nothing."""


Curve = tuple[tuple[float, float], ...]
"""(log(alpha / sigma) in nats, factor), rising in the first."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """Which guidance steers a run, and how strongly (gamma: 0 none, 1 conditional).

    guide is the id of the classifier or the weaker model. The curve says how much of gamma acts
    along the run: gamma - 1 (gamma with a classifier) is multiplied by a factor, linear between
    knots over log(alpha / sigma) and constant beyond them, so it means the same for any N.
    """

    kind: str = "none"
    scale: float = 1.0
    guide: str = ""
    curve: Curve = ()

    KINDS = ("none", "cfg", "classifier", "autoguidance")
    NEED_GUIDE = ("classifier", "autoguidance")

    @property
    def neutral(self) -> float:
        """The gamma that adds nothing to the model under its condition."""
        return 0.0 if self.kind == "classifier" else 1.0


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run: model, sampler, steps, guidance, condition, one seed per sample, options.

    negative is the prompt that classifier-free guidance steers away from, in place of no prompt;
    "" is an empty prompt, which some models tell from none. origin is the run that this one left
    on its way: what is said here holds from there on.
    """

    model_id: str
    sampler: str = "ddim"
    n_steps: int = 50
    spacing: str = "trailing"
    guidance: Guidance = field(default_factory=Guidance)
    condition: Condition = None
    seeds: tuple[int, ...] = (0,)
    options: tuple[tuple[str, Value], ...] = ()
    negative: str | None = None
    origin: Origin | None = None

    @property
    def batch(self) -> int:
        """B, the number of samples."""
        return len(self.seeds)

    @property
    def by_token(self) -> bool:
        """Whether it writes token by token, with a model that predicts the next one."""
        return samplers.find(self.sampler).by_token

    def option(self, name: str) -> Value:
        """The value of option `name`: as given, else its declared default.

        One of every run that this sampler has no use for does nothing: its default.
        """
        declared = self.declared()
        option = declared[name] if name in declared else _OF_EVERY_RUN[name]
        return dict(self.options).get(name, option.default)

    def declared(self) -> dict[str, Option]:
        """The options that this run can have."""
        return declared_options(self.sampler)

    def sampler_options(self) -> dict[str, Value]:
        """What goes to the sampler's generator as keywords."""
        return {o.name: self.option(o.name) for o in samplers.find(self.sampler).options}

    def schedule(self, own: Schedule) -> Schedule:
        """The schedule that this run goes by, on a model whose own is `own`."""
        return chosen(str(self.option(SCHEDULE.name)), own)

    def levels(self, schedule: Schedule) -> tuple[NoiseLevel, ...]:
        """The N + 1 levels of this run on a model of this schedule, the last one CLEAN.

        Raises InputError when the schedule has no such N levels. A run that writes token by token
        has no schedule: its levels tell how many tokens are missing.
        """
        if self.by_token:
            return next_token.levels(self.n_steps)
        schedule = self.schedule(schedule)
        if self.option("compat") == "diffusers":
            return compat.levels(
                schedule,
                self.sampler,
                self.n_steps,
                self.spacing,
                rho=float(self.option("rho")),
                steps_offset=int(self.option("steps_offset")),
                shift=float(self.option("shift")),
            )
        return spacings.levels(
            schedule,
            self.n_steps,
            self.spacing,
            rho=float(self.option("rho")),
            steps_offset=int(self.option("steps_offset")),
            shift=float(self.option("shift")),
            times=numbers(self.option("times")),
        )

    def finish(self) -> Finish:
        """What happens to the guided estimate before the sampler uses it."""
        low, high = numbers(self.option("clip_range"))
        return Finish(
            low=low,
            high=high,
            rescale=float(self.option("rescale")),
            rescale_space=str(self.option("rescale_space")),
            clip=str(self.option("clip")),
            threshold=float(self.option("threshold")),
        )

    def gamma(self, level: NoiseLevel, scale: float | None = None) -> float:
        """The guidance scale that acts at `level`: interval and curve applied to `scale`.

        `scale` is this run's own unless given.
        """
        scale = self.guidance.scale if scale is None else scale
        interval, neutral = numbers(self.option("interval")), self.guidance.neutral
        if interval and not interval[0] < level.ratio <= interval[1]:
            return neutral
        if not self.guidance.curve:
            return scale
        lams, factors = zip(*self.guidance.curve, strict=True)
        factor = float(np.interp(level.lam, lams, factors))
        return scale if factor == 1 else neutral + factor * (scale - neutral)

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back to an equal spec.

        Options that were left alone are there with the defaults of today, which then hold for
        this run whatever a later release has for defaults.
        """
        condition = list(self.condition) if isinstance(self.condition, tuple) else self.condition
        return {
            "version": SPEC_VERSION,
            "model_id": self.model_id,
            "sampler": self.sampler,
            "n_steps": self.n_steps,
            "spacing": self.spacing,
            "guidance": {
                "kind": self.guidance.kind,
                "scale": self.guidance.scale,
                "guide": self.guidance.guide,
                "curve": [list(knot) for knot in self.guidance.curve],
            },
            "condition": condition,
            "negative": self.negative,
            "seeds": list(self.seeds),
            "options": dict(self.options),
            "defaults": self._defaults(),
            "origin": None if self.origin is None else self.origin.to_json(),
        }

    def _defaults(self) -> dict[str, Value]:
        given = dict(self.options)
        return {name: o.default for name, o in self.declared().items() if name not in given}


def declared_options(sampler: str) -> dict[str, Option]:
    """The options a run with this sampler has: the sampler's own and those of every run.

    Those of every run are about noise: a sampler that writes token by token has none of them.
    """
    info = samplers.find(sampler)
    every = {} if info.by_token else _OF_EVERY_RUN
    own = {option.name: option for option in info.options}
    return {name: option for name, option in own.items() if name not in every} | every


def checked(spec: RunSpec) -> RunSpec:
    """The spec with options in their own types. Raises InputError naming the first bad value.

    Whether the model has such a class, and as many times as steps, the model's side checks.
    """
    declared = declared_options(spec.sampler)
    options = {}
    for name, value in spec.options:
        if name not in declared:
            raise InputError(_no_option(spec.sampler, name, declared))
        options[name] = declared[name].checked(value)
    _check_numbers(spec, options)
    return RunSpec(
        model_id=spec.model_id,
        sampler=spec.sampler,
        n_steps=spec.n_steps,
        spacing=spec.spacing,
        guidance=spec.guidance,
        condition=spec.condition,
        seeds=spec.seeds,
        options=tuple(sorted(options.items())),
        negative=spec.negative,
        origin=origin.checked(spec, checked),
    )


def _no_option(sampler: str, name: str, declared: Mapping[str, Option]) -> str:
    every = samplers.every() | samplers.by_token()
    having = ", ".join(one for one in every if name in declared_options(one))
    others = f" (those that have it: {having})" if having else ""
    return f"sampler '{sampler}' has no option '{name}'{others}; it has {', '.join(declared)}"


def _check_numbers(spec: RunSpec, options: Mapping[str, Value]) -> None:
    if spec.spacing not in spacings.SPACINGS:
        known = ", ".join(spacings.SPACINGS)
        raise InputError(f"unknown spacing '{spec.spacing}'; known are {known}")
    if spec.n_steps < 1:
        raise InputError(f"{spec.n_steps} steps cannot be taken: choose at least 1")
    if spec.guidance.kind not in Guidance.KINDS:
        raise InputError(
            f"unknown guidance '{spec.guidance.kind}'; known are {', '.join(Guidance.KINDS)}"
        )
    scale = spec.guidance.scale
    if not abs(scale) <= MAX_SCALE:  # not a number is refused too
        raise InputError(
            f"guidance γ = {scale} cannot be used: give a finite number, "
            f"at most {MAX_SCALE:g} (0 unconditional, 1 conditional)"
        )
    _check_prompts(spec)
    _check_curve(spec.guidance.curve)
    _check_interval(numbers(options.get("interval", "")))
    _check_range(numbers(options.get("clip_range", CLIP_RANGE.default)))
    if not 1 <= len(spec.seeds) <= MAX_SAMPLES:
        raise InputError(
            f"{len(spec.seeds)} samples cannot be drawn: give 1 to {MAX_SAMPLES} seeds"
        )
    for seed in spec.seeds:
        if not 0 <= seed <= MAX_SEED:
            raise InputError(f"seed {seed} is outside 0 to {MAX_SEED}")


def _check_prompts(spec: RunSpec) -> None:
    asked = spec.condition if isinstance(spec.condition, tuple) else (spec.condition,)
    for prompt in (*asked, spec.negative):
        if isinstance(prompt, str) and len(prompt) > MAX_PROMPT:
            raise InputError(f"a prompt has at most {MAX_PROMPT} letters, not {len(prompt)}")


def _check_curve(curve: Curve) -> None:
    if len(curve) > MAX_KNOTS:
        raise InputError(f"a guidance curve has at most {MAX_KNOTS} knots, not {len(curve)}")
    for lam, factor in curve:
        if not (math.isfinite(lam) and abs(factor) <= MAX_SCALE):
            raise InputError(f"({lam}, {factor}) is no knot of a guidance curve: give two numbers")
    if any(after[0] <= before[0] for before, after in pairwise(curve)):
        raise InputError("the knots of a guidance curve must rise in log(alpha / sigma)")


def _check_interval(interval: tuple[float, ...]) -> None:
    if interval and not interval[0] < interval[1]:
        raise InputError(
            f"the guidance interval {interval[0]:g} to {interval[1]:g} is empty: "
            "give the smaller sigma first, such as 0.19, 1.61"
        )


def _check_range(span: tuple[float, ...]) -> None:
    if len(span) != 2 or not span[0] < span[1]:
        raise InputError(
            f"clip_range = {', '.join(f'{end:g}' for end in span) or 'nothing'} is no range: give "
            "the lowest and the highest value of the data, such as -1, 1"
        )


def from_json(value: object) -> RunSpec:
    """The spec that `RunSpec.to_json` wrote. Raises InputError for anything else."""
    if not isinstance(value, Mapping):
        raise InputError("the recipe is not a JSON object")
    version = value.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InputError("the recipe has no version number, so it was not written by diffview")
    if version > SPEC_VERSION:
        raise InputError(
            f"the recipe has version {version}, this diffview reads up to {SPEC_VERSION}: "
            "update diffview to open it"
        )
    try:
        return checked(_spec_from(value, version))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"the recipe is damaged: {type(error).__name__} {error}") from None


def _spec_from(value: Mapping[str, Any], version: int) -> RunSpec:
    sampler = _typed(value["sampler"], str)
    # Of files that do not tell their defaults those of today hold.
    defaults = _typed(value.get("defaults", {}), dict)
    options = {**_unlike_today(defaults, sampler), **_typed(value["options"], dict)}
    return RunSpec(
        model_id=_typed(value["model_id"], str),
        sampler=sampler,
        n_steps=_typed(value["n_steps"], int),
        spacing=_typed(value["spacing"], str),
        guidance=_guidance_from(value["guidance"], version),
        condition=_condition_from(value["condition"]),
        seeds=tuple(_typed(seed, int) for seed in _typed(value["seeds"], list)),
        options=tuple((str(k), _typed(v, (bool, int, float, str))) for k, v in options.items()),
        negative=_typed(value["negative"], (str, type(None))) if version >= 3 else None,
        origin=origin.from_json(value["origin"], from_json) if version >= 3 else None,
    )


def _unlike_today(defaults: Mapping[str, Any], sampler: str) -> dict[str, Any]:
    declared = declared_options(sampler)
    return {
        name: value
        for name, value in defaults.items()
        if name in declared and value != declared[name].default
    }


def _guidance_from(value: Mapping[str, Any], version: int) -> Guidance:
    plain = Guidance(_typed(value["kind"], str), float(_typed(value["scale"], (int, float))))
    if version == 1:
        return plain
    knots = [_typed(knot, list) for knot in _typed(value["curve"], list)]
    return replace(
        plain,
        guide=_typed(value["guide"], str),
        curve=tuple((_number(lam), _number(factor)) for lam, factor in knots),
    )


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise TypeError("a truth value is no number")
    return float(_typed(value, (int, float)))


def _condition_from(value: object) -> Condition:
    if isinstance(value, list):
        kind = str if value and isinstance(value[0], str) else int
        return tuple(_typed(one, kind) for one in value)
    if value is None or (isinstance(value, int | str) and not isinstance(value, bool)):
        return value
    raise TypeError(f"condition is a {type(value).__name__}")


def _typed(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{json.dumps(value, default=str)[:40]} is not of the right type")
    return value
