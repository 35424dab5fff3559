"""The card of going on from the shown step: what can be done, and which kept run is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PySide6.QtCore import Qt, Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QSpinBox, QWidget

from diffview.engine.spec import RunSpec
from diffview.ui import family
from diffview.ui.family import Member
from diffview.ui.panels.card import FIELD_HEIGHT, Card, describe, narrow, silent

BRANCH_HELP = (
    "Sample anew from this step on; the steps before are shared, the run it leaves is kept.\n"
    "From then on what you change in the panels holds from this step on (Ctrl+B)"
)
COMPLETE_HELP = (
    "Complete the selected sample's x_t so many times, each with other noise (Ctrl+M):\n"
    "draws from p(x₀ | x_t), whose mean is x̂₀"
)
RESUME_HELP = "Go on with this run from where it was stopped, bit for bit (Ctrl+R)"
RUNS_HELP = "The kept runs: what was sampled, and the branches that left it"
PARENT_HELP = "Show the run that this one left (Alt+Up)"
MOST, USUAL = 256, 8
COUNT_WIDTH = 84


class BranchPanel(Card):
    """Buttons for what `possible` allows, the others greyed with the reason."""

    branchRequested = Signal()
    completeRequested = Signal(int)
    resumeRequested = Signal()
    parentRequested = Signal()
    memberRequested = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__("FROM HERE", parent)
        self._members: list[Member] = []
        self._build()
        self._connect()

    def _build(self) -> None:
        self.branch, self.complete = QPushButton("Branch"), QPushButton(f"Complete × {USUAL}")
        self.resume, self.parent_run = QPushButton("Resume"), QPushButton("Parent")
        describe(self.branch, "Branch here", BRANCH_HELP, "branchButton")
        describe(self.complete, "Complete", COMPLETE_HELP, "completeButton")
        describe(self.resume, "Resume the stopped run", RESUME_HELP, "resumeButton")
        describe(self.parent_run, "Parent run", PARENT_HELP, "parentButton")
        self.count = QSpinBox(minimum=2, maximum=MOST, value=USUAL)
        describe(self.count, "Completions", "How many times Complete completes the state",
                 "completionsSpinBox")  # fmt: skip
        self.count.setFixedWidth(COUNT_WIDTH)
        self.corner.addWidget(self.count)
        self.where, self.why = QLabel(), QLabel()
        self.where.setObjectName("branchLabel")
        self.why.setObjectName("branchReason")
        self.where.setProperty("role", "muted")
        self.why.setProperty("role", "small")
        self.runs = QComboBox()
        describe(self.runs, "Kept runs", RUNS_HELP, "branchCombo")
        narrow(self.runs)
        self.runs.setFixedHeight(FIELD_HEIGHT)
        row, below = QHBoxLayout(), QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.branch, 2)
        row.addWidget(self.complete, 3)
        below.setSpacing(6)
        below.addWidget(self.runs, 3)
        below.addWidget(self.parent_run, 1)
        self.body.addLayout(row)
        self.body.addWidget(self.resume)
        for label in (self.where, self.why):
            label.setWordWrap(True)
            self.body.addWidget(label)
        self.body.addLayout(below)
        for hidden in (self.resume, self.where, self.parent_run, self.runs, self.why):
            hidden.hide()

    def _connect(self) -> None:
        self.branch.clicked.connect(self.branchRequested)
        self.complete.clicked.connect(lambda: self.completeRequested.emit(self.count.value()))
        self.count.valueChanged.connect(self._on_count)
        self.resume.clicked.connect(self.resumeRequested)
        self.parent_run.clicked.connect(self.parentRequested)
        self.runs.currentIndexChanged.connect(self._on_run)

    @Slot(int)
    def _on_count(self, count: int) -> None:
        self.complete.setText(f"Complete × {count}")

    @Slot(int)
    def _on_run(self, row: int) -> None:
        if 0 <= row < len(self._members):
            self.memberRequested.emit(self._members[row])

    def show_possible(self, reasons: Mapping[str, str]) -> None:
        """What can be done now: the reason against each wish, "" where there is none."""
        buttons = {
            "branch": (self.branch, BRANCH_HELP),
            "complete": (self.complete, COMPLETE_HELP),
            "resume": (self.resume, RESUME_HELP),
            "parent": (self.parent_run, PARENT_HELP),
        }
        for wish, (button, help) in buttons.items():
            why = reasons.get(wish, "")
            button.setEnabled(not why)
            button.setToolTip(f"{help}\n\nNot now: {why}" if why else help)
        self.resume.setVisible(not reasons.get("resume", ""))
        why = reasons.get("branch", "")
        self.why.setText(why[:1].upper() + why[1:])
        self.why.setVisible(bool(why))

    def show_run(
        self, members: Sequence[Member], titles: Sequence[str], shown: Member | None, spec: RunSpec
    ) -> None:
        """The kept runs by their titles, which one is shown, and where it left another."""
        self._members = list(members)
        with silent(self.runs):
            self.runs.clear()
            self.runs.addItems(list(titles))
            self.runs.setCurrentIndex(-1 if shown is None else self._members.index(shown))
        for row, title in enumerate(titles):
            self.runs.setItemData(row, title.strip(), Qt.ItemDataRole.ToolTipRole)
        self.runs.setVisible(len(titles) > 1)
        steps = family.branch_steps(spec)
        self.where.setText(_where(steps, spec.n_steps))
        for widget in (self.where, self.parent_run):
            widget.setVisible(bool(steps))


def _where(steps: Sequence[int], n_steps: int) -> str:
    if not steps:
        return ""
    earlier = "".join(f", of one from {step}" for step in reversed(steps[:-1]))
    return f"A branch from step {steps[-1]}/{n_steps}{earlier}"
