"""Icons: every one draws something, in the theme's colour, sharp at any scale."""

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QIcon

from diffview import resources
from diffview.ui import icons, theme


def inked(pixmap):
    image = pixmap.toImage()
    pixels = ((x, y) for x in range(image.width()) for y in range(image.height()))
    return [image.pixelColor(x, y) for x, y in pixels if image.pixelColor(x, y).alpha() > 250]


@pytest.mark.parametrize("name", icons.NAMES)
def test_icon_is_not_empty_and_not_a_full_square(qapp, name):
    pixmap = icons.icon(name).pixmap(QSize(40, 40))
    share = len(inked(pixmap)) / (pixmap.width() * pixmap.height())
    assert 0.02 < share < 0.95


@pytest.mark.parametrize("name", [name for name in icons.NAMES if name != "diffview"])
def test_drawing_has_one_colour_and_the_common_box(name):
    drawing = resources.path("icons", f"{name}.svg").read_text(encoding="utf-8")
    assert 'viewBox="0 0 24 24"' in drawing
    assert "currentColor" in drawing
    assert "#" not in drawing


def test_icon_follows_the_theme_without_being_set_again(qapp):
    icon = icons.icon("stop")
    for colours in (theme.DARK, theme.LIGHT):
        theme.apply(qapp, colours)
        assert inked(icon.pixmap(QSize(24, 24)))[0] == QColor(colours.text)
        faint = icon.pixmap(QSize(24, 24), QIcon.Mode.Disabled)
        assert inked(faint)[0] == QColor(colours.disabled)


def test_icon_has_twice_the_pixels_at_200_percent(qapp):
    pixmap = icons.icon("run").pixmap(QSize(20, 20), 2.0)
    assert pixmap.size() == QSize(40, 40)
    assert pixmap.devicePixelRatio() == 2.0


def test_unknown_icon_is_named_with_those_there_are():
    with pytest.raises(KeyError, match=r"no icon 'rocket'; there are play"):
        icons.icon("rocket")
