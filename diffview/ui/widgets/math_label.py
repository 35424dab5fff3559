r"""Small mathematics, typeset: x̂₀ and ᾱ_t with hats and bars where they belong.

Fonts place combining marks badly, so letters are drawn one by one and accents as strokes. The
markup is the corner of TeX that the window needs:

    x_{t-1} = \c{x0hat}{w_{0} \hat{x}_{0}} + \c{xt}{w_{1} x_{t}} + \sigma_{t} z

`\c{role}{...}` takes a quantity's colour from the theme, `\text{...}` is upright and keeps its
spaces, other spaces only separate. Variables are italic, in the font of
the text around, so that a projector shows them as well as the words; figures are upright.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import (
    QColor,
    QFont,
    QFontInfo,
    QFontMetricsF,
    QPainter,
    QPainterPath,
    QPaintEvent,
    QPen,
    QPixmap,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffview.ui import theme

LARGER = 1.1
"""Italic letters standing alone look smaller than the text beside them; this evens it out."""
SCRIPT = 0.72
MARGIN = 2
"""Room around a label in pixels: italic letters reach out of their box."""
DEEPEST = 2
"""Scripts of scripts are not drawn smaller still: the last row has to read them."""

LETTERS = {
    "alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eta": "η",
    "theta": "θ", "lambda": "λ", "mu": "μ", "nu": "ν", "pi": "π", "sigma": "σ", "tau": "τ",
    "phi": "φ", "omega": "ω", "Delta": "Δ", "Sigma": "Σ",
}  # fmt: skip
SIGNS = {
    "|": "‖", "nabla": "∇", "cdot": "·", "times": "×", "infty": "∞", "ldots": "…", "pm": "±",
    "leq": "≤", "geq": "≥", "approx": "≈", "to": "→", "sqrt": "√", "in": "∈",
}  # fmt: skip
FUNCTIONS = ("log", "exp", "cos", "sin", "min", "max")
SPACES = {",": 0.17, ";": 0.28, " ": 0.25, "quad": 1.0}
ACCENTS = ("hat", "bar", "tilde")
SPACED = set("=+−×·≤≥≈→∈±")
SPOKEN = {"‖": "norm ", "−": "minus ", "̂": " hat", "∇": "gradient "}


# ---- markup -> tree ----------------------------------------------------------------------------


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


Node = Glyphs | Space | Row | Accent | Scripts


@lru_cache(maxsize=512)
def parse(markup: str) -> Row:
    """The tree of a markup. Raises ValueError naming what it cannot read."""
    reader = _Reader(markup)
    items = tuple(reader.items(until=""))
    return Row(items)


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
    return " "


# ---- tree -> boxes -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ink:
    """One thing to draw, relative to the left end of the baseline."""

    x: float
    y: float
    role: str | None
    text: str = ""
    font: QFont | None = None
    stroke: QPainterPath | None = None
    width: float = 0.0

    def moved(self, x: float, y: float, role: str | None) -> Ink:
        return Ink(
            self.x + x, self.y + y, self.role or role,
            self.text, self.font, self.stroke, self.width,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Box:
    """Something laid out: its size about the baseline, and what to draw."""

    width: float
    ascent: float
    descent: float
    ink: tuple[Ink, ...] = ()
    lean: float = 0.0
    """How far the top of the ink lies right of its middle: italic letters lean."""


def layout(markup: str, font: QFont) -> Box:
    """The markup as a box, in the size that goes with text in `font`."""
    return _layout(markup, font.toString())


@lru_cache(maxsize=512)
def _layout(markup: str, description: str) -> Box:
    font = QFont()
    font.fromString(description)
    box = _box(parse(markup), font, 0)
    metrics = QFontMetricsF(_font(font, False, 0))
    return Box(
        box.width,
        max(box.ascent, metrics.capHeight()),
        max(box.descent, metrics.descent() * 0.5),
        box.ink,
    )


def _box(node: Node, font: QFont, depth: int) -> Box:
    match node:
        case Glyphs():
            return _glyph_box(node, font, depth)
        case Space(ems):
            return Box(ems * _em(font, depth), 0, 0)
        case Row(items, role):
            return _row_box(items, role, font, depth)
        case Accent():
            return _accent_box(node, font, depth)
        case Scripts():
            return _scripts_box(node, font, depth)


def _glyph_box(node: Glyphs, font: QFont, depth: int) -> Box:
    chosen = _plain(font, depth) if node.plain else _font(font, node.italic, depth)
    metrics = QFontMetricsF(chosen)
    outline = _outline(node.text, chosen)
    width = max(metrics.horizontalAdvance(node.text), outline.right() if node.italic else 0.0)
    ink = Ink(0, 0, None, node.text, chosen)
    return Box(width, -outline.top(), max(0.0, outline.bottom()), (ink,))


def _row_box(items: tuple[Node, ...], role: str | None, font: QFont, depth: int) -> Box:
    x, ascent, descent = 0.0, 0.0, 0.0
    ink: list[Ink] = []
    before: Node | None = None
    for k, item in enumerate(items):
        box = _box(item, font, depth)
        if depth == 0 and k:
            doubled = k > 1 and _is_spaced(items[k - 2])
            x += _room(before, item, sign=k == 1 or doubled) * _em(font, depth)
        ink.extend(mark.moved(x, 0, role) for mark in box.ink)
        x += box.width
        ascent, descent = max(ascent, box.ascent), max(descent, box.descent)
        before = item
    return Box(x, ascent, descent, tuple(ink))


def _room(before: Node | None, item: Node, sign: bool) -> float:
    """Ems between two neighbours; `sign`: the one before is a sign, not an operation."""
    if _is_spaced(item):
        return 0.3
    if _is_spaced(before):
        return 0.04 if sign else 0.3
    if isinstance(before, Scripts) and not (isinstance(item, Glyphs) and item.text in "‖),/"):
        return 0.1
    return 0.0


def _is_spaced(node: Node | None) -> bool:
    return isinstance(node, Glyphs) and len(node.text) == 1 and node.text in SPACED


def _accent_box(node: Accent, font: QFont, depth: int) -> Box:
    base = _box(node.base, font, depth)
    em = _em(font, depth)
    left, right, top = _extent(base)
    pen = max(1.0, 0.055 * em)
    above = top + 0.11 * em + pen / 2
    lean = 0.06 * em if _is_italic(node.base) else 0.0
    centre, wide = (left + right) / 2 + lean, right - left
    path, high = _ACCENT_PATHS[node.kind](centre, -above, wide, em)
    mark = Ink(0, 0, None, stroke=path, width=pen)
    ascent = above + high + pen / 2
    return Box(base.width, max(base.ascent, ascent), base.descent, (*base.ink, mark))


def _hat(centre: float, y: float, wide: float, em: float) -> tuple[QPainterPath, float]:
    half, high = max(0.17 * em, min(0.22 * em, wide * 0.42)), 0.15 * em
    path = QPainterPath(QPointF(centre - half, y))
    path.lineTo(centre, y - high)
    path.lineTo(centre + half, y)
    return path, high


def _bar(centre: float, y: float, wide: float, em: float) -> tuple[QPainterPath, float]:
    half = max(0.18 * em, wide * 0.44)
    path = QPainterPath(QPointF(centre - half, y))
    path.lineTo(centre + half, y)
    return path, 0.0


def _tilde(centre: float, y: float, wide: float, em: float) -> tuple[QPainterPath, float]:
    half, high = max(0.2 * em, wide * 0.42), 0.1 * em
    path = QPainterPath(QPointF(centre - half, y))
    path.cubicTo(
        QPointF(centre - half * 0.3, y - 2 * high),
        QPointF(centre + half * 0.3, y + high),
        QPointF(centre + half, y - high),
    )
    return path, high


_ACCENT_PATHS = {"hat": _hat, "bar": _bar, "tilde": _tilde}


def _scripts_box(node: Scripts, font: QFont, depth: int) -> Box:
    base, em = _box(node.base, font, depth), _em(font, depth)
    ink, width = list(base.ink), base.width
    ascent, descent = base.ascent, base.descent
    start = base.width + 0.04 * em
    if node.sub is not None:
        sub = _box(node.sub, font, depth + 1)
        drop = 0.2 * em
        ink.extend(mark.moved(start, drop, None) for mark in sub.ink)
        width, descent = max(width, start + sub.width), max(descent, sub.descent + drop)
    if node.sup is not None:
        sup = _box(node.sup, font, depth + 1)
        rise = max(0.4 * em, base.ascent - 0.25 * em)
        ink.extend(mark.moved(start, -rise, None) for mark in sup.ink)
        width, ascent = max(width, start + sup.width), max(ascent, sup.ascent + rise)
    return Box(width, ascent, descent, tuple(ink))


def _extent(box: Box) -> tuple[float, float, float]:
    """(left, right, height above the baseline) of the letters of a box."""
    rects = [
        _outline(mark.text, mark.font).translated(mark.x, mark.y)
        for mark in box.ink
        if mark.font is not None
    ]
    if not rects:
        return 0.0, box.width, box.ascent
    return (
        min(rect.left() for rect in rects),
        max(rect.right() for rect in rects),
        -min(rect.top() for rect in rects),
    )


def _is_italic(node: Node) -> bool:
    if isinstance(node, Row):
        return bool(node.items) and _is_italic(node.items[-1])
    return isinstance(node, Glyphs) and node.italic


def _outline(text: str, font: QFont) -> QRectF:
    """The exact rectangle of the ink of a text on the baseline."""
    path = QPainterPath()
    path.addText(0, 0, font, text)
    return path.boundingRect()


def _plain(font: QFont, depth: int) -> QFont:
    chosen = QFont(font)
    chosen.setPointSizeF(font.pointSizeF() * SCRIPT ** min(depth, DEEPEST))
    return chosen


def _font(font: QFont, italic: bool, depth: int) -> QFont:
    chosen = QFont(font)
    chosen.setItalic(italic)
    factor = LARGER * SCRIPT ** min(depth, DEEPEST)
    if font.pointSizeF() > 0:
        chosen.setPointSizeF(font.pointSizeF() * factor)
    else:
        chosen.setPixelSize(round(font.pixelSize() * factor))
    chosen.setHintingPreference(QFont.HintingPreference.PreferNoHinting)
    return chosen


def _em(font: QFont, depth: int) -> float:
    return QFontInfo(_font(font, False, depth)).pixelSize()


# ---- boxes -> pixels ---------------------------------------------------------------------------


def math_size(markup: str, font: QFont) -> QSizeF:
    """The size of a markup beside text in `font`, in logical pixels."""
    box = layout(markup, font)
    return QSizeF(box.width, box.ascent + box.descent)


def draw_math(
    painter: QPainter,
    rect: QRectF,
    markup: str,
    font: QFont,
    colour: QColor,
    align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
) -> None:
    """Draw a markup inside `rect`, centred in height; groups with a role in their colour."""
    box = layout(markup, font)
    spare = rect.width() - box.width
    x = rect.x()
    if align & Qt.AlignmentFlag.AlignHCenter:
        x += spare / 2
    elif align & Qt.AlignmentFlag.AlignRight:
        x += spare
    y = rect.y() + (rect.height() - box.ascent - box.descent) / 2 + box.ascent
    draw_box(painter, QPointF(x, round(y)), box, colour)


def draw_box(painter: QPainter, origin: QPointF, box: Box, colour: QColor) -> None:
    """Draw a box with the left end of its baseline at `origin`."""
    painter.save()
    painter.setRenderHints(QPainter.RenderHint.Antialiasing | QPainter.RenderHint.TextAntialiasing)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    for mark in box.ink:
        ink = theme.colour_of(theme.current(), mark.role) if mark.role else colour
        at = origin + QPointF(mark.x, mark.y)
        if mark.font is not None:
            painter.setPen(ink)
            painter.setFont(mark.font)
            painter.drawText(at, mark.text)
        elif mark.stroke is not None:
            cap, join = Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin
            painter.setPen(QPen(ink, mark.width, Qt.PenStyle.SolidLine, cap, join))
            painter.drawPath(mark.stroke.translated(at))
    painter.restore()


def math_pixmap(markup: str, font: QFont, colour: QColor, scale: float = 1.0) -> QPixmap:
    """A markup as a picture, for headers and items; `scale` is the screen's device pixel ratio."""
    size = math_size(markup, font)
    wide, high = size.width() + 2 * MARGIN, size.height() + 2 * MARGIN
    pixmap = QPixmap(round(wide * scale), round(high * scale))
    pixmap.setDevicePixelRatio(scale)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    draw_math(painter, QRectF(MARGIN, MARGIN, size.width(), size.height()), markup, font, colour)
    painter.end()
    return pixmap


class MathLabel(QWidget):
    """A label that shows a markup; its text has the colour of the palette, a role or a token."""

    def __init__(
        self, markup: str = "", parent: QWidget | None = None, *, token: str = "text"
    ) -> None:
        super().__init__(parent)
        self._markup = ""
        self._token = token
        self._align = Qt.AlignmentFlag.AlignLeft
        self._build()
        self.show_markup(markup)

    def _build(self) -> None:
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def markup(self) -> str:
        """What is shown."""
        return self._markup

    def show_markup(self, markup: str) -> None:
        """Show another markup; a screen reader hears it in words."""
        if markup == self._markup:
            return
        parse(markup)
        self._markup = markup
        self.setAccessibleName(spoken(markup))
        self.updateGeometry()
        self.update()

    def show_token(self, token: str) -> None:
        """Draw what has no role of its own in this token's colour."""
        self._token = token
        self.update()

    def show_size(self, points: float, bold: bool = False) -> None:
        """The size of the text beside which this stands, in points."""
        font = QFont(self.font())
        font.setPointSizeF(points)
        font.setBold(bold)
        self.setFont(font)

    def setAlignment(self, align: Qt.AlignmentFlag) -> None:
        """Left, centre or right."""
        self._align = align
        self.update()

    def sizeHint(self) -> QSize:
        size = math_size(self._markup, self.font())
        return QSize(int(size.width()) + 1 + 2 * MARGIN, int(size.height()) + 2 + 2 * MARGIN)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        token = self._token if self.isEnabled() else "disabled"
        painter = QPainter(self)
        rect = QRectF(self.rect()).adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        colour = theme.current().colour(token)
        draw_math(painter, rect, self._markup, self.font(), colour, self._align)
        painter.end()

    def changeEvent(self, event: QEvent) -> None:
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self.updateGeometry()
        self.update()
        super().changeEvent(event)
