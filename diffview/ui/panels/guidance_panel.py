"""The guidance panel: one slider, two effects, told apart; which guidance, where and how much."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from PySide6.QtCore import QTimer, Signal, Slot
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QHBoxLayout, QLabel, QLineEdit, QWidget

from diffview.engine.options import INTERVAL, RESCALE, RESCALE_SPACE, numbers
from diffview.engine.spec import MAX_SCALE, Guidance
from diffview.errors import InputError
from diffview.models import guides
from diffview.models.card import ModelCard
from diffview.ui.outlook import Outlook
from diffview.ui.panels.card import FIELD_HEIGHT, Card, describe, labelled, narrow, silent
from diffview.ui.panels.fold import Fold
from diffview.ui.panels.knobs import Knob, bar
from diffview.ui.state import Activity, Choices
from diffview.ui.widgets.curve_editor import CurveEditor
from diffview.ui.widgets.gamma_slider import GammaSlider

HELP = (
    "γ in x̂₀ = x̂₀ᵤ + γ (x̂₀꜀ − x̂₀ᵤ): 0 unconditional, 1 conditional, above 1 guided.\n"
    "The paper's own weight is w = γ − 1 (Ho & Salimans 2022).\n"
    "While you drag, x̂₀ at this step is recombined at once; the whole run is sampled again\n"
    "in the background.   Keys: [ and ]"
)
HELP_TOKENS = (
    "γ in logits = logitsᵤ + γ (logits꜀ − logitsᵤ): 0 unconditional, 1 conditional, above 1\n"
    "guided (Gafni et al. 2022, arXiv 2203.13131).\n"
    "While you drag, the next token's distribution is recombined at once; the whole run is\n"
    "written again in the background.   Keys: [ and ]"
)
KINDS = {
    "none": "No guidance",
    "cfg": "Classifier-free",
    "classifier": "Classifier",
    "autoguidance": "Autoguidance",
}
KIND_HELP = (
    "What γ multiplies in x̂₀ = base + γ · direction.\n"
    "Classifier-free: conditional − unconditional (Ho & Salimans 2022, arXiv 2207.12598).\n"
    "Classifier: the gradient of log p(class) (Dhariwal & Nichol 2021, arXiv 2105.05233).\n"
    "Autoguidance: the model − a weaker one (Karras et al. 2024, arXiv 2406.02507)."
)
CURVE_HELP = (
    "How much of γ acts along the run, as a factor of γ − 1 (of γ with a classifier).\n"
    "Double click adds a point, drag moves it, right click or Delete takes it away.\n"
    "Over λ = log(α/σ) in nats, so it means the same for any number of steps."
)
OPTIONS = (INTERVAL, RESCALE, RESCALE_SPACE)
"""Declared for every run; they stand here and not in the sampling panel."""
PAUSE_MS = 400
"""Turns of the wheel and presses of a key that come faster than this are one change."""


class GuidancePanel(Card):
    """Slider and spin box of γ, and what follows it: this step, and the whole run."""

    guidanceRequested = Signal(float)
    guidanceSettled = Signal()
    kindRequested = Signal(str)
    guideRequested = Signal(str)
    curveRequested = Signal(object)
    curveMisread = Signal(str)
    """What is wrong with the typed points; "" once nothing is."""
    optionRequested = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("GUIDANCE γ", parent)
        self._guided = True
        self._card: ModelCard | None = None
        self._meaning = self._points_for = ""
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.fold = Fold("guidance settings", "moreGuidanceButton")
        self._build_strength()
        self._build_kind()
        self._build_curve()
        self.knobs = {option.name: Knob(option, self.optionRequested.emit) for option in OPTIONS}
        for knob in self.knobs.values():
            self.fold.body.addWidget(knob)
        self.body.addWidget(self.fold)

    def _build_strength(self) -> None:
        self.slider = GammaSlider()
        describe(self.slider, "Guidance weight gamma", HELP, "guidanceSlider")
        self.spin = QDoubleSpinBox(
            minimum=-MAX_SCALE, maximum=MAX_SCALE, decimals=2, singleStep=0.25
        )
        self.spin.setKeyboardTracking(False)
        describe(self.spin, "Guidance weight gamma, exact", HELP, "guidanceSpinBox")
        self.spin.setFixedWidth(84)
        self.corner.addWidget(self.spin)
        self.this_step, self.whole_run = QLabel(), QLabel()
        self.body.addWidget(self.slider)
        for label in (self.this_step, self.whole_run):
            label.setProperty("role", "muted")
            label.setWordWrap(True)
            self.body.addWidget(label)

    def _build_kind(self) -> None:
        self.kind, self.guide = QComboBox(), QComboBox()
        for name, title in KINDS.items():
            self.kind.addItem(title, name)
        describe(self.kind, "Kind of guidance", KIND_HELP, "guidanceKindCombo")
        describe(self.guide, "Guide", "The classifier, or the weaker model", "guideCombo")
        narrow(self.kind, self.guide)
        self.kind.setFixedHeight(FIELD_HEIGHT)
        self.guide.setFixedHeight(FIELD_HEIGHT)
        row = QHBoxLayout()
        row.addWidget(self.kind, 1)
        row.addWidget(self.fold.button)
        self.body.addLayout(row)
        self.body.addWidget(self.guide)

    def _build_curve(self) -> None:
        self.curve = CurveEditor()
        describe(self.curve, "Guidance over the run", CURVE_HELP, "curveEditor")
        self.points = QLineEdit(placeholderText="1 everywhere")
        describe(self.points, "Points of the curve", f"{CURVE_HELP}\nTyped: -4:0, 0:1, 3:0.5",
                 "curveEdit")  # fmt: skip
        self.trouble = QLabel()
        self.trouble.setProperty("role", "warn")
        self.trouble.setWordWrap(True)
        self.trouble.hide()
        self.fold.body.addLayout(labelled("Points λ:factor", self.points))
        self.fold.body.addWidget(self.trouble)
        self.fold.body.insertWidget(0, self.curve)

    def _connect(self) -> None:
        self.slider.gammaChanged.connect(self._on_slider)
        self.slider.sliderReleased.connect(self.guidanceSettled)
        self.spin.valueChanged.connect(self._on_spin)
        self._pause.timeout.connect(self.guidanceSettled)
        self.kind.currentIndexChanged.connect(self._on_kind)
        self.guide.currentIndexChanged.connect(self._on_guide)
        self.curve.curveChanged.connect(self.curveRequested)
        self.curve.settled.connect(self.guidanceSettled)
        self.points.editingFinished.connect(self._on_points)

    # -- asking -------------------------------------------------------------------------------

    @Slot(float)
    def _on_slider(self, gamma: float) -> None:
        self.guidanceRequested.emit(round(gamma, 2))
        if not self.slider.isSliderDown():
            self._pause.start()

    @Slot(float)
    def _on_spin(self, gamma: float) -> None:
        self.guidanceRequested.emit(gamma)
        self._pause.start()

    @Slot(int)
    def _on_kind(self, row: int) -> None:
        self.kindRequested.emit(self.kind.itemData(row))

    @Slot(int)
    def _on_guide(self, row: int) -> None:
        self.guideRequested.emit(self.guide.itemData(row))

    @Slot()
    def _on_points(self) -> None:
        try:
            curve = guides.curve_from(self.points.text())
        except InputError as error:
            self._show_trouble(str(error))
            return
        self._show_trouble("")
        self.curveRequested.emit(curve)
        self.guidanceSettled.emit()

    def _show_trouble(self, trouble: str) -> None:
        if trouble != self.trouble.text():
            self.trouble.setText(trouble)
            self.trouble.setVisible(bool(trouble))
            self.curveMisread.emit(trouble)

    def nudge(self, steps: int) -> None:
        """Move γ by so many quarter units."""
        if self.spin.isEnabled():
            self.spin.setValue(self.spin.value() + 0.25 * steps)

    # -- showing ------------------------------------------------------------------------------

    def show_model(self, card: ModelCard) -> None:
        """Whose noise levels the curve spans."""
        self._card = card

    def show_guides(self, cards: Sequence[ModelCard]) -> None:
        """Offer these second models; which of them fits, `show_state` says."""
        with silent(self.guide):
            self.guide.clear()
            for card in cards:
                self.guide.addItem(card.title, card.id)

    def show_state(self, choices: Choices, guidable: bool, outlook: Outlook | None = None) -> None:
        """Show γ and its settings, or why there is nothing to guide."""
        outlook = outlook or Outlook()
        kind = choices.guidance_kind
        missing = _missing(choices, guidable)
        self._guided = not missing
        with silent(self.slider, self.spin):
            self.slider.show_gamma(choices.guidance_scale)
            self.slider.show_kind(kind)
            self.spin.setValue(choices.guidance_scale)
        for widget in (self.slider, self.spin, self.curve, self.points):
            widget.setEnabled(self._guided)
        self._show_kind(choices, outlook)
        self._show_curve(choices)
        for name, knob in self.knobs.items():
            knob.show_value(choices.option(name))
            knob.show_barred(outlook.barred.get(name, {}))
            knob.show_reason(outlook.idle.get(name, ""))
        self.fold.show_changed(_changed(choices))
        self._meaning = _meaning(kind, choices.guidance_scale)
        self._show_what(choices)
        if missing:
            self.this_step.setText(missing)
            self.whole_run.setVisible(False)

    def _show_what(self, choices: Choices) -> None:
        """Of a model that writes token by token γ is of logits, and nothing goes by noise."""
        self.fold.button.setVisible(not choices.by_token)
        if choices.by_token:
            self.fold.button.setChecked(False)
        for widget in (self.slider, self.spin):
            widget.setToolTip(HELP_TOKENS if choices.by_token else HELP)

    def _show_kind(self, choices: Choices, outlook: Outlook) -> None:
        with silent(self.kind, self.guide):
            self.kind.setCurrentIndex(self.kind.findData(choices.guidance_kind))
            self.guide.setCurrentIndex(self.guide.findData(choices.guide))
        bar(self.kind, _by_row(self.kind, outlook.barred.get("guidance_kind", {})))
        bar(self.guide, _by_row(self.guide, outlook.barred.get("guide", {})))
        self.guide.setVisible(choices.guidance_kind in Guidance.NEED_GUIDE)

    def _show_curve(self, choices: Choices) -> None:
        if self._card is not None:
            schedule = choices.schedule(self._card)
            self.curve.show_span(*(schedule.level(t).lam for t in reversed(schedule.span)))
        self.curve.show_curve(choices.curve)
        low, high = numbers(choices.option("interval")) or (0.0, math.inf)
        # Above `low` and up to `high` in σ/α is below -log(low) and from -log(high) on in λ.
        self.curve.show_guided(-math.log(high), -math.log(low) if low > 0 else math.inf)
        text = guides.curve_text(choices.curve)
        # What was misread stays to be mended, until there is another curve or none is used.
        if text != self._points_for or not self._guided:
            self._show_trouble("")
        if not (self.points.hasFocus() or self.trouble.text()):
            self.points.setText(text)
        self._points_for = text

    def show_activity(self, activity: Activity, previewing: bool) -> None:
        """Say which of the two effects is on screen."""
        if not self._guided:
            return
        self.this_step.setText(self._meaning)
        text, help = _effects(activity, previewing)
        self.whole_run.setText(text or " ")  # its line stays, so that nothing jumps
        self.whole_run.setToolTip(help)
        self.whole_run.setVisible(True)


def _missing(choices: Choices, guidable: bool) -> str:
    """Why nothing is guided; "" where something is."""
    kind = choices.guidance_kind
    if kind == "none":
        return "Guidance is off: the model under its condition alone."
    if kind == "cfg" and not guidable and choices.condition is not None:
        return "This model has no way to do without a class, so there is nothing to steer from."
    if kind != "autoguidance" and choices.condition is None:
        return "No class or prompt is chosen, so there is nothing to steer to."
    return ""


def _meaning(kind: str, gamma: float) -> str:
    """The other convention's number, or what γ multiplies."""
    return {
        "cfg": f"w = γ − 1 = {gamma - 1:.4g}",
        "classifier": "γ · ∇ log p(class)",
        "autoguidance": f"{gamma - 1:.4g} beyond the model",
    }.get(kind, "")


def _changed(choices: Choices) -> int:
    own = sum(choices.option(option.name) != option.default for option in OPTIONS)
    return own + bool(choices.curve)


def _by_row(combo: QComboBox, reasons: Mapping[str, str]) -> dict[int, str]:
    rows = {combo.itemData(row): row for row in range(combo.count())}
    return {rows[name]: reason for name, reason in reasons.items() if name in rows}


def _effects(activity: Activity, previewing: bool) -> tuple[str, str]:
    """Which of the two effects is on screen: in a line, and in full."""
    if activity.busy and activity.redoing:
        share = 100 * activity.done // max(1, activity.total)
        look = f"; a first look after {activity.look_steps} steps" if activity.look_steps else ""
        now = "This step now · run" if previewing else "Whole run:"
        return f"{now} {share} %", f"The whole run is being redone, {share} %{look}"
    if activity.busy or not previewing:
        return "", ""
    return "This step now · press Run", "This step is recombined; Run redoes the whole run"
