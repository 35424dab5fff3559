"""The guidance panel: one slider, two effects, told apart."""

from __future__ import annotations

from PySide6.QtCore import Signal, Slot
from PySide6.QtWidgets import QDoubleSpinBox, QLabel, QWidget

from diffview.engine.spec import MAX_SCALE
from diffview.ui.panels.card import Card, describe, silent
from diffview.ui.state import Activity, Choices
from diffview.ui.widgets.gamma_slider import GammaSlider

HELP = (
    "γ in x̂₀ = x̂₀ᵤ + γ (x̂₀꜀ − x̂₀ᵤ): 0 unconditional, 1 conditional, above 1 guided.\n"
    "The paper's own weight is w = γ − 1 (Ho & Salimans 2022).\n"
    "While you drag, x̂₀ at this step is recombined at once; the whole run is sampled again\n"
    "in the background.   Keys: [ and ]"
)


class GuidancePanel(Card):
    """Slider and spin box of γ, and what follows it: this step, and the whole run."""

    guidanceRequested = Signal(float)
    guidanceSettled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("GUIDANCE γ", parent)
        self._guided = True
        self._build()
        self._connect()

    def _build(self) -> None:
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
        for label in (self.this_step, self.whole_run):
            label.setProperty("role", "muted")
            label.setWordWrap(True)
        self.body.addWidget(self.slider)
        self.body.addWidget(self.this_step)
        self.body.addWidget(self.whole_run)

    def _connect(self) -> None:
        self.slider.gammaChanged.connect(self._on_slider)
        self.slider.sliderReleased.connect(self.guidanceSettled)
        self.spin.valueChanged.connect(self._on_spin)

    @Slot(float)
    def _on_slider(self, gamma: float) -> None:
        self.guidanceRequested.emit(round(gamma, 2))
        if not self.slider.isSliderDown():
            self.guidanceSettled.emit()

    @Slot(float)
    def _on_spin(self, gamma: float) -> None:
        self.guidanceRequested.emit(gamma)
        self.guidanceSettled.emit()

    def nudge(self, steps: int) -> None:
        """Move γ by so many quarter units."""
        if self.spin.isEnabled():
            self.spin.setValue(self.spin.value() + 0.25 * steps)

    def show_state(self, choices: Choices, guidable: bool) -> None:
        """Show γ, or why there is nothing to guide."""
        self._guided = guidable and choices.condition is not None
        with silent(self.slider, self.spin):
            self.slider.show_gamma(choices.guidance_scale)
            self.spin.setValue(choices.guidance_scale)
        self.slider.setEnabled(self._guided)
        self.spin.setEnabled(self._guided)
        if not self._guided:
            self.this_step.setText("No class is chosen, so there is nothing to steer to.")
            self.whole_run.setText("")

    def show_activity(self, activity: Activity, previewing: bool) -> None:
        """Say which of the two effects is on screen."""
        if not self._guided:
            return
        self.this_step.setText(
            "This step follows at once" if previewing else "This step and the run agree"
        )
        self.whole_run.setText(_whole_run(activity, previewing))
        self.whole_run.setVisible(bool(self.whole_run.text()))


def _whole_run(activity: Activity, previewing: bool) -> str:
    if activity.busy and activity.redoing:
        return f"Whole run: being redone, {100 * activity.done // max(1, activity.total)} %"
    if activity.busy:
        return ""
    return "Whole run: press Run to redo it" if previewing else ""
