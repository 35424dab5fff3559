"""What Z costs in more and more dimensions: measured where it can be, foreseen beyond."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from diffview.ui import theme

if TYPE_CHECKING:
    from diffview.models.exact.partition import Partition

MEASURED = (1, 2, 3)
BEYOND = (10, 784)
"""Dimensions for which the cost is only foreseen; 784 are those of a picture of 28 x 28."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What Z takes in so many dimensions: log10 of the evaluations and of the seconds.

    z and known are the sum over the grid and (Z in one dimension)^D, None beyond what is
    measured; share is how much of it is done.
    """

    dims: int
    evaluations: float
    seconds: float
    z: float | None = None
    known: float | None = None
    share: float = 1.0

    @property
    def measured(self) -> bool:
        """Whether it was done, or is only foreseen."""
        return self.z is not None


def costs(done: dict[int, Partition]) -> list[Cost]:
    """What was measured, by its dimensions, and what that foretells."""
    out = []
    for dims, part in sorted(done.items()):
        first = done.get(1)
        known = None if first is None else first.z**dims
        share = part.done / part.total
        seconds = math.log10(max(part.seconds, 1e-7))
        out.append(Cost(dims, math.log10(part.total), seconds, part.z, known, share))
    if not done:
        return out
    last = done[max(done)]
    pace = math.log10(max(last.seconds, 1e-7) / last.done)
    for dims in (d for d in (*MEASURED, *BEYOND) if d not in done):
        evaluations = dims * math.log10(last.per_axis)
        out.append(Cost(dims, evaluations, evaluations + pace))
    return out


class CostBars(QWidget):
    """A bar for each number of dimensions, as long as the logarithm of its evaluations."""

    ROW = 58

    def __init__(self) -> None:
        super().__init__()
        self._costs: list[Cost] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(self.ROW * (len(MEASURED) + len(BEYOND)))

    def sizeHint(self) -> QSize:
        return QSize(280, self.height())

    def show_costs(self, shown: list[Cost]) -> None:
        """Draw these."""
        self._costs = shown
        self.setAccessibleDescription(". ".join(" ".join(words_of(cost)) for cost in shown))
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for row, cost in enumerate(self._costs):
            self._paint(painter, row * self.ROW, cost)
        painter.end()

    def _paint(self, painter: QPainter, top: int, cost: Cost) -> None:
        colours, flag = theme.current(), Qt.AlignmentFlag
        name, duration, figures = words_of(cost)
        line = QRectF(0, top, self.width(), 18)
        painter.setPen(colours.colour("text"))
        painter.drawText(line, flag.AlignLeft | flag.AlignVCenter, name)
        painter.drawText(line, flag.AlignRight | flag.AlignVCenter, duration)
        painter.setPen(colours.colour("muted"))
        painter.drawText(line.translated(0, 31), flag.AlignLeft | flag.AlignVCenter, figures)
        bar = QRectF(0, top + 21, self.width(), 8)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(colours.colour("groove"))
        painter.drawRoundedRect(bar, 4, 4)
        longest = max(one.evaluations for one in self._costs if one.dims <= BEYOND[0])
        bar.setWidth(self.width() * min(1.0, cost.evaluations / longest) * cost.share)
        painter.setBrush(colours.colour("x0_hat" if cost.measured else "disabled"))
        painter.drawRoundedRect(bar, 4, 4)
        if cost.evaluations > longest:  # it goes on, far out of the picture
            painter.setPen(colours.colour("window"))
            painter.drawText(bar.adjusted(0, -7, -4, 5), flag.AlignRight | flag.AlignVCenter, "»")


def words_of(cost: Cost) -> tuple[str, str, str]:
    """The dimensions, how long they take, and the evaluations with what came out."""
    name = f"{cost.dims}-D" if cost.dims != BEYOND[-1] else f"{cost.dims}-D: 28 × 28 pixels"
    duration = ("" if cost.measured else "about ") + _duration(cost.seconds)
    figures = f"{_power(cost.evaluations)} evaluations"
    if cost.z is not None and cost.known is not None and cost.share == 1:
        figures += f" · Z = {cost.z:.4f}"
    return name, duration, figures


def _power(log10: float) -> str:
    if log10 < 7:
        return f"{round(10**log10):,}"
    return f"10{_raised(round(log10))}"


def _raised(number: int) -> str:
    return "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in str(number))


def _duration(log10: float) -> str:
    """Seconds, given by their logarithm, in words."""
    if log10 < 0:
        milliseconds = 1000 * 10**log10
        return f"{milliseconds:.2g} ms" if milliseconds < 100 else f"{milliseconds:.0f} ms"
    if log10 < 2:
        return f"{10**log10:.2g} s"
    years = log10 - math.log10(365.25 * 86400)
    if years < 0:
        hours = 10 ** (log10 - math.log10(3600))
        return f"{hours:.2g} hours" if hours < 48 else f"{hours / 24:.3g} days"
    return f"{10**years:,.2g} years" if years < 4 else f"10{_raised(round(years))} years"
