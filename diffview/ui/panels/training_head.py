"""The row above the training lab: start, stop, save, and how far it is in one line."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QWidget

from diffview.ui.panels.card import FittingLabel, describe

_STATUS = {
    "idle": "Choose what to train, then press Start",
    "opening": "Reading the data…",
    "training": "{step}{left}",
    "waiting": "{step} · waits while a run is sampled",
    "paused": "Paused at {step}",
    "stopped": "Stopped at {step}",
    "done": "Done: {step}",
    "failed": "Failed at {step}",
}
_START = {"opening": "Opening…", "training": "Pause", "waiting": "Pause", "paused": "Resume"}


class TrainingHead(QWidget):
    """Asks for what its buttons say; shows what it is told."""

    startRequested = Signal()
    stopRequested = Signal()
    saveRequested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._build()
        self.start.clicked.connect(self.startRequested)
        self.stop.clicked.connect(self.stopRequested)
        self.save.clicked.connect(self.saveRequested)

    def _build(self) -> None:
        self.start, self.stop = QPushButton("Start"), QPushButton("Stop")
        self.save = QPushButton("Save as model…")
        self.start.setProperty("primary", True)
        self.start.setMinimumWidth(self.start.fontMetrics().horizontalAdvance("Opening…") + 36)
        describe(self.start, "Start, pause or go on", "Start the training, pause it after the "
                 "step it is in, or go on", "trainButton")  # fmt: skip
        describe(self.stop, "Stop training", "End it: a checkpoint is kept, to go on with later",
                 "stopTrainingButton")  # fmt: skip
        describe(self.save, "Save as model", "Make a model of the averaged weights as they are "
                 "now; it can be run at once", "saveModelButton")  # fmt: skip
        self.bar = QProgressBar(textVisible=False)
        describe(self.bar, "Progress of the training", "How much of the training is done",
                 "trainingProgress")  # fmt: skip
        self.status = FittingLabel()
        self.status.setObjectName("trainingStatus")
        self.status.setProperty("role", "muted")
        row = QHBoxLayout(self)
        row.setContentsMargins(4, 0, 4, 0)
        row.setSpacing(8)
        for widget in (self.start, self.stop, self.save):
            row.addWidget(widget)
        row.addWidget(self.bar, 1)
        row.addWidget(self.status, 2)

    def show_phase(self, phase: str, *, ready: bool, goes_on: bool, has_network: bool) -> None:
        """What can be pressed. goes_on: a training that was stopped is chosen."""
        self.start.setText(_START.get(phase, "Go on" if goes_on else "Start"))
        self.start.setEnabled(ready and phase != "opening")
        self.stop.setEnabled(phase in ("opening", "training", "waiting", "paused"))
        self.save.setEnabled(has_network)

    def show_step(self, phase: str, step: int, steps: int, left: str) -> None:
        """Where it stands; `left` is the remaining time in words."""
        text = f"step {step:,} of {steps:,}" if steps else "step 0"
        self.status.setText(
            _STATUS[phase].format(step=text, left=f" · {left} left" if left else "")
        )
        self.status.setToolTip(self.status.text())
        self.bar.setMaximum(max(1, steps))
        self.bar.setValue(step)
