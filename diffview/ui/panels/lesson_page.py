"""A lesson as a page: text with formulas, cards to predict before looking, and buttons."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QResizeEvent, QWheelEvent
from PySide6.QtWidgets import (
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from diffview.lessons.lesson import STATED, Lesson, Question, Text
from diffview.lessons.setup import Setup
from diffview.ui import icons
from diffview.ui.panels.card import describe
from diffview.ui.widgets import math_text

LINE = 32
"""Letters in a line of a button, which does not wrap by itself."""

Lacking = Callable[[Setup], str]
"""Why a set-up cannot be arranged here, "" if it can."""


class Prose(QTextBrowser):
    """Markdown as high as it is: the page scrolls, not this."""

    def __init__(self, markdown: str, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenExternalLinks(True)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.viewport().setAutoFillBackground(False)
        self.setProperty("role", "prose")
        self._markdown = STATED.sub(r"\1", markdown)
        self._formulas = math_text.Formulas(self)
        self.document().setDocumentMargin(0)
        self.document().documentLayout().registerHandler(math_text.FORMULA, self._formulas)
        self._show()

    def _show(self) -> None:
        self.document().setDefaultFont(self.font())
        math_text.show(self.document(), self._markdown)
        self.setAccessibleName(math_text.plain(self.document()))
        self._fit()

    def _fit(self) -> None:
        self.document().setTextWidth(self.viewport().width())
        self.setFixedHeight(int(self.document().size().height()) + 2)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def changeEvent(self, event: QEvent) -> None:
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._show()

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()


class QuestionCard(QFrame):
    """A question; its answer comes when it is asked for."""

    def __init__(self, question: Question, number: int) -> None:
        super().__init__()
        self.setProperty("card", True)
        self.asked = Prose(f"**Predict.** {question.asked}", f"lessonQuestion{number}")
        self.answer = Prose(question.answer, f"lessonAnswer{number}")
        self.answer.hide()
        self.button = QPushButton("Show the answer")
        describe(self.button, "Show the answer", "Predict first, then look",
                 f"lessonAnswerButton{number}")  # fmt: skip
        body = QVBoxLayout(self)
        body.setContentsMargins(10, 8, 10, 8)
        for widget in (self.asked, self.button, self.answer):
            body.addWidget(widget)
        self.button.clicked.connect(self._on_clicked)

    def _on_clicked(self) -> None:
        shown = self.answer.isHidden()
        self.answer.setVisible(shown)
        self.button.setText("Hide the answer" if shown else "Show the answer")
        self.button.setAccessibleName(self.button.text())


class LessonPage(QScrollArea):
    """One lesson at a time; `setupRequested` carries the Setup of the button pressed."""

    setupRequested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("lessonPage")
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._buttons: list[tuple[QPushButton, Setup]] = []

    def show_lesson(self, lesson: Lesson, lacking: Lacking) -> list[str]:
        """Show a lesson from its top; returns what cannot be shown, with file and line.

        In the place of a part with a formula that cannot be read stands what is wrong with it.
        """
        self._buttons, wrong = [], []
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 4, 6, 12)
        column.setSpacing(10)
        for number, block in enumerate(lesson.blocks):
            reason = _wrong(block, lesson)
            wrong += [reason] if reason else []
            column.addWidget(_apology(reason) if reason else self._widget(block, number))
        column.addStretch(1)
        self.setWidget(page)
        self.show_lacking(lacking)
        return wrong

    def _widget(self, block: Text | Question | Setup, number: int) -> QWidget:
        match block:
            case Text(text):
                return Prose(text, f"lessonText{number}")
            case Question():
                return QuestionCard(block, number)
            case Setup():
                return self._button(block, number)

    def _button(self, setup: Setup, number: int) -> QPushButton:
        button = QPushButton("\n".join(textwrap.wrap(setup.label, LINE)))
        button.setIcon(icons.icon("run"))
        describe(button, setup.label, described(setup), f"lessonSetup{number}")
        button.clicked.connect(lambda: self.setupRequested.emit(setup))
        self._buttons.append((button, setup))
        return button

    def show_lacking(self, lacking: Lacking) -> None:
        """Grey out what cannot be arranged, with the reason."""
        for button, setup in self._buttons:
            reason = lacking(setup)
            button.setEnabled(not reason)
            button.setToolTip(reason or described(setup))


def _wrong(block: Text | Question | Setup, lesson: Lesson) -> str:
    """Why a block cannot be shown and where, "" if it can."""
    if isinstance(block, Setup):
        return ""
    try:
        math_text.check(block.text)
    except math_text.Unreadable as error:
        return f"{lesson.path}:{block.line + error.line}: {error}"
    return ""


def _apology(reason: str) -> QLabel:
    label = QLabel(f"This part cannot be shown: {reason}")
    label.setWordWrap(True)
    label.setProperty("role", "bad")
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label


def described(setup: Setup) -> str:
    """What a set-up does, in a line."""
    told = ", ".join(f"{name} {value}" for name, value in setup.settings.items())
    return re.sub(r"\s+", " ", f"Sets the window up: {told}")
