"""The next token in numbers: where it goes, how open it is, what was drawn, what else could be."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffview.engine.spec import RunSpec
from diffview.engine.trajectory import StepRecord
from diffview.frames import pixels, tokens
from diffview.frames.lens import Lens
from diffview.frames.tokens import Candidate
from diffview.ui import theme
from diffview.ui.panels.card import Card
from diffview.ui.panels.number_grid import NumberGrid
from diffview.ui.widgets.math_label import MathLabel

EQUATION = r"p = \text{softmax}(\text{logits} / T)"
MOST = 8
ROW = 20
"""Height of a candidate's row (px)."""

_ROWS = (
    ("i", "i / N", "Which of the N tokens is written in this step, in reading order"),
    ("place", r"\text{row, col.}", "Where it goes"),
    ("entropy", r"\c{entropy}{H}", "−Σ p log p of what it is drawn from, in nats; log K is the "
     "most, where all K tokens are as likely"),
    ("choices", r"e^{H}", "As open as among so many tokens of equal probability"),
    ("token", r"\text{drawn}", "The number of the token that was drawn"),
    ("p", "p", "The probability it was drawn with"),
    ("nfe", r"\text{NFE}", "Network evaluations of one sample so far; guidance takes two a token"),
    ("ms", r"\text{ms}", "Time of this step in milliseconds, all samples together"),
)  # fmt: skip


class TokenPanel(Card):
    """Numbers of the selected sample's next token, and the likeliest ones as bars."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("NEXT TOKEN", parent)
        self.setObjectName("tokenPanel")
        self.equation = MathLabel(EQUATION)
        self.equation.setToolTip(
            "The next token is drawn from what the network predicts after those before it, "
            "divided by the temperature T, of the top k (van den Oord et al. 2016, eq. 1)"
        )
        self.numbers = NumberGrid("token", _ROWS)
        self.bars = CandidateBars()
        self.body.addWidget(self.equation)
        self.body.addWidget(self.numbers)
        self.body.addWidget(self.bars)

    def show_step(
        self, record: StepRecord, spec: RunSpec, gamma: float, sample: int, lens: Lens | None
    ) -> None:
        """One record at a guidance scale, as the slider has it; lens shows what a token is."""
        self.numbers.show_numbers(token_numbers(record, sample, spec.n_steps))
        found = tokens.candidates(record, spec, gamma, sample, MOST)
        self.bars.show_candidates(found, _swatches(found, record, lens))


def token_numbers(record: StepRecord, sample: int, n_steps: int) -> dict[str, str]:
    """The texts of the panel by name; "–" at the end, where no token comes next."""
    texts = {"i": f"{record.i}/{n_steps}", "nfe": str(record.nfe)}
    texts["ms"] = f"{1000 * record.seconds:.1f}"
    known = tokens.written(record)
    if known.chosen.shape[1] <= record.i:
        return texts | dict.fromkeys(("place", "entropy", "choices", "token", "p"), "–")
    row, column = divmod(record.i, record.x_t.shape[-1])
    h = float(known.entropy[sample, record.i])
    return texts | {
        "place": f"{row}, {column}",
        "entropy": f"{h:.3f}",
        "choices": f"{math.exp(h):.1f}",
        "token": str(int(known.chosen[sample, record.i])),
        "p": f"{float(known.probability[sample, record.i]):.2%}",
    }


def _swatches(
    found: Sequence[Candidate], record: StepRecord, lens: Lens | None
) -> list[np.ndarray]:
    """What each candidate alone looks like, (h, w, 4); nothing where there is no lens."""
    if lens is None or not found:
        return []
    alone = np.array([one.token for one in found], np.float32).reshape(-1, 1, 1, 1)
    return list(pixels.grey_or_rgb(pixels.as_pictures(lens.picture(alone)), -1.0, 1.0))


class CandidateBars(QWidget):
    """A row for each candidate: what it looks like, its number, a bar, its probability."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._candidates: Sequence[Candidate] = ()
        self._swatches: Sequence[np.ndarray] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setObjectName("candidateBars")
        self.setAccessibleName("likeliest next tokens")
        self.setToolTip(
            "The likeliest next tokens, after temperature and top k, with what each alone looks "
            "like; the framed one was drawn"
        )

    def sizeHint(self) -> QSize:
        return QSize(200, MOST * ROW)

    def show_candidates(
        self, candidates: Sequence[Candidate], swatches: Sequence[np.ndarray]
    ) -> None:
        """By falling probability; swatches are as many, or none."""
        self._candidates, self._swatches = candidates, swatches
        best = ", ".join(f"{one.token}: {one.probability:.0%}" for one in candidates[:3])
        self.setAccessibleDescription(best)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        for place, one in enumerate(self._candidates):
            self._paint_row(painter, QRectF(0, place * ROW, self.width(), ROW), place, one)
        painter.end()

    def _paint_row(self, painter: QPainter, row: QRectF, place: int, one: Candidate) -> None:
        colours = theme.current()
        swatch = QRectF(row.x(), row.y() + 2, ROW - 4, ROW - 4)
        if place < len(self._swatches):
            painter.drawImage(swatch, _image(self._swatches[place]))
        painter.setPen(colours.colour("text" if one.drawn else "muted"))
        name = QRectF(swatch.right() + 6, row.y(), 38, ROW)
        painter.drawText(name, Qt.AlignmentFlag.AlignVCenter, str(one.token))
        percent = QRectF(row.right() - 50, row.y(), 50, ROW)
        painter.drawText(
            percent, Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight,
            f"{one.probability:.1%}",
        )  # fmt: skip
        room = QRectF(name.right() + 4, row.y() + 4, percent.left() - name.right() - 8, ROW - 8)
        colour = theme.colour_of(colours, "entropy")
        self._paint_bar(painter, room, one, colour)

    def _paint_bar(self, painter: QPainter, room: QRectF, one: Candidate, colour: QColor) -> None:
        painter.fillRect(room, theme.current().colour("field"))
        bar = QRectF(room)
        bar.setWidth(room.width() * one.probability)
        painter.fillRect(bar, colour)
        if one.drawn:
            painter.setPen(theme.current().colour("text"))
            painter.drawRect(room.adjusted(0, 0, -1, -1))


def _image(picture: np.ndarray) -> QImage:
    whole = np.ascontiguousarray(picture)
    height, width = whole.shape[:2]
    return QImage(whole.data, width, height, 4 * width, QImage.Format.Format_RGBX8888).copy()
