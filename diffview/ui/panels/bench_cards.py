"""The guidance bench's cards: the weight, and what both classifiers say of both runs."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QDoubleSpinBox, QGridLayout, QHBoxLayout, QLabel, QPushButton

from diffview.models.judging import Verdicts
from diffview.ui.panels.card import Card, describe, narrow, silent
from diffview.ui.widgets.gamma_slider import GammaSlider
from diffview.ui.widgets.math_label import MathLabel

WEIGHTS = (1.0, 10.0)
"""Those of the lecture."""
HIGHEST = 100.0
HELP = (
    "γ in x̂₀ + γ (σ²/α) ∇ log p(y | x_t): 0 leaves the model alone. While dragging this step "
    "follows at once, both whole runs behind it ([ and ])"
)
FORMULA = r"\c{x0hat}{\hat{x}_{0}} + \c{gamma}{\gamma} \sigma^{2} / \alpha \nabla \log p"


class WeightCard(Card):
    """A slider, a field, and the lecture's two weights."""

    weightRequested = Signal(float)

    def __init__(self) -> None:
        super().__init__("GUIDANCE WEIGHT γ")
        self._build()
        self.slider.gammaChanged.connect(self._on_slider)
        self.spin.valueChanged.connect(self.weightRequested)
        for button, weight in zip(self.presets, WEIGHTS, strict=True):
            button.clicked.connect(lambda _, weight=weight: self.weightRequested.emit(weight))

    def _build(self) -> None:
        formula = MathLabel(FORMULA)
        formula.setToolTip(
            "Dhariwal & Nichol 2021, arXiv 2105.05233, algorithm 2, in terms of x̂₀. The clean "
            "classifier is asked at x̂₀ instead of x_t (Bansal et al. 2023, arXiv 2302.07121, eq. "
            "6): for it σ²/(σ² + α²) takes the place of σ²/α"
        )
        self.slider = GammaSlider()
        self.slider.show_kind("classifier")
        describe(self.slider, "Weight of the classifiers", HELP, "benchWeightSlider")
        self.spin = QDoubleSpinBox(minimum=0, maximum=HIGHEST, singleStep=0.25, decimals=2)
        self.spin.setKeyboardTracking(False)
        describe(self.spin, "Weight, as a number", HELP, "benchWeightSpinBox")
        self.presets = tuple(QPushButton(f"{weight:g}") for weight in WEIGHTS)
        for button, weight in zip(self.presets, WEIGHTS, strict=True):
            button.setCheckable(True)
            describe(button, f"Weight {weight:g}", f"The lecture's weight {weight:g}",
                     f"benchWeight{weight:g}Button")  # fmt: skip
        self.this_step, self.whole_run = QLabel(), QLabel()
        narrow(self.spin, *self.presets)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.spin, 2)
        for button in self.presets:
            row.addWidget(button, 1)
        self.body.addWidget(formula)
        self.body.addWidget(self.slider)
        self.body.addLayout(row)
        for label in (self.this_step, self.whole_run):
            label.setProperty("role", "muted")
            self.body.addWidget(label)

    @Slot(float)
    def _on_slider(self, gamma: float) -> None:
        self.weightRequested.emit(round(gamma, 2))

    def nudge(self, steps: int) -> None:
        """Move the weight by so many quarters."""
        self.spin.setValue(self.spin.value() + 0.25 * steps)

    def show_weight(self, weight: float) -> None:
        """The weight that is chosen."""
        with silent(self.slider, self.spin, *self.presets):
            self.slider.show_gamma(weight)
            self.spin.setValue(weight)
            for button, preset in zip(self.presets, WEIGHTS, strict=True):
                button.setChecked(weight == preset)

    def show_activity(self, previewing: float | None, share: float | None, *, there: bool) -> None:
        """Which of the two effects is on screen; share of both runs, None while none is made."""
        shown = "as it was sampled" if previewing is None else f"follows γ = {previewing:g}"
        self.this_step.setText(f"This step: {shown}" if there else "This step: –")
        whole = "as chosen" if previewing is None else "press Run both to redo them"
        whole = whole if there else "–"
        self.whole_run.setText(f"Whole runs: {whole if share is None else f'{share:.0%}'}")


_ROWS = (
    ("clean", r"\c{x0hat}{\text{clean, of }\hat{x}_{0}}", "The classifier that saw no noise, on "
     "the estimate before guidance: what it guides by"),
    ("clean_of_state", r"\text{clean, of }x_{t}", "The same one on the noisy state (faint): it "
     "never saw the like, and is sure of nothing or of the wrong thing"),
    ("noisy", r"\c{xt}{\text{noisy, of }x_{t}}", "The classifier that was trained on noisy "
     "pictures and is told t, on the state: what it guides by"),
)  # fmt: skip


class VerdictCard(Card):
    """A table: what each judge says of the selected sample, and how many it takes for the class.

    The columns are the runs, by who guides them.
    """

    def __init__(self) -> None:
        super().__init__("WHAT THE CLASSIFIERS SAY")
        self.title = QLabel("–")
        self.title.setProperty("role", "muted")
        self.words = QLabel()
        self.words.setWordWrap(True)
        self.words.setObjectName("benchWords")
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.words.setMinimumHeight(8 * self.words.fontMetrics().lineSpacing())
        self._values: dict[str, tuple[QLabel, QLabel]] = {}
        self.body.addWidget(self.title)
        self.body.addLayout(self._build_table())
        self.body.addWidget(self.words)

    def _build_table(self) -> QGridLayout:
        grid = QGridLayout()
        grid.setVerticalSpacing(4)
        for column, name in enumerate(("guided by", "clean", "noisy")):
            head = QLabel(name)
            head.setProperty("role", "muted")
            head.setAlignment(
                Qt.AlignmentFlag.AlignRight if column else Qt.AlignmentFlag.AlignLeft
            )
            grid.addWidget(head, 0, column)
        for row, (key, markup, help) in enumerate(_ROWS, 1):
            label = MathLabel(markup)
            label.setToolTip(help)
            grid.addWidget(label, row, 0)
            self._values[key] = (QLabel("–"), QLabel("–"))
            for side, value in enumerate(self._values[key]):
                value.setProperty("role", "value")
                value.setToolTip(help)
                value.setObjectName(f"bench{side}_{key}")
                value.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                grid.addWidget(value, row, 1 + side)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(2, 1)
        return grid

    def show_verdicts(self, verdicts: tuple[Verdicts, Verdicts] | None, sample: int) -> None:
        """At one record of both runs."""
        for key, labels in self._values.items():
            for side, label in enumerate(labels):
                text = "–" if verdicts is None else f"{getattr(verdicts[side], key).p[sample]:.1%}"
                label.setText(text)

    def show_title(self, name: str, sample: int) -> None:
        """Of which class and which sample."""
        self.title.setText(f"p({name}), sample {sample}")

    def show_end(self, ends: tuple[Verdicts, Verdicts] | None, label: int, name: str) -> None:
        """How many of the finished pictures the judges take for the class, the impartial first."""
        if ends is None:
            self.words.setText("")
            return
        lines = []
        for guide, end in zip(("clean", "noisy"), ends, strict=True):
            judges = {"clean": end.clean_of_state, "noisy": end.noisy}
            own = int((judges.pop(guide).seen == label).sum())
            ((judge, other),) = judges.items()
            seen, n = int((other.seen == label).sum()), len(other.seen)
            lines.append(
                f"Guided by the {guide} one: the {judge} one, which took no part, sees {name} in "
                f"{seen} of {n} pictures at the end; the one that guided, in {own}."
            )
        self.words.setText("\n".join(lines))
