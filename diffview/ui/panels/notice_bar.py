"""The notice bar: messages in the window, never in its way; details are one click away."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt, QTimer, Slot
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffview.ui import icons
from diffview.ui.panels.card import describe
from diffview.ui.state import Notice

INFO_MS = 8000
MOST = 3
ICONS = {"info": "info", "warning": "warning", "error": "warning"}
"""By kind, the most pressing last."""


class NoticeBar(QFrame):
    """Information goes by itself; warnings and errors stay until closed, up to three of them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("noticeBar")
        self._notices: list[Notice] = []
        self._timer = QTimer(self, singleShot=True, interval=INFO_MS)
        self._build()
        self._timer.timeout.connect(self.hide)
        self.hide()

    def _build(self) -> None:
        self.icon = QLabel()
        self.text = QLabel()
        self.text.setObjectName("noticeText")
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.more = QPushButton("Details")
        self.more.setCheckable(True)
        describe(self.more, "Show details", "Show or hide the details of this message")
        self.dismiss = QToolButton()
        self.dismiss.setAutoRaise(True)
        describe(self.dismiss, "Close message", "Close this message", "noticeClose")
        self.details = QPlainTextEdit()
        self.details.setReadOnly(True)
        self.details.setTabChangesFocus(True)
        describe(self.details, "Details of the message", "What lies behind this message",
                 "noticeDetails")  # fmt: skip
        self.details.setMaximumHeight(160)
        self.details.hide()
        row = QHBoxLayout()
        row.addWidget(self.icon)
        row.addWidget(self.text, 1)
        row.addWidget(self.more)
        row.addWidget(self.dismiss)
        body = QVBoxLayout(self)
        body.setContentsMargins(12, 8, 8, 8)
        body.addLayout(row)
        body.addWidget(self.details)
        self.more.toggled.connect(self.details.setVisible)
        self.dismiss.clicked.connect(self.hide)

    @Slot(object)
    def show_notice(self, notice: Notice) -> None:
        """Show a notice; below those that wait to be read, in place of mere information."""
        waiting = [n for n in self._waiting() if n.kind != "info" and n.text != notice.text]
        self._notices = [*waiting[1 - MOST :], notice]
        self._show_all()

    @Slot(str)
    def forget(self, topic: str) -> None:
        """What was told of `topic` is over: it is being done anew."""
        self._notices = [n for n in self._waiting() if n.topic != topic]
        if self._notices:
            self._show_all()
        else:
            self.hide()

    def _waiting(self) -> list[Notice]:
        return [] if self.isHidden() else self._notices

    def _show_all(self) -> None:
        kind = max((n.kind for n in self._notices), key=list(ICONS).index)
        self.setProperty("notice", kind)
        self.style().unpolish(self)
        self.style().polish(self)
        self.icon.setPixmap(icons.icon(ICONS[kind]).pixmap(QSize(20, 20)))
        self.dismiss.setIcon(icons.icon("close"))
        self.text.setText("\n".join(n.text for n in self._notices))
        details = "\n".join(n.details for n in self._notices if n.details)
        self.details.setPlainText(details)
        self.more.setChecked(False)
        self.more.setVisible(bool(details))
        self.show()
        if kind == "info":
            self._timer.start()
        else:
            self._timer.stop()
