"""Typeset mathematics: sane sizes, scripts and accents in their places, colours by role."""

import pytest
from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter

from diffview.ui import theme
from diffview.ui.widgets.math_boxes import layout
from diffview.ui.widgets.math_label import MathLabel, draw_math, math_size
from diffview.ui.widgets.math_markup import parse, spoken

UPDATE = r"x_{t-1} = \c{x0hat}{w_{0} \hat{x}_{0}} + \c{xt}{w_{1} x_{t}} + \sigma_{t} z"


@pytest.fixture
def font(qapp):
    theme.apply(qapp, theme.DARK)
    return qapp.font()


@pytest.mark.parametrize(
    "markup",
    [
        "x_{t}", r"\hat{x}_{0}", r"\bar{\alpha}_{t}", r"\sigma_{t}", "w_{0}", UPDATE,
        r"\|\hat{\epsilon}\|", r"\nabla \log p(x_t)", r"\hat{x}_0^{u}", r"\text{SNR, dB}",
    ],
)  # fmt: skip
def test_size_is_that_of_a_line_of_text(font, markup):
    size, line = math_size(markup, font), QFontMetricsF(font).height()
    assert 0.4 * line < size.height() < 1.9 * line
    assert 0.3 * line < size.width() < 20 * line


def test_hat_makes_a_letter_taller_but_not_wider(font):
    plain, hatted = layout("x", font), layout(r"\hat{x}", font)
    assert hatted.width == plain.width
    assert len(hatted.ink) == len(plain.ink) + 1


def test_hat_stands_over_the_middle_of_its_letter(font):
    letter = draw(r"x", font)
    hatted = draw(r"\hat{x}", font)
    above = columns_inked(hatted, until=top_of(letter, hatted))
    below = columns_inked(letter)
    assert abs(sum(above) / len(above) - sum(below) / len(below)) < 6


def test_subscript_hangs_below_the_baseline_and_superscript_rises(font):
    plain, sub, sup = layout("x", font), layout("x_{t}", font), layout("x^{2}", font)
    assert sub.descent > plain.descent
    assert sup.ascent > plain.ascent
    assert sub.width > plain.width


def test_larger_font_makes_everything_larger(font):
    large = QFont(font)
    large.setPointSizeF(font.pointSizeF() * 2)
    ratio = math_size(UPDATE, large).width() / math_size(UPDATE, font).width()
    assert ratio == pytest.approx(2, rel=0.1)


def test_group_is_drawn_in_the_colour_of_its_quantity(font):
    wanted = theme.colour_of(theme.current(), "x0hat")
    image = QImage(160, 160, QImage.Format.Format_ARGB32)
    image.setDevicePixelRatio(4.0)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    markup = r"\c{x0hat}{\hat{x}_{0}}"
    draw_math(painter, QRectF(2, 2, 36, 36), markup, font, QColor("#00ff00"))
    painter.end()
    solid = [
        image.pixelColor(x, y)
        for x in range(image.width())
        for y in range(image.height())
        if image.pixelColor(x, y).alpha() == 255
    ]
    assert solid and all(abs(c.hue() - wanted.hue()) < 4 for c in solid)


@pytest.mark.parametrize("markup", [r"\foo", r"\hat{x", "x_", r"\c{xt", r"\hat x"])
def test_markup_that_cannot_be_read_is_an_error_that_shows_it(markup):
    with pytest.raises(ValueError, match="in '"):
        parse(markup)


def test_words_for_screen_readers():
    assert spoken(r"\hat{x}_{0}") == "x hat 0"
    assert spoken(r"\bar{\alpha}_{t}") == "α bar t"


def test_label_has_a_name_a_size_and_shows_another_markup(qtbot, font):
    label = MathLabel(r"\hat{x}_{0}")
    qtbot.addWidget(label)
    assert label.accessibleName() == "x hat 0"
    before = label.sizeHint()
    label.show_markup(UPDATE)
    assert label.sizeHint().width() > before.width()
    label.show()
    label.grab()


def test_nothing_is_cut_off(qtbot, font):
    for markup in (UPDATE, r"\hat{x}_{0}", r"\bar{\alpha}_{t}", "f_{j}", r"\hat{T}^{2}"):
        label = MathLabel(markup)
        qtbot.addWidget(label)
        label.resize(label.sizeHint())
        image = label.grab().toImage()
        ground = image.pixelColor(0, 0)
        last_x, last_y = image.width() - 1, image.height() - 1
        edges = [(x, y) for x in range(image.width()) for y in (0, last_y)]
        edges += [(x, y) for x in (0, last_x) for y in range(image.height())]
        assert all(image.pixelColor(x, y) == ground for x, y in edges), markup


def draw(markup, font):
    image = QImage(240, 160, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    large = QFont(font)
    large.setPixelSize(80)
    painter = QPainter(image)
    box = layout(markup, large)
    top = 120 - box.ascent
    rect = QRectF(40, top, 160, box.ascent + box.descent)
    draw_math(painter, rect, markup, large, QColor("#ffffff"))
    painter.end()
    return image


def columns_inked(image, until=None):
    rows = range(image.height() if until is None else until)
    return [x for x in range(image.width()) for y in rows if image.pixelColor(x, y).alpha() > 128]


def top_of(letter, hatted):
    """The row where the accent ends and the letter starts."""
    first = next(
        y
        for y in range(letter.height())
        if any(letter.pixelColor(x, y).alpha() > 128 for x in range(letter.width()))
    )
    return first - 2
