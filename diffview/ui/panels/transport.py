"""The transport: scrubber, player and where we are, like a video player's."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt, QTimer, Signal, Slot
from PySide6.QtWidgets import (
    QComboBox,
    QFrame,
    QHBoxLayout,
    QLabel,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from diffview.frames.quantities import QUANTITIES
from diffview.ui import icons, theme
from diffview.ui.panels.card import describe, silent
from diffview.ui.timeline import Strip, Timeline
from diffview.ui.views.film_strip import FilmStrip
from diffview.ui.widgets.scrubber import TimestepScrubber

MAX_FPS = 60
SCRUBBER_HELP = (
    "The step that is shown: noise on the left, picture on the right (Left, Right, Home, End)"
)
LOOPS = ("once", "loop", "ping-pong")


class Transport(QFrame):
    """Film strip above, then buttons, scrubber and the place: the steering wheel of a timeline."""

    stepRequested = Signal(int)
    moveRequested = Signal(int)
    stripRequested = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("card", True)
        self._timeline: Timeline | None = None
        self._quantity = "x0hat"
        self._offered: list[str] = []
        self._available = 0
        self._index = 0
        self._direction = 1
        self._loop = 0
        self._timer = QTimer(self)
        self._build()
        self._connect()

    def _build(self) -> None:
        self.strip = FilmStrip()
        describe(self.strip, "Film strip", "The selected sample at every step; click to go there",
                 "filmStrip")  # fmt: skip
        self.first = _button("first", "First step", "To the noise (Home)")
        self.previous = _button("previous", "Previous step", "One step back (Left)")
        self.play = _button("play", "Play", "Play or pause (Space)", "playButton")
        self.next = _button("next", "Next step", "One step on (Right)")
        self.last = _button("last", "Last step", "To the picture (End)")
        self.loop = _button("loop", "Loop", "At the end: stop, start over, or turn around")
        self.fps = QSpinBox(minimum=1, maximum=MAX_FPS, value=12, suffix=" fps")
        describe(self.fps, "Frames per second", "How fast Play goes, in steps per second",
                 "fpsSpinBox")  # fmt: skip
        self.scrubber = TimestepScrubber()
        describe(self.scrubber, "Timestep scrubber", SCRUBBER_HELP, "timestepScrubber")
        self.ends = (QLabel(), QLabel())
        for label in self.ends:
            label.setProperty("role", "muted")
        self.place = QLabel("–")
        self.place.setProperty("role", "value")
        self.place.setMinimumWidth(
            self.place.fontMetrics().horizontalAdvance("step 1000/1000 · t 999")
        )
        self.place.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.fps.setFixedWidth(104)
        self.shown = QComboBox()
        self.shown.setFixedWidth(124)
        describe(self.shown, "What the film strip shows", "What the film strip shows of each step",
                 "stripCombo")  # fmt: skip
        time = QHBoxLayout()
        time.setSpacing(8)
        time.addWidget(self.ends[0])
        time.addWidget(self.scrubber, 1)
        time.addWidget(self.ends[1])
        row = QHBoxLayout()
        row.setSpacing(2)
        for button in (self.first, self.previous, self.play, self.next, self.last, self.loop):
            row.addWidget(button)
        row.addSpacing(6)
        row.addWidget(self.fps)
        row.addSpacing(6)
        row.addWidget(self.shown)
        row.addStretch(1)
        row.addWidget(self.place)
        body = QVBoxLayout(self)
        body.setContentsMargins(12, 10, 12, 8)
        body.setSpacing(6)
        body.addWidget(self.strip)
        body.addLayout(time)
        body.addLayout(row)

    def _connect(self) -> None:
        self.strip.stepRequested.connect(self.stepRequested)
        self.scrubber.valueChanged.connect(self.stepRequested)
        self.scrubber.scrubStarted.connect(self.pause)
        self.first.clicked.connect(lambda: self.stepRequested.emit(0))
        self.last.clicked.connect(lambda: self.stepRequested.emit(max(0, self._available - 1)))
        self.previous.clicked.connect(lambda: self.moveRequested.emit(-1))
        self.next.clicked.connect(lambda: self.moveRequested.emit(1))
        self.play.clicked.connect(self.toggle_play)
        self.loop.clicked.connect(self.next_loop)
        self.fps.valueChanged.connect(self._on_fps)
        self.shown.currentIndexChanged.connect(
            lambda row: self.stripRequested.emit(self.shown.itemData(row))
        )
        self._timer.timeout.connect(self._on_tick)

    def follow(self, timeline: Timeline) -> None:
        """Steer and show this timeline from now on, and let go of the one before."""
        if self._timeline is timeline:
            return
        self.pause()
        if self._timeline is not None:
            self._let_go(self._timeline)
        self._timeline = timeline
        self.strip.show_names(timeline.name_of)
        self._name_ends(timeline.ends)
        self.stepRequested.connect(timeline.go_to)
        self.moveRequested.connect(timeline.step_by)
        self.stripRequested.connect(timeline.choose_strip)
        timeline.lengthChanged.connect(self.show_length)
        timeline.moved.connect(self.show_place)
        timeline.stripChanged.connect(self.show_strip)
        timeline.marked.connect(self.show_marks)
        self.show_marks(((), ""))
        timeline.start()

    def _name_ends(self, ends: tuple[str, str]) -> None:
        for label, text in zip(self.ends, ends, strict=True):
            label.setText(text)

    def _let_go(self, timeline: Timeline) -> None:
        timeline.stop()
        self.stepRequested.disconnect(timeline.go_to)
        self.moveRequested.disconnect(timeline.step_by)
        self.stripRequested.disconnect(timeline.choose_strip)
        timeline.lengthChanged.disconnect(self.show_length)
        timeline.moved.disconnect(self.show_place)
        timeline.stripChanged.disconnect(self.show_strip)
        timeline.marked.disconnect(self.show_marks)

    @property
    def playing(self) -> bool:
        """Whether the player runs."""
        return self._timer.isActive()

    @Slot()
    def toggle_play(self) -> None:
        """Play, or pause; at the end Play starts over."""
        if self.playing:
            self.pause()
        elif self._available > 1:
            self._direction = 1
            if self._index >= self._available - 1:
                self.stepRequested.emit(0)
            self._timer.start(1000 // self.fps.value())
            self.play.setIcon(icons.icon("pause"))

    @Slot()
    def pause(self) -> None:
        """Stop playing."""
        self._timer.stop()
        self.play.setIcon(icons.icon("play"))

    @Slot()
    def next_loop(self) -> None:
        """Once, over and over, or to and fro."""
        self.show_loop((self._loop + 1) % len(LOOPS))

    @property
    def loop_mode(self) -> str:
        """What happens at the end of the run."""
        return LOOPS[self._loop]

    def show_loop(self, loop: int) -> None:
        """Show and use a loop mode, an index of LOOPS."""
        self._loop = loop
        self.loop.setIcon(icons.icon("ping-pong" if LOOPS[loop] == "ping-pong" else "loop"))
        self.loop.setChecked(loop > 0)
        self.loop.setToolTip(f"At the end: {LOOPS[loop]} (click to change)")

    @Slot(int)
    def _on_fps(self, fps: int) -> None:
        if self.playing:
            self._timer.start(1000 // fps)

    @Slot()
    def _on_tick(self) -> None:
        target = self._index + self._direction
        if 0 <= target < self._available:
            self.stepRequested.emit(target)
        elif self.loop_mode == "loop":
            self.stepRequested.emit(0)
        elif self.loop_mode == "ping-pong":
            self._direction = -self._direction
            self.stepRequested.emit(self._index + self._direction)
        else:
            self.pause()

    @Slot(int, int)
    def show_length(self, available: int, expected: int) -> None:
        """How many places there are, and how many there will be."""
        self._available = available
        with silent(self.scrubber):
            self.scrubber.setMaximum(max(0, expected - 1))
            self.scrubber.show_progress(available, expected)
            # The look may have moved on to a place that only now can be reached.
            self.scrubber.show_value(self._index)

    @Slot(int, str)
    def show_place(self, index: int, text: str) -> None:
        """The place that is looked at, and its name."""
        self._index = index
        self.scrubber.show_value(index)
        self.strip.show_current(index)
        self.place.setText(text)

    @Slot(object)
    def show_marks(self, marks: tuple[Sequence[int], str]) -> None:
        """Places that are marked on the scrubber, and what they are."""
        places, text = marks
        self.scrubber.show_marks(places)
        self.scrubber.setToolTip(f"{SCRUBBER_HELP}\n{text}" if text else SCRUBBER_HELP)

    @Slot(object)
    def show_strip(self, strip: Strip) -> None:
        """The small pictures, and what may be shown in them."""
        self._quantity = strip.quantity
        self.strip.show_role(theme.colour_of(theme.current(), strip.quantity))
        self.strip.show_strip(strip.pictures, strip.expected)
        if self._timeline is not None:
            self._name_ends(strip.ends or self._timeline.ends)
        self.strip.show_current(self._index)
        self.shown.setVisible(strip.choices)
        if not strip.choices:
            return
        with silent(self.shown):
            self._offer(strip)
            self.shown.setCurrentIndex(self.shown.findData(strip.quantity))

    def _offer(self, strip: Strip) -> None:
        """List what a run of this kind has, and nothing else."""
        has = [
            quantity
            for quantity in QUANTITIES.values()
            if not quantity.lacking(by_token=strip.by_token, guided=strip.guided)
        ]
        if [quantity.name for quantity in has] == self._offered:
            return
        self._offered = [quantity.name for quantity in has]
        self.shown.clear()
        for quantity in has:
            self.shown.addItem(quantity.word, quantity.name)
            words = quantity.of_kind(by_token=strip.by_token)
            self.shown.setItemData(self.shown.count() - 1, words.help, Qt.ItemDataRole.ToolTipRole)

    def show_theme(self) -> None:
        """Icons in the colours of the present theme."""
        for button in self.findChildren(QToolButton):
            name = button.property("icon_name")
            if name:
                button.setIcon(icons.icon(name))
        self.strip.show_role(theme.colour_of(theme.current(), self._quantity))
        self.show_loop(self._loop)
        if self.playing:
            self.play.setIcon(icons.icon("pause"))


def _button(name: str, title: str, help: str, object_name: str = "") -> QToolButton:
    button = QToolButton()
    button.setIcon(icons.icon(name))
    button.setIconSize(QSize(20, 20))
    button.setProperty("icon_name", name)
    button.setAutoRaise(True)
    button.setCheckable(name == "loop")
    describe(button, title, help, object_name or f"{name}Button")
    return button
