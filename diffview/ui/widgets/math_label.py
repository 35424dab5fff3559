"""Small mathematics, typeset: x̂₀ and ᾱ_t with hats and bars where they belong.

What can be written is in math_markup.py, where it comes to stand in math_boxes.py.
"""

from __future__ import annotations

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, QSizeF, Qt
from PySide6.QtGui import QColor, QFont, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffview.ui import theme
from diffview.ui.widgets.math_boxes import Box, layout
from diffview.ui.widgets.math_markup import parse, spoken

MARGIN = 2
"""Room around a label in pixels: italic letters reach out of their box."""


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
