"""How words of the command line become values; what cannot be one is an InputError (exit 2)."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from diffview import places
from diffview.errors import InputError


class Parser(argparse.ArgumentParser):
    """argparse that raises InputError, and knows what a mistyped option was meant to be."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(
            **settings, allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        # What is declared without a type must not be empty; a prompt may, and is a str.
        self.register("type", None, word)
        # A value may begin with a minus: the knots of a curve do, and 1e-3 of a negative number.
        self._negative_number_matcher = re.compile(r"-[0-9.][0-9.,:eE+ -]*$")

    def error(self, message: str) -> NoReturn:
        """Raise InputError with argparse's message and where help is."""
        raise InputError(f"{message} (see '{self.prog} --help')")

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """The values of `args`. Raises InputError."""
        values, rest = self.parse_known_args(args, namespace)
        if rest:
            self.error(self._unknown(*rest[:2]))
        return values

    def _unknown(self, word: str, after: str = "...") -> str:
        name, equals, value = word.partition("=")
        option = name.lstrip("-").replace("-", "_")
        if "--option" in self._option_string_actions and _is_option(option):
            return (
                f"'{word}' is an option of samplers: write --option "
                f"{option}={value if equals else after}"
            )
        close = get_close_matches(name, self._option_string_actions, n=1)
        hint = f": did you mean {close[0]}?" if close and name.startswith("-") else ""
        return f"'{word}' is not known here{hint}"


def _is_option(name: str) -> bool:
    # Here, not above: it brings numpy along, which --version and --help do without.
    from diffview.engine import samplers
    from diffview.engine.spec import declared_options

    every = samplers.every() | samplers.by_token()
    return any(name in declared_options(sampler) for sampler in every)


def number(text: str) -> float:
    """A number with a decimal point, in any locale; nan and inf are left to whoever uses it."""
    try:
        if "_" not in text:
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not a number such as 3 or 2.5")


def whole(text: str) -> int:
    """A whole number."""
    if not re.fullmatch(r"[+-]?[0-9]+", text.strip()):
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number")
    return int(text)


def names(text: str) -> tuple[str, ...]:
    """Words between commas, each once."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not found:
        raise argparse.ArgumentTypeError("at least one name is needed")
    return found


def megabytes(text: str) -> int:
    """Bytes, from a number of megabytes above zero."""
    value = number(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"'{text}' MB must be above 0")
    return round(value * 1e6)


def assignment(text: str) -> tuple[str, str]:
    """NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not (name.strip() and equals and value.strip()):
        raise argparse.ArgumentTypeError(f"'{text}' must look like eta=0.5")
    return name.strip(), value.strip()


def schedule(text: str) -> tuple[str, str]:
    """The name of a schedule, as the option that it is."""
    return "schedule", word(text).strip()


def add_steps(group: argparse._ActionsContainer) -> None:
    """The flags of where a run's steps lie: how many, how they are spaced, on what schedule."""
    # Here, not above: they bring numpy along, which --version and --help do without.
    from diffview.engine.options import SCHEDULE
    from diffview.engine.spacings import SPACINGS

    group.add_argument(
        "--steps", metavar="N", type=whole, help="1 to the schedule's T (the model's own)"
    )
    group.add_argument(
        "--spacing",
        metavar="NAME",
        type=word,
        help=f"any of {', '.join(SPACINGS)} (the model's own)",
    )
    group.add_argument(
        "--schedule",
        dest="option",
        metavar="NAME",
        type=schedule,
        action="append",
        default=[],
        help=f"of exact models, any of {', '.join(SCHEDULE.choices)} (own)",
    )


def curve(text: str) -> tuple[tuple[float, float], ...]:
    """Knots λ:factor between commas, by rising λ."""
    word(text)
    try:
        # Here, not above: it brings numpy along, which --version and --help do without.
        from diffview.models import guides

        return guides.curve_from(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def word(text: str) -> str:
    """Anything but nothing: an unset variable of the shell must not pass for a flag left out."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty value: give one, or leave the flag out")
    return text


def path(text: str) -> Path:
    """A path; ~ is the home folder."""
    if not text:
        raise argparse.ArgumentTypeError("an empty path")
    if "\0" in text:
        raise argparse.ArgumentTypeError("a path cannot hold a zero byte")
    try:
        return places.expanded(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
