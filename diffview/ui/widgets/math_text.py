"""Markdown with formulas: each is an object in the text, on its line's baseline."""

from __future__ import annotations

import re

from PySide6.QtCore import QPointF, QRect, QRectF, QSizeF, Qt
from PySide6.QtGui import (
    QFont,
    QFontMetricsF,
    QPainter,
    QPyTextObject,
    QTextBlockFormat,
    QTextCharFormat,
    QTextDocument,
    QTextFormat,
)

from diffview.errors import InputError
from diffview.ui import theme
from diffview.ui.widgets.math_boxes import Box, layout
from diffview.ui.widgets.math_label import draw_box
from diffview.ui.widgets.math_markup import parse, spoken

FORMULA = QTextFormat.ObjectTypes.UserObject.value + 1
MARKUP = QTextFormat.Property.UserProperty.value + 1
LARGE = 1.15
"""How much larger than its text a formula is that stands on a line of its own."""
SMALLEST, STEP = 5.0, 0.98
"""Points; what a formula that is too wide shrinks by beyond what it must."""
OBJECT = chr(0xFFFC)
AROUND = 8.0
"""Pixels above and below it."""
FIRST = 0xE000
"""Formulas wait as private characters while the Markdown around them is read."""
MOST = 0xF8FF - FIRST
LONGEST = 60
"""Letters of a formula that an error repeats."""
IN_DOLLARS = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)


class Unreadable(InputError):
    """A formula that cannot be read; `line` counts from 0 at the top of its Markdown."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


class Formulas(QPyTextObject):
    """Draws the formulas of a document; `MARKUP` of a character's format is what it shows."""

    def intrinsicSize(self, doc: QTextDocument, posInDocument: int, format: QTextFormat) -> QSizeF:
        box, font = _fitting(format, doc.textWidth())
        # Qt keeps the font's descent below the baseline of an object (AlignBaseline).
        return QSizeF(box.width + 1, box.ascent + QFontMetricsF(font).descent())

    def drawObject(
        self, painter: QPainter, rect: QRectF | QRect, doc: QTextDocument, posInDocument: int,
        format: QTextFormat,
    ) -> None:  # fmt: skip
        box, font = _fitting(format, doc.textWidth())
        origin = QPointF(rect.x(), rect.y() + rect.height() - QFontMetricsF(font).descent())
        draw_box(painter, origin, box, theme.current().colour("text"))


def _fitting(format: QTextFormat, width: float) -> tuple[Box, QFont]:
    """A formula, smaller than its font says where a line would be too narrow for it (px)."""
    font, markup = QFont(format.toCharFormat().font()), str(format.property(MARKUP))
    box = layout(markup, font)
    while 0 < width < box.width + 1 and font.pointSizeF() > SMALLEST:  # glyphs shrink unevenly
        smaller = STEP * font.pointSizeF() * (width - 1) / box.width
        font.setPointSizeF(max(SMALLEST, smaller))
        box = layout(markup, font)
    return box, font


def check(markdown: str) -> None:
    """Raise Unreadable for the first formula that cannot be read."""
    for match in IN_DOLLARS.finditer(markdown):
        _checked(match)


def show(document: QTextDocument, markdown: str) -> None:
    """Fill a document. Raises Unreadable for a formula that cannot be read."""
    found: list[tuple[str, bool]] = []

    def wait(match: re.Match[str]) -> str:
        found.append(_checked(match))
        return chr(FIRST + len(found) - 1)

    text = IN_DOLLARS.sub(wait, markdown)
    if len(found) > MOST:
        raise InputError(f"there are more than {MOST} formulas here")
    document.setMarkdown(text, QTextDocument.MarkdownFeature.MarkdownNoHTML)
    for number, (markup, alone) in enumerate(found):
        _place(document, chr(FIRST + number), markup, alone)


def _checked(match: re.Match[str]) -> tuple[str, bool]:
    alone = match[1] is not None
    markup = " ".join((match[1] or match[2]).split())
    markup = markup.replace(r"\frac", r"\dfrac") if alone else markup
    try:
        parse(markup)
    except ValueError as error:
        line = match.string.count("\n", 0, match.start())
        shown = markup if len(markup) <= LONGEST else f"{markup[:LONGEST]}…"
        raise Unreadable(f"the formula ${shown}$ cannot be read: {error}", line) from error
    return markup, alone


def _place(document: QTextDocument, waiting: str, markup: str, alone: bool) -> None:
    cursor = document.find(waiting)
    if cursor.isNull():  # in a part that Markdown drops, such as a link's address
        return
    format = QTextCharFormat(cursor.charFormat())
    font = format.font().resolve(document.defaultFont())
    if alone:
        font.setPointSizeF(font.pointSizeF() * LARGE)
    format.setFont(font)
    format.setObjectType(FORMULA)
    format.setProperty(MARKUP, markup)
    format.setToolTip(spoken(markup))
    format.setVerticalAlignment(QTextCharFormat.VerticalAlignment.AlignBaseline)
    cursor.insertText(OBJECT, format)
    if alone:
        cursor.mergeBlockFormat(_own_line(markup, font))


def _own_line(markup: str, font: QFont) -> QTextBlockFormat:
    """Centred, with room for what hangs deeper than a line of text."""
    deeper = layout(markup, font).descent - QFontMetricsF(font).descent()
    format = QTextBlockFormat()
    format.setAlignment(Qt.AlignmentFlag.AlignHCenter)
    format.setTopMargin(AROUND)
    format.setBottomMargin(AROUND + max(0.0, deeper))
    return format


def plain(document: QTextDocument) -> str:
    """The text as it is spoken, the formulas in words."""
    words, block = [], document.begin()
    while block.isValid():
        iterator = block.begin()
        while not iterator.atEnd():
            fragment = iterator.fragment()
            format = fragment.charFormat()
            is_formula = format.objectType() == FORMULA
            words.append(spoken(str(format.property(MARKUP))) if is_formula else fragment.text())
            iterator += 1
        words.append("\n")
        block = block.next()
    return "".join(words).strip()
