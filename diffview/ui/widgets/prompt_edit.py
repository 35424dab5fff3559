"""A field for a prompt: completes the word at the cursor, underlines what the model does not read.

The prompt is asked for when Enter is pressed, when the field is left, or a moment after the last
letter. What is not seen (controls, line ends, turned writing) becomes a space.
"""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QEvent, QSignalBlocker, QSize, Qt, QTimer, Signal, Slot
from PySide6.QtGui import (
    QColor,
    QFocusEvent,
    QKeyEvent,
    QSyntaxHighlighter,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextOption,
)
from PySide6.QtWidgets import QCompleter, QPlainTextEdit, QWidget

from diffview.engine.spec import MAX_PROMPT
from diffview.models.words import is_partly_read, plain, typed
from diffview.ui import theme

PAUSE_MS = 700
"""So long after the last letter a prompt is taken as typed."""
ROWS = 2
MOST_SHOWN = 8
ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
OF_POPUP = (*ENTER, Qt.Key.Key_Escape, Qt.Key.Key_Tab, Qt.Key.Key_Backtab)


class PromptEdit(QPlainTextEdit):
    """See the module; `show_prompt` and `show_vocabulary` set it without an echo."""

    promptRequested = Signal(str)
    typedAnew = Signal(str)
    """At every letter."""
    shortened = Signal(int)
    """So many letters were too many."""

    def __init__(self, parent: QWidget | None = None, rows: int = ROWS) -> None:
        super().__init__(parent)
        self._rows = rows
        self._asked = self._typed = ""
        self._completer: QCompleter | None = None
        self._marker = _Marker(self.document())
        self._pause = QTimer(self, singleShot=True, interval=PAUSE_MS)
        self._pause.timeout.connect(self.commit)
        self.textChanged.connect(self._on_changed)
        self.setTabChangesFocus(True)
        option = QTextOption()
        option.setTextDirection(Qt.LayoutDirection.LayoutDirectionAuto)
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.document().setDefaultTextOption(option)
        self.setFixedHeight(self.sizeHint().height())

    def sizeHint(self) -> QSize:
        return QSize(160, self._rows * self.fontMetrics().lineSpacing() + 18)

    # -- set from state -----------------------------------------------------------------------

    def show_vocabulary(self, words: Sequence[str]) -> None:
        """Complete from these words and mark all others; none: any word will do."""
        self._marker.known = frozenset(words)
        self._marker.rehighlight()
        if self._completer is not None:
            self._completer.deleteLater()
        self._completer = self._made_completer(words) if words else None

    def _made_completer(self, words: Sequence[str]) -> QCompleter:
        made = QCompleter(list(words), self)
        made.setWidget(self)
        made.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        made.setMaxVisibleItems(MOST_SHOWN)
        made.activated.connect(self._complete)
        return made

    def show_prompt(self, text: str) -> None:
        """The chosen prompt; what is being typed is left alone."""
        self._asked = text
        if self._pause.isActive() or self.toPlainText().strip() == text.strip():
            return
        blocker = QSignalBlocker(self)
        self.setPlainText(text)
        self._typed = self.toPlainText()
        blocker.unblock()
        self.typedAnew.emit(text)

    def show_theme(self) -> None:
        """Marks in the present colours."""
        self._marker.rehighlight()

    # -- typing -------------------------------------------------------------------------------

    @Slot()
    def commit(self) -> None:
        """Ask for what is typed, if it was not asked for yet."""
        self._pause.stop()
        text = self.toPlainText().strip()
        if text != self._asked.strip():
            self._asked = text
            self.promptRequested.emit(text)

    @Slot()
    def _on_changed(self) -> None:
        if self.toPlainText() == self._typed:
            return  # only marks were drawn
        left_out = self._keep_plain()
        self._typed = self.toPlainText()
        self._pause.start()
        self.typedAnew.emit(self.toPlainText())
        if left_out:
            self.shortened.emit(left_out)

    def _keep_plain(self) -> int:
        """However it came in: one line, nothing unseen; how many letters were too many."""
        text = self.toPlainText()
        kept = plain(text)[:MAX_PROMPT]
        if kept == text:
            return 0
        place = self.textCursor().position()
        blocker = QSignalBlocker(self)
        self.setPlainText(kept)
        cursor = self.textCursor()
        cursor.setPosition(min(place, self.document().characterCount() - 1))
        self.setTextCursor(cursor)
        blocker.unblock()
        return max(0, len(text) - MAX_PROMPT)

    def event(self, event: QEvent) -> bool:
        """Ctrl+Enter is the window's: what is typed is asked for before it runs."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            control = bool(event.modifiers() & Qt.KeyboardModifier.ControlModifier)
            if control and event.key() in ENTER:
                self.commit()
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if self._popup_open() and event.key() in OF_POPUP:
            event.ignore()  # the completer's
            return
        if event.key() in ENTER:
            self.commit()
            return
        super().keyPressEvent(event)
        if event.text().isprintable() and event.text():
            self._offer()

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        if event.reason() != Qt.FocusReason.PopupFocusReason:
            self.commit()

    # -- completion ---------------------------------------------------------------------------

    def _popup_open(self) -> bool:
        popup = None if self._completer is None else self._completer.popup()
        return popup is not None and popup.isVisible()

    def word_before(self) -> str:
        """The part of a word left of the cursor."""
        cursor = self.textCursor()
        before = _first_units(cursor.block().text(), cursor.positionInBlock())
        last = list(typed(before))[-1:]
        return last[0].text if last and before.endswith(last[0].text) else ""

    def _offer(self) -> None:
        completer, start = self._completer, self.word_before()
        popup = None if completer is None else completer.popup()
        if completer is None or popup is None:
            return
        completer.setCompletionPrefix(start)
        found = completer.completionCount()
        if not start or not found or completer.currentCompletion() == start.lower():
            popup.hide()
            return
        popup.setCurrentIndex(completer.completionModel().index(0, 0))
        rect = self.cursorRect()
        rect.setWidth(max(140, popup.sizeHintForColumn(0) + 24))
        completer.complete(rect)

    @Slot(str)
    def _complete(self, word: str) -> None:
        """`word` in place of its beginning before the cursor."""
        cursor = self.textCursor()
        cursor.movePosition(
            QTextCursor.MoveOperation.Left,
            QTextCursor.MoveMode.KeepAnchor,
            len(self.word_before()),
        )
        cursor.insertText(f"{word} ")
        self.setTextCursor(cursor)


class _Marker(QSyntaxHighlighter):
    """Unknown words underlined in red, those that are read in part in the colour of warnings."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        self.known: frozenset[str] = frozenset()

    def highlightBlock(self, text: str) -> None:
        if not self.known:
            return
        for one in typed(text):
            start, length = _units(text[: one.start]), _units(one.text)
            if not self.known.intersection(one.words):
                self.setFormat(start, length, _underlined("bad"))
            elif is_partly_read(one, self.known):
                self.setFormat(start, length, _underlined("warn"))


def _units(text: str) -> int:
    """How long Qt takes a text to be: letters beyond the first 65,536, as emoji, count twice."""
    return len(text) + sum(ord(letter) > 0xFFFF for letter in text)


def _first_units(text: str, units: int) -> str:
    """The beginning of a text that is so long to Qt."""
    whole = text.encode("utf-16-le", "surrogatepass")[: 2 * units]
    return whole.decode("utf-16-le", "ignore")


def _underlined(token: str) -> QTextCharFormat:
    colour: QColor = theme.current().colour(token)
    made = QTextCharFormat()
    made.setForeground(colour)
    made.setUnderlineColor(colour)
    made.setUnderlineStyle(QTextCharFormat.UnderlineStyle.WaveUnderline)
    return made
