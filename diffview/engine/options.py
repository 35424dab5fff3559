"""Options are declared or they do not exist: panel, command line and checks read them here."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from diffview.engine.schedules import OWN, SCHEDULES
from diffview.errors import InputError

Value = float | int | bool | str


@dataclass(frozen=True, slots=True)
class Option:
    """One knob: its name, default, what is allowed, and what it says on hover.

    The default's type is the value's. A whole number takes whole numbers only; text without
    `choices` is a list of numbers such as "900, 500, 100", `counts` of them or none at all.
    """

    name: str
    title: str
    default: Value
    help: str
    source: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    counts: tuple[int, int] = (0, 10_000)

    @property
    def allowed(self) -> str:
        """What it takes, in words."""
        if self.choices:
            return ", ".join(self.choices)
        if isinstance(self.default, bool):
            return "true or false"
        low = "any" if self.low is None else f"{self.low:g}"
        high = "any" if self.high is None else f"{self.high:g}"
        return ("numbers from " if isinstance(self.default, str) else "") + f"{low} to {high}"

    def checked(self, value: Value | Iterable[float]) -> Value:
        """`value` as this option's own type; a list may come as text or as numbers.

        Raises InputError when it is not allowed.
        """
        if isinstance(self.default, str) and not self.choices:
            return self._checked_list(value)
        if isinstance(value, Iterable) and not isinstance(value, str):
            raise InputError(f"{self.name} = {value} is a list; it takes {self.allowed}")
        if self.choices:
            return self._checked_choice(value)
        if isinstance(self.default, bool):
            return self._checked_switch(value)
        return self._checked_number(value)

    def _checked_list(self, value: Value | Iterable[float]) -> str:
        words = _words(value)
        if words and not self.counts[0] <= len(words) <= self.counts[1]:
            fewest, most = self.counts
            count = f"{fewest}" if fewest == most else f"{fewest} to {most}"
            has = "1 number" if len(words) == 1 else f"{len(words)} numbers"
            raise InputError(f"{self.name} = {value} has {has}; it takes {count}")
        # 17 digits tell any two floats apart, so the text is the same after reading it again.
        return ", ".join(f"{self._checked_in_list(word, value):.17g}" for word in words)

    def _checked_in_list(self, word: Value, value: Value | Iterable[float]) -> int | float:
        try:
            return self._checked_number(word)
        except InputError:
            shown = value if isinstance(value, str) else ", ".join(map(str, _words(value)))
            one = self.allowed.replace("numbers", "a number")
            raise InputError(f"{self.name} = {shown}: {word} is not {one}") from None

    def _checked_choice(self, value: Value) -> str:
        if value not in self.choices:
            raise InputError(f"{self.name} = {value} is not one of {', '.join(self.choices)}")
        return str(value)

    def _checked_switch(self, value: Value) -> bool:
        words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        word = str(value).lower()
        if word not in words:
            raise InputError(f"{self.name} = {value} is neither true nor false")
        return words[word]

    def _checked_number(self, value: Value) -> int | float:
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise InputError(f"{self.name} = {value} is not a number") from None
        except OverflowError:  # a whole number that no float can hold
            number = math.inf
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not (math.isfinite(number) and low <= number <= high):
            raise InputError(f"{self.name} = {value} is outside {low:g} to {high:g}")
        if not isinstance(self.default, int):
            return number
        if not number.is_integer():
            raise InputError(f"{self.name} = {value} is not a whole number")
        return int(number)


def _words(value: Value | Iterable[float]) -> list[Value]:
    if isinstance(value, Iterable) and not isinstance(value, str):
        return list(value)
    return [*str(value).replace(",", " ").split()]


def numbers(text: Value) -> tuple[float, ...]:
    """The numbers of a list option. Raises InputError for a text that is none."""
    try:
        return tuple(float(word) for word in str(text).replace(",", " ").split())
    except ValueError:
        raise InputError(f"'{text}' is no list of numbers such as 900, 500, 100") from None


CLIP = Option(
    name="clip",
    title="Clip estimate",
    default="none",
    choices=("none", "clamp", "threshold"),
    help="Limit the estimate at every step. clamp: to the data's range; threshold: to a quantile "
    "of its own values, divided by it (dynamic thresholding; pixels only). Under guidance by a "
    "classifier clamp is the default where the data's range is known: its push grows as σ²/α.",
    source="Ho et al. 2020, arXiv 2006.11239 (code); Saharia et al. 2022, arXiv 2205.11487",
)
CLIP_RANGE = Option(
    name="clip_range",
    title="Data's range",
    default="-1, 1",
    low=-1e6,
    high=1e6,
    counts=(2, 2),
    help="The lowest and the highest value of the data, which clamp and threshold cut to; a "
    "model's card says its own.",
    source="Ho et al. 2020, arXiv 2006.11239, section 3.3 (-1 to 1)",
)
THRESHOLD = Option(
    name="threshold",
    title="Quantile",
    default=0.995,
    low=0.5,
    high=1.0,
    help="The part of a picture's values that dynamic thresholding leaves inside.",
    source="Saharia et al. 2022, arXiv 2205.11487, section 2.3",
)
REDERIVE_EPS = Option(
    name="rederive_eps",
    title="Re-derive ε",
    default=True,
    help="Derive ε anew after clipping (guided-diffusion); off: ε of the estimate before it "
    "(diffusers). Only DDIM takes ε apart from the estimate.",
    source="Dhariwal & Nichol 2021, arXiv 2105.05233 (code)",
)
RESCALE = Option(
    name="rescale",
    title="Rescale φ",
    default=0.0,
    low=0.0,
    high=1.0,
    help="How far the guided prediction is brought back to the conditional one's standard "
    "deviation, against over-exposed pictures; the paper's is 0.7.",
    source="Lin et al. 2023, arXiv 2305.08891, section 3.4",
)
RESCALE_SPACE = Option(
    name="rescale_space",
    title="Rescale in",
    default="v",
    choices=("v", "eps", "x0"),
    help="What the rescaled prediction is: v is the paper's; diffusers takes the network's own "
    "output, so eps or v.",
    source="Lin et al. 2023, arXiv 2305.08891, eq. 15; ComfyUI's RescaleCFG (v)",
)
INTERVAL = Option(
    name="interval",
    title="γ only in σ/α",
    default="",
    low=0.0,
    high=1e6,
    counts=(2, 2),
    help="Guide only where σ/α lies above the first and not above the second of two numbers, such "
    "as 0.19, 1.61; empty: everywhere.",
    source="Kynkäänniemi et al. 2024, arXiv 2404.07724, eq. 4",
)
STEPS_OFFSET = Option(
    name="steps_offset",
    title="Offset",
    default=0,
    low=0,
    high=1_000_000,
    help="Added to the times of 'leading', as far as the schedule goes; Stable Diffusion's is 1.",
    source="Rombach et al. 2022, arXiv 2112.10752 (code)",
)
RHO = Option(
    name="rho",
    title="ρ",
    default=7.0,
    low=0.1,
    high=100.0,
    help="How much of 'karras' goes to low noise: 1 is even in σ, 7 the paper's.",
    source="Karras et al. 2022, arXiv 2206.00364, eq. 5",
)
SHIFT = Option(
    name="shift",
    title="Shift",
    default=0.0,
    low=0.0,
    high=100.0,
    help="Moves a flow's times towards noise, s → shift s / (1 + (shift − 1) s); 0: the model's "
    "own.",
    source="Esser et al. 2024, arXiv 2403.03206, eq. 23",
)
TIMES = Option(
    name="times",
    title="Times",
    default="",
    low=0.0,
    high=1e6,
    counts=(1, 10_000),
    help="The times of spacing 'list', falling, one for each step: 900, 500, 100.",
    source="diffview",
)
SCHEDULE = Option(
    name="schedule",
    title="Schedule",
    default=OWN,
    choices=(OWN, *SCHEDULES),
    help="How noise grows with t. A model that is computed from its data is exact at every level, "
    "so any will do; a network knows the one that it was trained on.",
    source="Ho et al. 2020 (linear); Rombach et al. 2022 (scaled_linear); Nichol & Dhariwal 2021 "
    "(cosine); Xu et al. 2022 (sigmoid_beta); Jabri et al. 2022 (sigmoid_alphabar); Liu et al. "
    "2022 (flow); Karras et al. 2022 (edm)",
)
NOISE_PATH = Option(
    name="noise_path",
    title="Noise",
    default="step",
    choices=("step", "brownian"),
    help="step: fresh noise for each step. brownian: all runs of a seed follow one Brownian path, "
    "however many steps they take, so their pictures agree.",
    source="Lévy's construction; k-diffusion's BrownianTreeNoiseSampler",
)
COMPAT = Option(
    name="compat",
    title="Compatible",
    default="none",
    choices=("none", "diffusers"),
    help="none: as the papers have it. diffusers: the same numbers as its schedulers, also where "
    "they are known to be wrong: DDIM's t − T // N, N + 1 points with one dropped, sigma "
    "interpolated evenly, noise after DDPM's last step.",
    source="diffusers 0.42, src/diffusers/schedulers",
)

DISTILLED_SCALE = Option(
    name="distilled_scale",
    title="Distilled γ",
    default=3.5,
    low=0.0,
    high=100.0,
    help="The guidance scale that a model was taught as one more input, at no more work (Flux "
    "dev); classifier-free guidance comes on top of it.",
    source="Meng et al. 2023, arXiv 2210.03142; Black Forest Labs 2024 (code: 3.5)",
)

RUN_OPTIONS = (
    CLIP,
    CLIP_RANGE,
    REDERIVE_EPS,
    THRESHOLD,
    RESCALE,
    RESCALE_SPACE,
    INTERVAL,
    STEPS_OFFSET,
    RHO,
    SHIFT,
    TIMES,
    SCHEDULE,
    NOISE_PATH,
    DISTILLED_SCALE,
    COMPAT,
)
"""The options that every run has, whatever its sampler."""
