"""The row above the plane: what colours the ground, and a switch for each layer, its legend."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QSize, Qt, Signal, Slot
from PySide6.QtGui import QIcon, QPainter, QPen, QPixmap, QPolygonF
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QSizePolicy, QToolButton, QWidget

from diffview.ui import theme
from diffview.ui.panels.card import describe, silent
from diffview.ui.plane_paint import HEIGHTS, LAYERS, ON_AT_FIRST, Layer

SIGN = 16


class LayerBar(QWidget):
    """Tells of another choice; `height` and `on` hold it."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._build()
        self.combo.currentIndexChanged.connect(self.changed)
        for button in self.buttons.values():
            button.toggled.connect(self.changed)

    def _build(self) -> None:
        self.combo = QComboBox()
        for name, title, help in HEIGHTS:
            self.combo.addItem(title, name)
            self.combo.setItemData(self.combo.count() - 1, help, Qt.ItemDataRole.ToolTipRole)
        describe(self.combo, "Ground", "What colours the plane", "planeGroundCombo")
        self.combo.setFixedHeight(30)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.combo)
        self.buttons: dict[str, QToolButton] = {}
        for layer in LAYERS:
            self.buttons[layer.name] = _switch(layer)
            row.addWidget(self.buttons[layer.name])
        row.addStretch(1)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.show_theme()

    @property
    def ground(self) -> str:
        """What colours the ground."""
        return str(self.combo.currentData())

    @property
    def on(self) -> frozenset[str]:
        """The layers that are shown."""
        return frozenset(name for name, button in self.buttons.items() if button.isChecked())

    def show_choice(self, height: str, on: frozenset[str]) -> None:
        """Choose these, without telling."""
        with silent(self.combo, *self.buttons.values()):
            self.combo.setCurrentIndex(max(0, self.combo.findData(height)))
            for name, button in self.buttons.items():
                button.setChecked(name in on)

    def show_theme(self) -> None:
        """Signs in the present colours."""
        for layer in LAYERS:
            self.buttons[layer.name].setIcon(_sign(layer, self.devicePixelRatioF()))

    def resizeEvent(self, event) -> None:
        """Words make way where the row is narrow."""
        super().resizeEvent(event)
        self._fit()

    @Slot()
    def _fit(self) -> None:
        beside = Qt.ToolButtonStyle.ToolButtonTextBesideIcon
        words = (
            sum(_width(button) for button in self.buttons.values()) + self.combo.sizeHint().width()
        )
        fits = words + 4 * len(self.buttons) + 8 <= self.width()
        style = beside if fits else Qt.ToolButtonStyle.ToolButtonIconOnly
        for button in self.buttons.values():
            button.setToolButtonStyle(style)


def _switch(layer: Layer) -> QToolButton:
    button = QToolButton()
    button.setText(layer.title)
    button.setCheckable(True)
    button.setChecked(layer.name in ON_AT_FIRST)
    button.setProperty("framed", True)
    button.setIconSize(QSize(SIGN, SIGN))
    button.setFixedHeight(30)
    describe(button, layer.title, f"{layer.title}: {layer.help}", f"planeLayer_{layer.name}")
    return button


def _width(button: QToolButton) -> int:
    return button.fontMetrics().horizontalAdvance(button.text()) + SIGN + 17


def _sign(layer: Layer, scale: float) -> QIcon:
    """A small drawing of the layer in its colour."""
    made = QPixmap(round(SIGN * scale), round(SIGN * scale))
    made.setDevicePixelRatio(scale)
    made.fill(Qt.GlobalColor.transparent)
    painter = QPainter(made)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    colour = theme.current().colour(layer.token)
    painter.setPen(QPen(colour, 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
    _MARKS[layer.mark](painter)
    painter.end()
    return QIcon(made)


def _line(painter: QPainter) -> None:
    painter.drawPolyline(
        QPolygonF([QPointF(1.5, 11), QPointF(5, 6.5), QPointF(9.5, 9.5), QPointF(14.5, 4)])
    )


def _arrow(painter: QPainter) -> None:
    painter.drawLine(QPointF(2, 13), QPointF(13, 3))
    painter.drawPolyline(QPolygonF([QPointF(7, 3), QPointF(13, 3), QPointF(13, 9)]))


def _dot(painter: QPainter) -> None:
    painter.setBrush(painter.pen().color())
    painter.drawEllipse(QPointF(8, 8), 3.4, 3.4)


def _several(painter: QPainter) -> None:
    places = ((3, 4), (8, 2.5), (12.5, 6), (5.5, 9), (10.5, 11), (3.5, 13), (13.5, 13.5))
    painter.drawPoints(QPolygonF([QPointF(x, y) for x, y in places]))


_MARKS = {"line": _line, "arrow": _arrow, "dot": _dot, "dots": _several}
