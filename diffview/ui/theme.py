"""Light and dark: every colour as a named token, and the palette and style sheet built from them.

One colour per quantity everywhere: x_t and σ blue, x̂₀ and ᾱ amber, γ violet. Text on each surface
keeps a contrast of 4.5:1 or more (WCAG 2.1, success criterion 1.4.3).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from string import Template

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication

from diffview import resources

POINT_SIZE = 10.0
"""The smallest size of the application's font, in points: readable from the last row."""


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours by what they are for, as #rrggbb."""

    name: str
    dark: bool
    window: str
    panel: str
    field: str
    field_hover: str
    border: str
    outline: str
    text: str
    muted: str
    disabled: str
    accent: str
    accent_hover: str
    on_accent: str
    selection: str
    groove: str
    handle: str
    tooltip: str
    x_t: str
    x0_hat: str
    x0_cond: str
    x0_uncond: str
    difference: str
    eps: str
    score: str
    entropy: str
    surprise: str
    gamma: str
    snr: str
    good: str
    warn: str
    bad: str

    def colour(self, token: str) -> QColor:
        """The colour of a token, by the field's name."""
        return QColor(getattr(self, token))


DARK = Theme(
    name="dark", dark=True,
    window="#121419", panel="#1b1e25", field="#252932", field_hover="#2e333e",
    border="#2c313b", outline="#3d4450", text="#e8ebf2", muted="#a0a9b8", disabled="#6b7482",
    accent="#6ca9ff", accent_hover="#8cbcff", on_accent="#0b1220", selection="#2b3a52",
    groove="#3a404c", handle="#f2f4f8", tooltip="#2b303a",
    x_t="#6ca9ff", x0_hat="#ffb24d", x0_cond="#ff9473", x0_uncond="#d8c65a",
    difference="#f48fc7", eps="#4fd1c1", score="#8fd66f", entropy="#ffc978", surprise="#e58a8a",
    gamma="#c095ff", snr="#62d2a2",
    good="#5fd68b", warn="#f2c14e", bad="#ff8a80",
)  # fmt: skip

LIGHT = Theme(
    name="light", dark=False,
    window="#f2f4f7", panel="#ffffff", field="#edf0f4", field_hover="#e2e7ee",
    border="#d8dde5", outline="#b6bfcb", text="#191c22", muted="#525b69", disabled="#858e9b",
    accent="#1a63c9", accent_hover="#2a6dcf", on_accent="#ffffff", selection="#d6e5fb",
    groove="#cfd6df", handle="#22262e", tooltip="#ffffff",
    x_t="#1a63c9", x0_hat="#a65300", x0_cond="#b83a16", x0_uncond="#736400",
    difference="#b02a78", eps="#0a6f66", score="#3d7010", entropy="#7d5a00", surprise="#9c2f4f",
    gamma="#7638cc", snr="#0b7049",
    good="#146f3c", warn="#835800", bad="#b92b25",
)  # fmt: skip

THEMES = {theme.name: theme for theme in (LIGHT, DARK)}

TOKEN_OF = {
    "xt": "x_t",
    "x0hat": "x0_hat",
    "x0cond": "x0_cond",
    "x0uncond": "x0_uncond",
    "diff": "difference",
    "eps": "eps",
    "score": "score",
    "entropy": "entropy",
    "surprise": "surprise",
    "gamma": "gamma",
    "alpha_bar": "x0_hat",
    "sigma": "x_t",
    "snr": "snr",
}
"""Which token colours which quantity."""

_current = DARK


def current() -> Theme:
    """The theme that `apply` set last."""
    return _current


def colour_of(theme: Theme, quantity: str) -> QColor:
    """The colour of a quantity by its name in frames.quantities, or of a number of the levels."""
    return theme.colour(TOKEN_OF[quantity])


def system_theme(app: QApplication) -> Theme:
    """What the desktop asks for; dark where it does not say, since pictures are the subject."""
    scheme = app.styleHints().colorScheme()
    return LIGHT if scheme == Qt.ColorScheme.Light else DARK


def apply(app: QApplication, theme: Theme) -> None:
    """Dress the application: style, font, palette, style sheet. Widgets repaint by themselves."""
    global _current
    _current = theme
    sheet = style_sheet(theme)
    if app.styleSheet() == sheet:  # dressed already; to polish every widget again takes long
        return
    if app.style().name() != "fusion":
        app.setStyle("Fusion")
    app.setFont(font(app))
    app.setPalette(palette(theme))
    app.setStyleSheet(sheet)


def use(name: str) -> None:
    """Dress the application as "light", "dark", or as the desktop asks for ("system").

    Before its windows are built, or they keep the font they were built with.
    """
    app = QApplication.instance()
    if isinstance(app, QApplication):
        apply(app, THEMES.get(name) or system_theme(app))


def font(app: QApplication) -> QFont:
    """The desktop's own font, not smaller than POINT_SIZE, with figures of one width."""
    chosen = QFont(app.font())
    chosen.setPointSizeF(max(POINT_SIZE, chosen.pointSizeF()))
    chosen.setFeature(QFont.Tag("tnum"), 1)
    return chosen


def palette(theme: Theme) -> QPalette:
    """The palette for what the style sheet leaves to Fusion."""
    made = QPalette()
    for role, token in _PALETTE.items():
        made.setColor(role, theme.colour(token))
    for role in (
        QPalette.ColorRole.WindowText,
        QPalette.ColorRole.Text,
        QPalette.ColorRole.ButtonText,
    ):
        made.setColor(QPalette.ColorGroup.Disabled, role, theme.colour("disabled"))
    made.setColor(
        QPalette.ColorGroup.Disabled, QPalette.ColorRole.Highlight, theme.colour("groove")
    )
    return made


_PALETTE = {
    QPalette.ColorRole.Window: "window",
    QPalette.ColorRole.WindowText: "text",
    QPalette.ColorRole.Base: "field",
    QPalette.ColorRole.AlternateBase: "panel",
    QPalette.ColorRole.Text: "text",
    QPalette.ColorRole.PlaceholderText: "muted",
    QPalette.ColorRole.Button: "field",
    QPalette.ColorRole.ButtonText: "text",
    QPalette.ColorRole.BrightText: "bad",
    QPalette.ColorRole.ToolTipBase: "tooltip",
    QPalette.ColorRole.ToolTipText: "text",
    QPalette.ColorRole.Highlight: "accent",
    QPalette.ColorRole.HighlightedText: "on_accent",
    QPalette.ColorRole.Accent: "accent",
    QPalette.ColorRole.Link: "accent",
    QPalette.ColorRole.LinkVisited: "gamma",
    QPalette.ColorRole.Light: "outline",
    QPalette.ColorRole.Midlight: "border",
    QPalette.ColorRole.Mid: "border",
    QPalette.ColorRole.Dark: "outline",
    QPalette.ColorRole.Shadow: "window",
}


def style_sheet(theme: Theme) -> str:
    """The one style sheet, from the tokens."""
    drawn = {
        "arrow_down": _drawing("arrow-down"),
        "minus": _drawing("arrow-minus"),
        "plus": _drawing("arrow-plus"),
        "check": _drawing(f"check-{theme.name}"),
    }
    return Template(_STYLE_SHEET).substitute(asdict(theme) | drawn)


def _drawing(name: str) -> str:
    return resources.path("icons", f"{name}.svg").as_posix()


# Setting the spacing of a list as a property makes it lay out its items again once this sheet has
# given them their height; a list inside another widget has laid them out before that.
_STYLE_SHEET = """
QMainWindow, QDialog { background: $window; }
QDialog { border: 1px solid $outline; }
QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }
QWidget { color: $text; }
QToolTip {
    background: $tooltip; color: $text; border: 1px solid $outline; padding: 4px 6px;
}

QFrame[card="true"] {
    background: $panel; border: 1px solid $border; border-radius: 10px;
}
QFrame[notice="info"], QFrame[notice="warning"], QFrame[notice="error"] {
    background: $panel; border: 1px solid $border; border-left: 4px solid $accent;
    border-radius: 8px;
}
QFrame[notice="warning"] { border-left-color: $warn; }
QFrame[notice="error"] { border-left-color: $bad; }
QLabel { background: transparent; }
QLabel[role="heading"] {
    color: $muted; font-size: 9pt; font-weight: 700; letter-spacing: 1.2px;
}
QLabel[role="title"] { font-size: 12pt; font-weight: 600; }
QLabel[role="muted"] { color: $muted; }
QLabel[role="small"] { color: $muted; font-size: 9pt; }
QLabel[role="value"] { color: $text; font-weight: 600; }
QLabel[role="good"] { color: $good; }
QLabel[role="warn"] { color: $warn; }
QLabel[role="bad"] { color: $bad; }
QTextBrowser[role="prose"] {
    background: transparent; border: none; padding: 0; min-height: 0;
}
QLabel[quantity="xt"], QLabel[quantity="sigma"] { color: $x_t; }
QLabel[quantity="x0hat"], QLabel[quantity="alpha_bar"] { color: $x0_hat; }
QLabel[quantity="x0cond"] { color: $x0_cond; }
QLabel[quantity="x0uncond"] { color: $x0_uncond; }
QLabel[quantity="diff"] { color: $difference; }
QLabel[quantity="eps"] { color: $eps; }
QLabel[quantity="score"] { color: $score; }
QLabel[quantity="gamma"] { color: $gamma; }
QLabel[quantity="snr"] { color: $snr; }
QLabel:disabled { color: $disabled; }

QPushButton {
    background: $field; border: 1px solid $border; border-radius: 7px;
    padding: 5px 12px; min-height: 18px;
}
QPushButton:hover { background: $field_hover; }
QPushButton:pressed { background: $groove; }
QPushButton:checked { background: $selection; border-color: $accent; }
QPushButton:focus { border: 1px solid $accent; }
QPushButton:disabled { color: $disabled; background: $panel; }
QPushButton[primary="true"] {
    background: $accent; border: 1px solid $accent; color: $on_accent; font-weight: 600;
}
QPushButton[primary="true"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton[primary="true"]:focus { border: 2px solid $text; padding: 4px 11px; }
QPushButton[primary="true"]:disabled {
    background: $field; border-color: $border; color: $disabled;
}
QPushButton[flat="true"] { background: transparent; border-color: transparent; }
QPushButton[flat="true"]:hover { background: $field_hover; }
QPushButton[flat="true"]:focus { border-color: $accent; }

QToolButton {
    background: transparent; border: 1px solid transparent; border-radius: 7px; padding: 5px;
}
QToolButton:hover { background: $field_hover; }
QToolButton:pressed { background: $groove; }
QToolButton:checked { background: $selection; border-color: $selection; }
QToolButton:focus { border-color: $accent; }
QToolButton:disabled { color: $disabled; }
QToolButton[framed="true"] { background: $field; border-color: $border; }
QToolButton[framed="true"]:hover { background: $field_hover; }
QToolButton[framed="true"]:checked { background: $selection; }
QToolButton[framed="true"]:focus { border-color: $accent; }
QToolButton[small="true"] { padding: 1px 7px; border-radius: 6px; color: $muted; font-size: 9pt; }
QToolButton[small="true"]:checked { color: $text; }
QToolButton[workspace="true"] {
    color: $muted; padding: 4px 9px; border-radius: 0; border-bottom: 2px solid transparent;
}
QToolButton[workspace="true"]:hover { color: $text; background: transparent; }
QToolButton[workspace="true"]:checked {
    color: $text; background: transparent; border-color: transparent;
    border-bottom: 2px solid $accent;
}
QToolButton[workspace="true"]:focus { background: $field_hover; }
QToolButton::menu-indicator { image: none; }

QLineEdit, QPlainTextEdit, QTextEdit, QAbstractSpinBox, QComboBox {
    background: $field; border: 1px solid $border; border-radius: 7px;
    padding: 4px 8px; min-height: 20px;
    selection-background-color: $accent; selection-color: $on_accent;
}
QLineEdit:hover, QAbstractSpinBox:hover, QComboBox:hover { background: $field_hover; }
QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QAbstractSpinBox:focus, QComboBox:focus {
    border: 1px solid $accent;
}
QLineEdit:disabled, QAbstractSpinBox:disabled, QComboBox:disabled {
    color: $disabled; background: $panel;
}
QLineEdit[invalid="true"], QAbstractSpinBox[invalid="true"] { border: 1px solid $bad; }
QAbstractSpinBox { padding: 4px 2px; qproperty-alignment: AlignCenter; }
QAbstractSpinBox::down-button, QAbstractSpinBox::up-button {
    subcontrol-origin: border; width: 22px; border: none; background: transparent; margin: 2px;
    border-radius: 5px;
}
QAbstractSpinBox::down-button { subcontrol-position: center left; }
QAbstractSpinBox::up-button { subcontrol-position: center right; }
QAbstractSpinBox::up-button:hover, QAbstractSpinBox::down-button:hover { background: $groove; }
QAbstractSpinBox::up-arrow { image: url("$plus"); width: 12px; height: 12px; }
QAbstractSpinBox::down-arrow { image: url("$minus"); width: 12px; height: 12px; }
QAbstractSpinBox::up-arrow:disabled, QAbstractSpinBox::down-arrow:disabled { image: none; }
QComboBox { padding-right: 0; }
QComboBox QLineEdit { background: transparent; border: none; padding: 0; min-height: 0; }
QComboBox::drop-down { border: none; width: 22px; background: transparent; }
QComboBox::down-arrow { image: url("$arrow_down"); width: 12px; height: 12px; }
QComboBox QAbstractItemView {
    background: $panel; border: 1px solid $outline; padding: 4px; outline: none;
    selection-background-color: $selection; selection-color: $text;
}
QComboBox QAbstractItemView::item { min-height: 26px; padding: 0 6px; border-radius: 5px; }

QListView, QTreeView, QTableView, QListWidget {
    background: transparent; border: 1px solid transparent; border-radius: 7px; outline: none;
    selection-background-color: $selection; selection-color: $text;
}
QListView { qproperty-spacing: 1; }
QListView:focus, QTreeView:focus, QTableView:focus { border-color: $accent; }
QListView::item { min-height: 26px; padding: 0 8px; border-radius: 6px; }
QListView::item:hover { background: $field_hover; }
QListView::item:selected { background: $selection; color: $text; }
QListView::item:disabled { color: $disabled; background: transparent; }
QHeaderView::section { background: $panel; color: $muted; border: none; padding: 4px; }

QCheckBox, QRadioButton { spacing: 7px; background: transparent; }
QCheckBox:disabled, QRadioButton:disabled { color: $disabled; }
QCheckBox::indicator {
    width: 15px; height: 15px; border: 1px solid $outline; border-radius: 5px; background: $field;
}
QCheckBox::indicator:hover { background: $field_hover; }
QCheckBox::indicator:focus { border: 1px solid $accent; }
QCheckBox::indicator:checked {
    background: $accent; border: 1px solid $accent; image: url("$check");
}
QCheckBox::indicator:checked:disabled { background: $disabled; border-color: $disabled; }
QCheckBox:focus { color: $accent; }
QRadioButton::indicator {
    width: 15px; height: 15px; border: 1px solid $outline; border-radius: 8px; background: $field;
}
QRadioButton::indicator:checked { border: 5px solid $accent; width: 7px; height: 7px; }

QSlider::groove:horizontal { height: 5px; border-radius: 2px; background: $groove; }
QSlider::sub-page:horizontal { height: 5px; border-radius: 2px; background: $accent; }
QSlider::handle:horizontal {
    background: $handle; width: 16px; height: 16px; margin: -6px 0; border-radius: 8px;
    border: 1px solid $panel;
}
QSlider::handle:horizontal:focus { border: 2px solid $accent; }
QSlider::sub-page:horizontal:disabled { background: $outline; }

QProgressBar {
    background: $groove; border: none; border-radius: 4px; min-height: 8px; max-height: 8px;
    text-align: center;
}
QProgressBar::chunk { background: $good; border-radius: 4px; }

QMenuBar { background: $window; padding: 2px 4px; }
QMenuBar::item { background: transparent; padding: 4px 9px; border-radius: 6px; }
QMenuBar::item:selected { background: $field_hover; }
QMenu { background: $panel; border: 1px solid $outline; padding: 5px; }
QMenu::item { padding: 5px 26px 5px 12px; border-radius: 5px; }
QMenu::item:selected { background: $selection; color: $text; }
QMenu::item:disabled { color: $disabled; }
QMenu::icon { padding-left: 8px; }
QMenu::separator { height: 1px; background: $border; margin: 4px 6px; }
QToolBar { background: $window; border: none; spacing: 6px; padding: 4px; }
QStatusBar { background: $window; color: $muted; }
QStatusBar QLabel { color: $muted; }
QStatusBar::item { border: none; }

QDockWidget { color: $muted; titlebar-close-icon: none; }
QDockWidget::title { background: $window; padding: 5px 8px; }
QMainWindow::separator { background: $window; width: 6px; height: 6px; }
QMainWindow::separator:hover { background: $selection; }
QSplitter::handle { background: transparent; }
QSplitter::handle:hover { background: $selection; }

QTabWidget::pane { border: none; }
QTabBar::tab {
    background: transparent; color: $muted; padding: 6px 12px; border: none;
    border-bottom: 2px solid transparent;
}
QTabBar::tab:hover { color: $text; }
QTabBar::tab:selected { color: $text; border-bottom: 2px solid $accent; }

QScrollArea { background: transparent; border: none; }
QScrollBar { background: transparent; border: none; margin: 0; }
QScrollBar:vertical { width: 10px; }
QScrollBar:horizontal { height: 10px; }
QScrollBar::handle { background: $groove; border-radius: 4px; margin: 1px; }
QScrollBar::handle:vertical { min-height: 28px; }
QScrollBar::handle:horizontal { min-width: 28px; }
QScrollBar::handle:hover { background: $outline; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
"""
