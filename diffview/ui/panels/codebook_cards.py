"""The codebook's cards: one token and its neighbours, and how often each code is used."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QRectF, QSize, Signal, Slot
from PySide6.QtGui import QColor, QIcon, QImage, QPainter, QPaintEvent, QPixmap
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QWidget,
)

from diffview.frames.codebook import colour_of
from diffview.models.codebook import Coded, Float32, Int64, Neighbour, neighbours, perplexity
from diffview.ui import theme
from diffview.ui.panels.card import Card, describe, narrow, silent
from diffview.ui.panels.number_grid import NumberGrid

NEAREST = 8
SWATCH = 16
"""Side of a code's small picture (px)."""
NUMBERS = (
    ("index", "k", "The number of the code that is decoded here"),
    ("first", r"k_{z}", "The number of the code nearest to what the encoder says here"),
    ("distance", r"\|z - e_{k}\|", "Euclidean distance of the encoder's output z from the code "
     "that is decoded here"),
)  # fmt: skip


class TokenCard(Card):
    """One token: its code, the codes near it, and another one in its place."""

    codeRequested = Signal(int)
    placeRequested = Signal(int, int)
    undoRequested = Signal()
    resetRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("TOKEN", parent)
        self._near: tuple[Neighbour, ...] = ()
        self._swatches: NDArray[np.uint8] | None = None
        self._build()
        self.code.valueChanged.connect(self.codeRequested)
        self.row.valueChanged.connect(self._on_place)
        self.column.valueChanged.connect(self._on_place)
        self.undo.clicked.connect(self.undoRequested)
        self.reset.clicked.connect(self.resetRequested)
        self.show_nothing()

    def _build(self) -> None:
        self.hint = QLabel("Click a token on one of the maps or pictures.")
        self.hint.setProperty("role", "muted")
        self.hint.setWordWrap(True)
        self.numbers = NumberGrid("codebook", NUMBERS)
        self.vector = QLabel()
        self.vector.setWordWrap(True)
        self.vector.setToolTip("The code's vector e_k, in the latents' own units")
        self.code = QSpinBox()
        self.code.setKeyboardTracking(False)
        describe(self.code, "Code", "Another code for this token: its number",
                 "codebookCodeSpinBox")  # fmt: skip
        self.row, self.column = QSpinBox(prefix="row "), QSpinBox(prefix="column ")
        describe(self.row, "Row of the token", "Which token is looked at: its row, from 0",
                 "codebookRowSpinBox")  # fmt: skip
        describe(self.column, "Column of the token", "Which token is looked at: its column, from "
                 "0", "codebookColumnSpinBox")  # fmt: skip
        self.paint = QPushButton("Paint")
        self.paint.setCheckable(True)
        describe(self.paint, "Paint this code", "While on, a click or a stroke over tokens "
                 "puts this code there; a stroke is one step for Undo",
                 "codebookPaintButton")  # fmt: skip
        self.undo, self.reset = QPushButton("Undo"), QPushButton("Reset")
        describe(self.undo, "Undo", "Take back the last changed token", "codebookUndoButton")
        describe(self.reset, "Reset", "Take back all changes", "codebookResetButton")
        narrow(self.row, self.column, self.code, self.paint, self.undo, self.reset)
        self.body.addWidget(self.hint)
        self.body.addLayout(_row(self.row, self.column))
        self.body.addWidget(self.numbers)
        self.body.addWidget(self.vector)
        self.body.addLayout(_row(self.code, self.paint))
        self.body.addLayout(self._build_neighbours())
        self.body.addLayout(_row(self.undo, self.reset))

    def _build_neighbours(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(4)
        self.near = tuple(QPushButton() for _ in range(NEAREST))
        for place, button in enumerate(self.near):
            describe(button, f"Neighbour {place + 1}", "", f"codebookNeighbour{place}")
            narrow(button)
            button.clicked.connect(lambda _, place=place: self._on_near(place))
            grid.addWidget(button, place // 2, place % 2)
        return grid

    @Slot()
    def _on_place(self, *_: object) -> None:
        self.placeRequested.emit(self.row.value(), self.column.value())

    def _on_near(self, place: int) -> None:
        self.codeRequested.emit(self._near[place].code)

    def show_grid(self, rows: int, columns: int) -> None:
        """How many tokens the picture has."""
        with silent(self.row, self.column):
            self.row.setMaximum(rows - 1)
            self.column.setMaximum(columns - 1)

    def show_nothing(self) -> None:
        """No token is chosen."""
        self.hint.setVisible(True)
        self.numbers.show_nothing()
        self.vector.setText("")
        for widget in (self.code, self.paint, *self.near):
            widget.setEnabled(False)

    def show_token(
        self, coded: Coded, vectors: Float32, indices: Int64, row: int, column: int
    ) -> None:
        """The code at a token, as it is now."""
        code = int(indices[row, column])
        distance = float(np.linalg.norm(coded.z[:, row, column] - vectors[code]))
        self.hint.setVisible(False)
        with silent(self.row, self.column):
            self.row.setValue(row)
            self.column.setValue(column)
        self.numbers.show_numbers({
            "index": f"{code}",
            "first": f"{coded.indices[row, column]}", "distance": f"{distance:.3f}",
        })  # fmt: skip
        numbers = ", ".join(f"{value:.2f}".replace("-", "−") for value in vectors[code])
        self.vector.setText(f"e = ({numbers})")
        with silent(self.code):
            self.code.setRange(0, len(vectors) - 1)
            self.code.setValue(code)
        self._show_near(neighbours(vectors, code, NEAREST))
        for widget in (self.code, self.paint):
            widget.setEnabled(True)

    def _show_near(self, near: tuple[Neighbour, ...]) -> None:
        self._near = near
        for place, button in enumerate(self.near):
            there = place < len(near)
            button.setEnabled(there)
            button.setText(f" {near[place].code} · {near[place].distance:.2f}" if there else "")
            button.setIcon(self._swatch(near[place].code) if there else QIcon())
            button.setIconSize(QSize(SWATCH, SWATCH))
            button.setToolTip("A code near this one, what it alone looks like, and how far its "
                              "vector is: a click puts it here")  # fmt: skip

    def show_swatches(self, swatches: NDArray[np.uint8]) -> None:
        """What each code alone looks like, (K, f, f, 4); before that, its colour on the map."""
        self._swatches = swatches
        self._show_near(self._near)

    def _swatch(self, code: int) -> QIcon:
        if self._swatches is None:
            return _coloured(code)
        look = np.ascontiguousarray(self._swatches[code])
        high, wide = look.shape[:2]
        image = QImage(look.data, wide, high, 4 * wide, QImage.Format.Format_RGBX8888).copy()
        return QIcon(QPixmap.fromImage(image.scaled(4 * SWATCH, 4 * SWATCH)))

    def show_edits(self, edited: bool) -> None:
        """Whether anything can be undone."""
        self.undo.setEnabled(edited)
        self.reset.setEnabled(edited)


class UsageCard(Card):
    """How often each code is used: in this picture, and over all bundled emoji."""

    countRequested = Signal()
    stopRequested = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("CODE USAGE", parent)
        self._counting = False
        self._build()
        self.count.clicked.connect(self._on_clicked)

    def _build(self) -> None:
        self.here, self.everywhere = QLabel("This picture"), QLabel("All emoji: not counted yet")
        for label in (self.here, self.everywhere):
            label.setWordWrap(True)
        self.plot, self.whole = UsagePlot("x0_hat"), UsagePlot("x_t")
        self.bar = QProgressBar(textVisible=False)
        self.bar.setVisible(False)
        self.count = QPushButton("Count over all emoji")
        describe(self.count, "Count the codes of all emoji", "Code all bundled emoji and count; "
                 "what you change is decoded in between", "codebookCountButton")  # fmt: skip
        for widget in (self.here, self.plot, self.everywhere, self.whole, self.bar, self.count):
            self.body.addWidget(widget)

    @Slot()
    def _on_clicked(self) -> None:
        if self._counting:
            self.stopRequested.emit()
        else:
            self.countRequested.emit()

    def show_picture(self, counts: Int64) -> None:
        """counts (K,) of the picture's codes as they are now."""
        self.here.setText(f"This picture: {_summary(counts)}")
        self.plot.show_counts(counts)

    def show_count(self, counts: Int64 | None, done: int, of: int, counting: bool) -> None:
        """The count over the emoji so far."""
        self._counting = counting
        self.bar.setVisible(counting)
        self.bar.setRange(0, max(1, of))
        self.bar.setValue(done)
        self.count.setText("Stop counting" if counting else "Count over all emoji")
        if counts is not None:
            self.everywhere.setText(f"{done} of {of} emoji: {_summary(counts)}")
            self.whole.show_counts(counts)


class UsagePlot(QWidget):
    """Counts from the most used code to the least, over the whole width."""

    def __init__(self, token: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._token = token
        self._counts: Int64 | None = None
        self.setFixedHeight(56)
        self.setToolTip("How often each code is used, from the most used at the left to the "
                        "least; codes that are never used leave a gap at the right")  # fmt: skip

    def sizeHint(self) -> QSize:
        return QSize(200, 56)

    def show_counts(self, counts: Int64) -> None:
        """counts (K,), in any order."""
        self._counts = np.sort(counts)[::-1]
        self.setAccessibleName(_summary(counts))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        colours = theme.current()
        painter.fillRect(self.rect(), colours.colour("field"))
        if self._counts is None or not self._counts.any():
            return
        high, wide = self.height() - 4, self.width()
        for x in range(wide):
            count = self._counts[x * len(self._counts) // wide]
            length = high * float(count) / float(self._counts[0])
            if count:  # one pixel at least: used once is not never
                length = max(1.0, length)
                painter.fillRect(
                    QRectF(x, self.height() - length, 1, length), colours.colour(self._token)
                )


def _summary(counts: Int64) -> str:
    used = int((counts > 0).sum())
    return f"{used} of {len(counts)} codes, perplexity {perplexity(counts):.1f}"


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    row.setSpacing(6)
    for widget in widgets:
        row.addWidget(widget, 1)
    return row


def _coloured(code: int) -> QIcon:
    picture = QPixmap(SWATCH, SWATCH)
    picture.fill(QColor(*colour_of(code)))
    return QIcon(picture)
