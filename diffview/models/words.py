"""The words of a prompt, by the one rule that training, sampling, window and command line share.

A word is a run of letters a-z and digits, in lower case; all else separates. What a person typed
as one word, in any script or as an emoji, may thus hold one such word, several, or none.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass

MOST_NAMED, LONGEST_NAME = 8, 40
"""A warning names so many words, and of each so many letters."""

QUOTED = 80
"""So much of a prompt is repeated in a message."""

LETTER, SYMBOL, TIED = "letter", "symbol", "tied"
JOINER = "\u200d"
_TYING = {0x200C, 0x200D, *range(0x1F3FB, 0x1F400)}
"""Joiners of letters and emoji, and skin tones: they belong to what stands before them."""
_TURNING = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}
"""Characters that turn the writing direction around and are not seen."""


def words(text: str) -> tuple[str, ...]:
    """The words of a text: lower case, letters and digits only."""
    return tuple(re.findall(r"[a-z0-9]+", text.lower()))


@dataclass(frozen=True, slots=True)
class Typed:
    """A word as it stands in a text from `start` on, and the words that are read in it."""

    start: int
    text: str
    words: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether every letter is read."""
        return "".join(self.words) == self.text.lower()


def typed(text: str) -> Iterator[Typed]:
    """What a person sees as the words of a text, in order; together they hold `words(text)`."""
    start, kind = 0, ""
    for place, letter in enumerate(f"{text} "):
        here = _kind(letter)
        joined = bool(here) and text[place - 1] == JOINER
        if kind and (joined or here in (TIED, kind)):
            continue
        if kind:
            found = text[start:place]
            yield Typed(start, found, words(found))
        start, kind = place, "" if here == TIED else here


def _kind(letter: str) -> str:
    """What it does in a word, "" where it separates."""
    category = unicodedata.category(letter)
    if category[0] == "M" or ord(letter) in _TYING:
        return TIED
    if category == "So":
        return SYMBOL
    return LETTER if category[0] in "LN" else ""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a model reads a prompt.

    unknown: words without effect, each once, as typed. partly: words of which it reads only these
    letters. beyond: how many known words come too late to be read, after `limit` of them.
    """

    unknown: tuple[str, ...] = ()
    partly: tuple[tuple[str, str], ...] = ()
    beyond: int = 0
    limit: int = 0

    @property
    def warning(self) -> str:
        """What a person must know of it, "" where all is read."""
        said = []
        if self.unknown:
            said.append(f"unknown to the model and ignored: {_named(self.unknown)}")
        if self.partly:
            said.append("read in part: " + _named([f"{a} as '{b}'" for a, b in self.partly]))
        if self.beyond:
            said.append(
                f"only the first {self.limit} known words are read, not {self.beyond} more"
            )
        return "; ".join(said)


def reading(text: str, vocabulary: Collection[str], limit: int) -> Reading:
    """How a model with this vocabulary reads `text`; one without reads everything."""
    if not vocabulary:
        return Reading()
    known, found = frozenset(vocabulary), tuple(typed(text))
    unknown = [one.text for one in found if not known.intersection(one.words)]
    partly = [(one.text, _read(one, known)) for one in found if is_partly_read(one, known)]
    count = sum(word in known for one in found for word in one.words)
    return Reading(
        tuple(dict.fromkeys(unknown)), tuple(dict.fromkeys(partly)), max(0, count - limit), limit
    )


def is_partly_read(one: Typed, known: Collection[str]) -> bool:
    """Whether some of it is known, but not all, or not all of its letters are read."""
    there = [word in known for word in one.words]
    return any(there) and not (all(there) and one.whole)


def _read(one: Typed, known: Collection[str]) -> str:
    return " ".join(word for word in one.words if word in known)


def _named(names: Collection[str]) -> str:
    shown = [n if len(n) <= LONGEST_NAME else n[: LONGEST_NAME - 1] + "…" for n in names]
    more = len(shown) - MOST_NAMED
    return ", ".join(shown[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def plain(text: str) -> str:
    """The text with a space for every character that is not seen: controls, line ends, turns."""
    return "".join(" " if _unseen(letter) else letter for letter in text)


def quoted(text: str) -> str:
    """The text for one line of a message: nothing unseen in it, and no longer than QUOTED."""
    one_line = " ".join(plain(text).split())
    return one_line if len(one_line) <= QUOTED else f"{one_line[: QUOTED - 1]}…"


def _unseen(letter: str) -> bool:
    return ord(letter) in _TURNING or unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
