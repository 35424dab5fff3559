"""One side of the guidance bench: the pictures, where the classifier pulls, and p over t."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from diffview.models.judging import Verdicts
from diffview.ui import theme
from diffview.ui.panels.card import FittingLabel, describe
from diffview.ui.panels.picture_pane import PicturePane, Subject
from diffview.ui.views.curve_plot import Curve, CurvePlot
from diffview.ui.views.grid_view import GridView
from diffview.ui.widgets.math_label import MathLabel

SUBJECTS = (
    Subject("x0hat", r"\c{x0hat}{\hat{x}_{0}}", "Estimate", "x̂₀, guided: what the sampler goes on "
            "with", "x0_hat"),
    Subject("xt", r"\c{xt}{x_{t}}", "State", "x_t, what the sampler holds", "x_t"),
    Subject("x0uncond", r"\c{x0uncond}{\hat{x}_{0,u}}", "Unguided", "x̂₀ before the classifier "
            "pulls at it", "x0_uncond"),
)  # fmt: skip
TITLES = ("Guided by the clean classifier", "Guided by the noisy classifier")
HELPS = (
    "Trained on clean pictures alone. It is asked about the estimate x̂₀, since of x_t it knows "
    "nothing",
    "Trained on noisy pictures and told t; it is asked about x_t itself",
)
NAMES = ("Clean", "Noisy")


class BenchSide(QWidget):
    """A column of the bench; `side` is 0 for the clean classifier, 1 for the noisy one."""

    def __init__(self, side: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._side = side
        self._build(NAMES[side])

    def _build(self, name: str) -> None:
        title = QLabel(TITLES[self._side])
        title.setProperty("role", "heading")
        title.setToolTip(HELPS[self._side])
        title.setContentsMargins(6, 2, 0, 0)
        self.pictures = PicturePane(f"bench{name}Pictures", *SUBJECTS)
        describe(self.pictures.view, f"Samples, guided by the {name.lower()} classifier",
                 "Click selects a sample on both sides; the wheel zooms, dragging moves, 0 resets",
                 f"bench{name}Pictures")  # fmt: skip
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self._build_gradient(name), 2)
        row.addWidget(self._build_plot(name), 3)
        body = QVBoxLayout(self)
        body.setContentsMargins(0, 0, 0, 0)
        body.setSpacing(6)
        body.addWidget(title)
        body.addWidget(self.pictures, 3)
        body.addLayout(row, 2)

    def _build_gradient(self, name: str) -> QFrame:
        symbol = MathLabel(r"\c{diff}{\nabla \log p}")
        symbol.setToolTip(
            "Where the classifier pulls the selected sample: lighter where it is amber, darker "
            "where it is blue makes the class likelier; full strength is the largest here"
        )
        self.most = FittingLabel()
        self.most.setProperty("role", "muted")
        self.most.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.most.setToolTip("Full colour: the largest absolute value of this gradient")
        self.gradient = GridView()
        self.gradient.setMinimumSize(100, 100)
        describe(self.gradient, f"Gradient of the {name.lower()} classifier",
                 "The gradient of log p by each pixel, of the selected sample",
                 f"bench{name}Gradient")  # fmt: skip
        return _framed((symbol, self.most), self.gradient)

    def _build_plot(self, name: str) -> QFrame:
        self.heading = FittingLabel()
        self.heading.setProperty("role", "muted")
        self.plot = CurvePlot("t", noise_left=True)
        self.plot.setAccessibleName(f"p over t, guided by the {name.lower()} classifier")
        self.plot.setObjectName(f"bench{name}Plot")
        self.plot.setToolTip(
            "The probability of the class over the run, noise on the left. Amber: the clean "
            "classifier of x̂₀ (faint: of x_t, which it never saw the like of); blue: the noisy "
            "one of x_t. Click or drag: go there"
        )
        return _framed((self.heading,), self.plot)

    def show_gradient_size(self, values: np.ndarray | None) -> None:
        """Its largest value."""
        text = "" if values is None else f"±{float(np.abs(values).max()):.2g}"
        self.most.setText(text)

    def show_curves(self, t: Sequence[float], verdicts: Sequence[Verdicts], sample: int) -> None:
        """What both judges say of one sample at the times `t` of the run."""
        x = np.array(t[: len(verdicts)])

        def curve(name: str, token: str, *, faint: bool = False) -> Curve:
            p = np.array([getattr(one, name).p[sample] for one in verdicts])
            return Curve(x, p, token, faint=faint)

        # Nothing is drawn of the first one: it keeps the axes whole while the run grows.
        ends = Curve(np.array([t[0], t[-1]]), np.array([0.0, 1.0]), "outline", line=False)
        self.plot.show_curves(
            [ends, curve("clean_of_state", "x0_hat", faint=True), curve("noisy", "x_t"),
             curve("clean", "x0_hat")]
        )  # fmt: skip

    def show_theme(self) -> None:
        """Symbols, rings and curves in the present colours."""
        self.pictures.show_theme()
        self.gradient.show_role(theme.current().colour("difference"))
        self.plot.show_theme()


def _framed(head: Sequence[QWidget], widget: QWidget) -> QFrame:
    frame = QFrame()
    frame.setProperty("card", True)
    row = QHBoxLayout()
    for place, part in enumerate(head):
        row.addWidget(part, 1 if place == len(head) - 1 else 0)
    body = QVBoxLayout(frame)
    body.setContentsMargins(8, 6, 8, 6)
    body.setSpacing(4)
    body.addLayout(row)
    body.addWidget(widget, 1)
    return frame
