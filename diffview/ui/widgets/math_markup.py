r"""The corner of TeX that the window's small mathematics need, read into a tree; no Qt.

    x_{t-1} = \c{x0hat}{w_{0} \hat{x}_{0}} + \c{xt}{w_{1} x_{t}} + \sigma_{t} z

`\c{role}{...}` takes a quantity's colour from the theme, `\text{...}` is upright and keeps its
spaces, other spaces only separate. Variables are italic, figures upright.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eta": "η",
    "theta": "θ", "lambda": "λ", "mu": "μ", "nu": "ν", "pi": "π", "sigma": "σ", "tau": "τ",
    "phi": "φ", "psi": "ψ", "omega": "ω", "Delta": "Δ", "Sigma": "Σ",
}  # fmt: skip
SIGNS = {
    "|": "‖", "nabla": "∇", "cdot": "·", "times": "×", "infty": "∞", "ldots": "…", "pm": "±",
    "leq": "≤", "geq": "≥", "approx": "≈", "to": "→", "in": "∈", "neq": "≠", "ll": "≪",
    "gg": "≫", "sim": "∼", "propto": "∝", "partial": "∂", "sum": "∑", "prod": "∏", "int": "∫",
    "mid": "|",
}  # fmt: skip
FUNCTIONS = ("log", "exp", "cos", "sin", "min", "max")
SPACES = {",": 0.17, ";": 0.28, " ": 0.25, "quad": 1.0}
UPRIGHT = ("mathbb", "mathcal", "mathrm", "operatorname")
"""Drawn as upright letters: there is no other alphabet."""
ACCENTS = ("hat", "bar", "tilde")
DEEPEST = 40
"""Braces within braces; reading and drawing go into each."""
SPOKEN = {"‖": "norm ", "−": "minus ", "̂": " hat", "∇": "gradient "}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """Letters that are drawn together."""

    text: str
    italic: bool
    plain: bool = False
    """Words, in the font of the text around."""


@dataclass(frozen=True, slots=True)
class Space:
    """Room, in ems."""

    ems: float


@dataclass(frozen=True, slots=True)
class Row:
    """Things beside one another, perhaps in a quantity's colour."""

    items: tuple[Node, ...]
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Accent:
    """A hat, bar or tilde over something."""

    kind: str
    base: Node


@dataclass(frozen=True, slots=True)
class Scripts:
    """Something with a subscript, a superscript or both."""

    base: Node
    sub: Node | None = None
    sup: Node | None = None


@dataclass(frozen=True, slots=True)
class Fraction:
    """One thing over another, as small as scripts unless it is `large`."""

    above: Node
    below: Node
    large: bool = False


@dataclass(frozen=True, slots=True)
class Root:
    """The square root of something."""

    base: Node


Node = Glyphs | Space | Row | Accent | Scripts | Fraction | Root


@lru_cache(maxsize=512)
def parse(markup: str) -> Row:
    """The tree of a markup. Raises ValueError naming what it cannot read."""
    if _depth(markup) > DEEPEST:
        raise ValueError(f"braces are nested more than {DEEPEST} deep")
    reader = _Reader(markup)
    items = tuple(reader.items(until=""))
    return Row(items)


def _depth(markup: str) -> int:
    depth = deepest = 0
    for character in markup:
        depth = max(0, depth + (character == "{") - (character == "}"))
        deepest = max(deepest, depth)
    return deepest


@dataclass(slots=True)
class _Reader:
    text: str
    at: int = 0
    read: list[Node] = field(default_factory=list)

    def items(self, until: str) -> Iterator[Node]:
        made: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] != until:
            if self.text[self.at] in "_^":
                base = made.pop() if made else Row(())
                made.append(self._scripts(base))
            else:
                node = self._one()
                if node is not None:
                    made.append(node)
        if until:
            self._expect(until)
        return iter(made)

    def _one(self) -> Node | None:
        character = self.text[self.at]
        if character == "\\":
            return self._command()
        self.at += 1
        if character == " ":
            return None
        if character == "{":
            return Row(tuple(self.items(until="}")))
        return _glyph(character)

    def _command(self) -> Node:
        name = self._name()
        if name in ACCENTS:
            return Accent(name, self._argument())
        if name == "c":
            role = self._raw_argument()
            return Row(self._argument().items, role)
        if name == "text":
            return Glyphs(self._raw_argument(), italic=False, plain=True)
        if name in UPRIGHT:
            return Glyphs(self._raw_argument(), italic=False)
        if name in ("frac", "dfrac"):
            return Fraction(self._argument(), self._argument(), large=name == "dfrac")
        if name == "sqrt":
            return Root(self._argument())
        if name in LETTERS:
            return Glyphs(LETTERS[name], italic=name[0].islower())
        if name in SIGNS:
            return _glyph(SIGNS[name])
        if name in FUNCTIONS:
            return Row((Glyphs(name, italic=False), Space(SPACES[","])))
        if name in SPACES:
            return Space(SPACES[name])
        raise ValueError(f"unknown command \\{name} in {self.text!r}")

    def _name(self) -> str:
        self.at += 1
        start = self.at
        while self.at < len(self.text) and self.text[self.at].isalpha():
            self.at += 1
        if self.at == start:
            self.at += 1
        return self.text[start : self.at]

    def _argument(self) -> Row:
        self._expect("{")
        return Row(tuple(self.items(until="}")))

    def _raw_argument(self) -> str:
        self._expect("{")
        end = self.text.find("}", self.at)
        if end < 0:
            raise ValueError(f"missing }} in {self.text!r}")
        start, self.at = self.at, end + 1
        return self.text[start:end]

    def _scripts(self, base: Node) -> Scripts:
        scripts = base if isinstance(base, Scripts) else Scripts(base)
        which = self.text[self.at]
        self.at += 1
        if self.at >= len(self.text):
            raise ValueError(f"nothing after {which} in {self.text!r}")
        script = self._one() or Row(())
        if which == "_":
            return Scripts(scripts.base, script, scripts.sup)
        return Scripts(scripts.base, scripts.sub, script)

    def _expect(self, character: str) -> None:
        if self.at >= len(self.text) or self.text[self.at] != character:
            raise ValueError(f"missing {character} at {self.at} in {self.text!r}")
        self.at += 1


def _glyph(character: str) -> Glyphs:
    character = {"-": "−", "*": "·"}.get(character, character)
    return Glyphs(character, italic=character.isalpha())


def spoken(markup: str) -> str:
    """The markup as plain words, for screen readers."""
    return " ".join(_spoken(parse(markup)).split())


def _spoken(node: Node | None) -> str:
    match node:
        case Glyphs(text):
            return SPOKEN.get(text, text)
        case Row(items):
            return " ".join(_spoken(item) for item in items)
        case Accent(kind, base):
            return f"{_spoken(base)} {kind}"
        case Scripts(base, sub, sup):
            power = f" to the {_spoken(sup)}" if sup else ""
            return f"{_spoken(base)} {_spoken(sub)}{power}"
        case Fraction(above, below):
            return f"{_spoken(above)} over {_spoken(below)}"
        case Root(base):
            return f"root of {_spoken(base)}"
    return " "
