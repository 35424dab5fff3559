"""Colours: contrast for every text, one colour per quantity, a style sheet that holds."""

import itertools
import re

import pytest
from PySide6.QtGui import QColor, QPalette

from diffview.frames.quantities import QUANTITIES
from diffview.ui import theme

SURFACES = ("window", "panel", "field", "field_hover", "selection", "tooltip")
TEXTS = ("text", "muted")
COLOURED = (
    "accent", "x_t", "x0_hat", "x0_cond", "x0_uncond", "difference", "eps", "score", "gamma",
    "snr", "good", "warn", "bad",
)  # fmt: skip
both = pytest.mark.parametrize("colours", theme.THEMES.values(), ids=theme.THEMES)


def luminance(colour):
    """Relative luminance as WCAG 2.1 defines it."""
    parts = (channel / 255 for channel in (colour.red(), colour.green(), colour.blue()))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(QColor(one)), luminance(QColor(other))))
    return (high + 0.05) / (low + 0.05)


def test_contrast_of_black_on_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@both
@pytest.mark.parametrize("surface", SURFACES)
@pytest.mark.parametrize("text", TEXTS)
def test_text_can_be_read_on_every_surface(colours, text, surface):
    assert contrast(getattr(colours, text), getattr(colours, surface)) >= 4.5


@both
@pytest.mark.parametrize("surface", ["window", "panel"])
@pytest.mark.parametrize("text", COLOURED)
def test_coloured_text_can_be_read_on_window_and_panel(colours, text, surface):
    assert contrast(getattr(colours, text), getattr(colours, surface)) >= 4.5


@both
def test_text_on_the_primary_button_can_be_read(colours):
    for background in (colours.accent, colours.accent_hover):
        assert contrast(colours.on_accent, background) >= 4.5


@both
def test_handles_and_focus_rings_stand_out(colours):
    for mark, ground in itertools.product(("handle", "accent", "gamma"), ("panel", "window")):
        assert contrast(getattr(colours, mark), getattr(colours, ground)) >= 3


@both
def test_every_quantity_has_a_colour_and_those_that_share_one_belong_together(colours):
    for quantity in QUANTITIES:
        assert theme.colour_of(colours, quantity).isValid()
    assert theme.colour_of(colours, "sigma") == theme.colour_of(colours, "xt")
    assert theme.colour_of(colours, "alpha_bar") == theme.colour_of(colours, "x0hat")
    names = {theme.colour_of(colours, quantity).name() for quantity in QUANTITIES}
    assert len(names) == len(QUANTITIES)


@both
def test_style_sheet_has_every_token_filled_in_and_its_drawings_exist(colours):
    sheet = theme.style_sheet(colours)
    assert "$" not in sheet
    drawings = re.findall(r'url\("([^"]+)"\)', sheet)
    assert drawings
    for drawing in drawings:
        with open(drawing, encoding="utf-8") as file:
            assert "<svg" in file.read()


def test_applying_a_theme_sets_palette_and_current(qapp):
    for colours in (theme.LIGHT, theme.DARK):
        theme.apply(qapp, colours)
        assert theme.current() is colours
        assert qapp.palette().color(QPalette.ColorRole.Window) == QColor(colours.window)
        assert qapp.style().name() in ("fusion", "qstylesheetstyle") or qapp.styleSheet()


def test_applying_again_does_not_grow_the_font(qapp):
    theme.apply(qapp, theme.DARK)
    before = qapp.font().pointSizeF()
    theme.apply(qapp, theme.LIGHT)
    assert qapp.font().pointSizeF() == before >= theme.POINT_SIZE


def test_system_theme_is_one_of_the_two(qapp):
    assert theme.system_theme(qapp) in theme.THEMES.values()
