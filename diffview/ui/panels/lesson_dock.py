"""The dock of the lessons: which one, its page, and the way back to what one had before."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QComboBox,
    QDockWidget,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffview.lessons.lesson import Lesson
from diffview.ui import icons
from diffview.ui.panels.card import describe
from diffview.ui.panels.lesson_page import Lacking, LessonPage

NARROWEST = 300


class LessonDock(QDockWidget):
    """`lessonRequested` carries the number of a lesson, `setupRequested` a Setup."""

    lessonRequested = Signal(int)
    setupRequested = Signal(object)
    wayBackRequested = Signal()

    def __init__(self) -> None:
        super().__init__("Lessons")
        self.setObjectName("lessonDock")
        self._build()

    def _build(self) -> None:
        self.chooser = QComboBox()
        describe(self.chooser, "Lesson", "Which lesson to read", "lessonCombo")
        self.before = self._arrow("previous", "Lesson before", "lessonBeforeButton")
        self.after = self._arrow("next", "Next lesson", "lessonAfterButton")
        self.title, self.summary = QLabel(), QLabel()
        self.title.setWordWrap(True)
        self.title.setProperty("role", "title")
        self.summary.setWordWrap(True)
        self.summary.setProperty("role", "muted")
        self.page = LessonPage()
        self.way_back = QPushButton("Back to what I had")
        describe(self.way_back, "Back to what I had", "Takes back what the lesson's buttons "
                 "arranged: run, step, panes and workspace", "lessonBackButton")  # fmt: skip
        self.way_back.setEnabled(False)
        head = QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(self.before)
        head.addWidget(self.chooser, 1)
        head.addWidget(self.after)
        content = QWidget()
        body = QVBoxLayout(content)
        body.setContentsMargins(8, 4, 8, 6)
        body.addLayout(head)
        body.addWidget(self.title)
        body.addWidget(self.summary)
        body.addWidget(self.page, 1)
        body.addWidget(self.way_back)
        content.setMinimumWidth(NARROWEST)
        self.setWidget(content)
        self.chooser.activated.connect(self.lessonRequested)
        self.before.clicked.connect(lambda: self.lessonRequested.emit(self.number - 1))
        self.after.clicked.connect(lambda: self.lessonRequested.emit(self.number + 1))
        self.page.setupRequested.connect(self.setupRequested)
        self.way_back.clicked.connect(self.wayBackRequested)

    def _arrow(self, icon: str, name: str, object_name: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(icons.icon(icon))
        describe(button, name, name, object_name)
        return button

    @property
    def number(self) -> int:
        """Which lesson is shown, -1 for none."""
        return self.chooser.currentIndex()

    def show_lessons(self, lessons: Sequence[Lesson]) -> None:
        """Offer these lessons."""
        self.chooser.clear()
        for place, lesson in enumerate(lessons, 1):
            self.chooser.addItem(f"{place}. {lesson.title}")

    def show_lesson(self, number: int, lesson: Lesson, lacking: Lacking) -> list[str]:
        """Turn to a lesson; returns what cannot be shown of it."""
        wrong = self.page.show_lesson(lesson, lacking)
        self.chooser.setCurrentIndex(number)
        self.title.setText(lesson.title)
        self.summary.setText(lesson.summary)
        self.summary.setVisible(bool(lesson.summary))
        self.before.setEnabled(number > 0)
        self.after.setEnabled(number + 1 < self.chooser.count())
        return wrong

    def show_theme(self) -> None:
        """Take over the colours of the present theme."""
        self.before.setIcon(icons.icon("previous"))
        self.after.setIcon(icons.icon("next"))
