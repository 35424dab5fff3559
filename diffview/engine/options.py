"""Options are declared or they do not exist: panel, command line and checks read them here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diffview.errors import InputError

Value = float | int | bool | str


@dataclass(frozen=True, slots=True)
class Option:
    """One knob: its name, default, what is allowed, and what it says on hover."""

    name: str
    title: str
    default: Value
    help: str
    source: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    def checked(self, value: Value) -> Value:
        """`value` as this option's own type. Raises InputError when it is not allowed."""
        if self.choices:
            return self._checked_choice(value)
        if isinstance(self.default, bool):
            return self._checked_switch(value)
        return self._checked_number(value)

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

    def _checked_number(self, value: Value) -> float:
        try:
            number = float(value)
        except ValueError:
            raise InputError(f"{self.name} = {value} is not a number") from None
        except OverflowError:  # a whole number that no float can hold
            number = math.inf
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not (math.isfinite(number) and low <= number <= high):
            raise InputError(f"{self.name} = {value} is outside {low:g} to {high:g}")
        return number


CLIP = Option(
    name="clip",
    title="Clip estimate",
    default="none",
    choices=("none", "clamp"),
    help="Limit the estimate to the data's range at every step.",
    source="Ho et al. 2020, arXiv 2006.11239 (code)",
)
REDERIVE_EPS = Option(
    name="rederive_eps",
    title="Re-derive ε",
    default=True,
    help="Derive ε anew after clipping (guided-diffusion); off: ε of the estimate before it "
    "(diffusers).",
    source="Dhariwal & Nichol 2021, arXiv 2105.05233 (code)",
)
