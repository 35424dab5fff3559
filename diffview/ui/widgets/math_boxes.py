"""Small mathematics laid out: every letter, accent and script in its place about the baseline.

Fonts place combining marks badly, so letters stand one by one and accents are strokes. Letters are
in the font of the text around, so that a projector shows them as well as the words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QFont, QFontInfo, QFontMetricsF, QPainterPath

from diffview.ui.widgets.math_markup import (
    Accent,
    Fraction,
    Glyphs,
    Node,
    Root,
    Row,
    Scripts,
    Space,
    parse,
)

LARGER = 1.1
"""Italic letters standing alone look smaller than the text beside them; this evens it out."""
SCRIPT = 0.72
DEEPEST = 2
"""Scripts of scripts are not drawn smaller still: the last row has to read them."""
SPACED = set("=+−×·≤≥≈→∈±≠≪≫∼∝|")


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
        case Fraction():
            return _fraction_box(node, font, depth)
        case Root():
            return _root_box(node, font, depth)


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


def _fraction_box(node: Fraction, font: QFont, depth: int) -> Box:
    inside = depth if node.large else depth + 1
    above, below = _box(node.above, font, inside), _box(node.below, font, inside)
    em = _em(font, depth)
    pen, gap, axis = max(1.0, 0.05 * em), 0.14 * em, 0.26 * em
    width = max(above.width, below.width) + 0.3 * em
    rise, drop = axis + gap + above.descent, axis - gap - below.ascent
    line = QPainterPath(QPointF(0.06 * em, -axis))
    line.lineTo(width - 0.06 * em, -axis)
    ink = [mark.moved((width - above.width) / 2, -rise, None) for mark in above.ink]
    ink += [mark.moved((width - below.width) / 2, -drop, None) for mark in below.ink]
    ink.append(Ink(0, 0, None, stroke=line, width=pen))
    return Box(width, rise + above.ascent, below.descent - drop, tuple(ink))


def _root_box(node: Root, font: QFont, depth: int) -> Box:
    base, em = _box(node.base, font, depth), _em(font, depth)
    pen, wide = max(1.0, 0.055 * em), 0.5 * em
    top, bottom = base.ascent + 0.12 * em, base.descent
    sign = QPainterPath(QPointF(0.04 * em, -0.3 * em))
    sign.lineTo(0.16 * em, -0.36 * em)
    sign.lineTo(0.28 * em, bottom)
    sign.lineTo(wide - 0.06 * em, -top)
    sign.lineTo(wide + base.width, -top)
    ink = [mark.moved(wide, 0, None) for mark in base.ink]
    ink.append(Ink(0, 0, None, stroke=sign, width=pen))
    return Box(wide + base.width, top + pen, bottom, tuple(ink))


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
