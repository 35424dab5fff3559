"""RunSpec: all that reproduces a run, as one frozen value that turns to JSON and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from diffview.engine import samplers, spacings
from diffview.engine.levels import NoiseLevel
from diffview.engine.options import RUN_OPTIONS, Option, Value, numbers
from diffview.engine.schedules import Schedule
from diffview.errors import InputError

SPEC_VERSION = 1
MAX_SEED = 2**63 - 1
MAX_SAMPLES = 4096
MAX_SCALE = 1e6

Condition = int | str | tuple[int, ...] | None
"""A class, a prompt, one class per sample, or nothing."""


@dataclass(frozen=True, slots=True)
class Guidance:
    """Which guidance steers a run, and how strongly (gamma: 0 none, 1 conditional)."""

    kind: str = "none"
    scale: float = 1.0

    KINDS = ("none", "cfg")


@dataclass(frozen=True, slots=True)
class RunSpec:
    """A run: model, sampler, steps, guidance, condition, one seed per sample, options."""

    model_id: str
    sampler: str = "ddim"
    n_steps: int = 50
    spacing: str = "trailing"
    guidance: Guidance = field(default_factory=Guidance)
    condition: Condition = None
    seeds: tuple[int, ...] = (0,)
    options: tuple[tuple[str, Value], ...] = ()

    @property
    def batch(self) -> int:
        """B, the number of samples."""
        return len(self.seeds)

    def option(self, name: str) -> Value:
        """The value of option `name`: as given, else its declared default."""
        return dict(self.options).get(name, declared_options(self.sampler)[name].default)

    def sampler_options(self) -> dict[str, Value]:
        """What goes to the sampler's generator as keywords."""
        return {o.name: self.option(o.name) for o in samplers.find(self.sampler).options}

    def levels(self, schedule: Schedule) -> tuple[NoiseLevel, ...]:
        """The N + 1 levels of this run in a model's schedule, the last one CLEAN.

        Raises InputError when the schedule has no such N levels.
        """
        return spacings.levels(
            schedule,
            self.n_steps,
            self.spacing,
            rho=float(self.option("rho")),
            steps_offset=int(self.option("steps_offset")),
            shift=float(self.option("shift")),
            times=numbers(self.option("times")),
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON value `from_json` reads back to an equal spec."""
        condition = list(self.condition) if isinstance(self.condition, tuple) else self.condition
        return {
            "version": SPEC_VERSION,
            "model_id": self.model_id,
            "sampler": self.sampler,
            "n_steps": self.n_steps,
            "spacing": self.spacing,
            "guidance": {"kind": self.guidance.kind, "scale": self.guidance.scale},
            "condition": condition,
            "seeds": list(self.seeds),
            "options": dict(self.options),
        }


def declared_options(sampler: str) -> dict[str, Option]:
    """The options a run with this sampler has: the sampler's own and those of every run."""
    own = samplers.find(sampler).options
    return {option.name: option for option in (*own, *RUN_OPTIONS)}


def checked(spec: RunSpec) -> RunSpec:
    """The spec with options in their own types. Raises InputError naming the first bad value.

    Whether the model has such a class, and as many times as steps, the model's side checks.
    """
    declared = declared_options(spec.sampler)
    options = {}
    for name, value in spec.options:
        if name not in declared:
            raise InputError(
                f"sampler '{spec.sampler}' has no option '{name}'; it has {', '.join(declared)}"
            )
        options[name] = declared[name].checked(value)
    _check_numbers(spec)
    return RunSpec(
        model_id=spec.model_id,
        sampler=spec.sampler,
        n_steps=spec.n_steps,
        spacing=spec.spacing,
        guidance=spec.guidance,
        condition=spec.condition,
        seeds=spec.seeds,
        options=tuple(sorted(options.items())),
    )


def _check_numbers(spec: RunSpec) -> None:
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
    if not 1 <= len(spec.seeds) <= MAX_SAMPLES:
        raise InputError(
            f"{len(spec.seeds)} samples cannot be drawn: give 1 to {MAX_SAMPLES} seeds"
        )
    for seed in spec.seeds:
        if not 0 <= seed <= MAX_SEED:
            raise InputError(f"seed {seed} is outside 0 to {MAX_SEED}")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from words such as "7", "0-15" or "1,5,9-12". Raises InputError when malformed."""
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (_is_whole(first) and (not dash or _is_whole(last))):
            raise InputError(
                f"seeds '{text}' cannot be read: write one number, a range such as 0-15, "
                "or a list such as 1,5,9-12"
            )
        low, high = int(first), int(last if dash else first)
        if high < low:
            raise InputError(f"seeds '{part.strip()}' run backwards: write {high}-{low}")
        if high - low >= MAX_SAMPLES or len(seeds) + high - low >= MAX_SAMPLES:
            raise InputError(f"seeds '{text}' are more than {MAX_SAMPLES} samples; give fewer")
        seeds.extend(range(low, high + 1))
    return tuple(seeds)


def _is_whole(text: str) -> bool:
    # Python refuses to read numbers of thousands of digits, and no seed has more than 19.
    return text.isascii() and text.isdecimal() and len(text) <= 100


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
        return checked(_spec_from(value))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"the recipe is damaged: {type(error).__name__} {error}") from None


def _spec_from(value: Mapping[str, Any]) -> RunSpec:
    options = _typed(value["options"], dict)
    return RunSpec(
        model_id=_typed(value["model_id"], str),
        sampler=_typed(value["sampler"], str),
        n_steps=_typed(value["n_steps"], int),
        spacing=_typed(value["spacing"], str),
        guidance=Guidance(
            _typed(value["guidance"]["kind"], str),
            float(_typed(value["guidance"]["scale"], (int, float))),
        ),
        condition=_condition_from(value["condition"]),
        seeds=tuple(_typed(seed, int) for seed in _typed(value["seeds"], list)),
        options=tuple((str(k), _typed(v, (bool, int, float, str))) for k, v in options.items()),
    )


def _condition_from(value: object) -> Condition:
    if isinstance(value, list):
        return tuple(_typed(label, int) for label in value)
    if value is None or (isinstance(value, int | str) and not isinstance(value, bool)):
        return value
    raise TypeError(f"condition is a {type(value).__name__}")


def _typed(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"{json.dumps(value, default=str)[:40]} is not of the right type")
    return value
