"""Random events on the real window, a thousand over five seeds: nothing raises, hangs or leaks."""

import random

import pytest
from PySide6.QtCore import QEvent, QPointF, Qt
from PySide6.QtGui import QKeyEvent, QMouseEvent, QWheelEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFileDialog,
    QListWidget,
    QSlider,
    QSpinBox,
    QWidget,
)

from diffview.ui import state, workspaces
from diffview.ui.commands import Commands

EVENTS = 200
NAMES = """Left Right Up Down Home End PageUp PageDown Space Return Enter Escape Tab Backtab
Delete Backspace BracketLeft BracketRight 0 1 5 9 F T K E Z C Minus Period F1 F11 Comma A S Plus
Menu"""
KEYS = [getattr(Qt.Key, f"Key_{name}") for name in NAMES.split()]
MODIFIERS = [
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier,
]


class Monkey:
    """Does something at random with what is visible; `log` says what it was."""

    def __init__(self, session, seed):
        self.session, self.random, self.log = session, random.Random(seed), []

    def act(self):
        kinds = [self.press_key] * 4 + [self.use_mouse] * 4 + [self.turn_wheel] + [self.set] * 4
        kinds += [self.choose, self.disturb]
        self.random.choice(kinds)()

    def widgets(self):
        top = QApplication.activeModalWidget() or self.session.window
        return [w for w in top.findChildren(QWidget) if w.isVisible() and w.isEnabled()] or [top]

    def pick(self, *kinds):
        fitting = [w for w in self.widgets() if isinstance(w, kinds)]
        return self.random.choice(fitting) if fitting else None

    def place(self, widget):
        x = self.random.uniform(-4, widget.width() + 4)
        return QPointF(x, self.random.uniform(-4, widget.height() + 4))

    def press_key(self):
        key, modifiers = self.random.choice(KEYS), self.random.choice(MODIFIERS)
        target = QApplication.focusWidget() or self.session.window
        self.log.append(("key", key, modifiers, target.objectName()))
        QTest.keyClick(target, key, modifiers)

    def use_mouse(self):
        widget = self.pick(QWidget)
        button = self.random.choice([Qt.MouseButton.LeftButton] * 5 + [Qt.MouseButton.RightButton])
        self.log.append(("mouse", button, type(widget).__name__, widget.objectName()))
        kinds = [QEvent.Type.MouseButtonPress]
        kinds += [QEvent.Type.MouseMove] * self.random.randrange(4)
        kinds += [QEvent.Type.MouseButtonRelease]
        if self.random.random() < 0.2:
            kinds.insert(0, QEvent.Type.MouseButtonDblClick)
        for kind in kinds:
            held = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseButtonRelease else button
            own = Qt.MouseButton.NoButton if kind == QEvent.Type.MouseMove else button
            self.send_mouse(widget, kind, own, held)

    def send_mouse(self, widget, kind, button, held):
        try:
            place = self.place(widget)
            where = QPointF(widget.mapToGlobal(place))
        except RuntimeError:  # the widget went with its dialog
            return
        event = QMouseEvent(kind, place, where, button, held, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(widget, event)

    def turn_wheel(self):
        widget = self.pick(QWidget)
        self.log.append(("wheel", type(widget).__name__, widget.objectName()))
        place, turn = self.place(widget), self.random.choice([-240, -120, 120, 240])
        event = QWheelEvent(
            place, QPointF(widget.mapToGlobal(place)), QPointF().toPoint(),
            QPointF(0, turn).toPoint(), Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(widget, event)

    def set(self):
        widget = self.pick(QSpinBox, QDoubleSpinBox, QSlider, QComboBox, QListWidget)
        if widget is None:
            return
        self.log.append(("set", type(widget).__name__, widget.objectName()))
        if isinstance(widget, QComboBox) and widget.count():
            index = self.random.randrange(widget.count())
            if widget.model().item(index).isEnabled():  # as a mouse or a key could choose it
                widget.setCurrentIndex(index)
        elif isinstance(widget, QListWidget) and widget.count():
            widget.setCurrentRow(self.random.randrange(widget.count()))
        elif isinstance(widget, QSpinBox | QDoubleSpinBox | QSlider):
            high = min(widget.maximum(), widget.minimum() + 40)
            value = self.random.uniform(widget.minimum(), high)
            widget.setValue(value if isinstance(widget, QDoubleSpinBox) else int(value))

    def choose(self):
        """Another workspace or model, a new run, or a stop in the middle of things."""
        c, central = self.session.controller, self.session.window.central
        act = self.random.choice(["run", "stop", "model", "undo", "redo", "scrub", "workspace"])
        self.log.append(("choose", act))
        ids = [card.id for card in c.cards]
        {
            "run": c.request_run,
            "stop": c.stop,
            "model": lambda: c.choose_model(self.random.choice(ids)),
            "undo": c.undo,
            "redo": c.redo,
            "scrub": lambda: c.scrub_to(self.random.randrange(-5, 2000)),
            "workspace": lambda: central.go_to(self.random.choice(list(workspaces.every()))),
        }[act]()

    def disturb(self):
        """The window is resized, a popup is closed, a key goes straight to any widget."""
        self.log.append(("disturb",))
        popup = QApplication.activePopupWidget()
        if popup is not None:
            popup.close()
        if self.random.random() < 0.3:
            size = self.random.randint(700, 1700), self.random.randint(500, 1100)
            self.session.window.resize(*size)
        widget = self.pick(QWidget)
        event = QKeyEvent(
            QEvent.Type.KeyPress, self.random.choice(KEYS), Qt.KeyboardModifier.NoModifier
        )
        QApplication.sendEvent(widget, event)


@pytest.fixture
def models(make_model, network):
    """Three networks of different form; one of them breaks now and then."""
    calls = iter(range(10**9))

    def moody(x_t, t, label=None):
        if next(calls) % 301 == 300:
            raise RuntimeError("a bad mood")
        return 0.5 * x_t.tanh()

    return [
        make_model(id="fake"),
        make_model(moody, id="moody", shape=(3, 5, 7), classes=2, null=2),
        make_model(id="flat", shape=(2,), classes=0, null=None),
    ]


@pytest.fixture(autouse=True)
def no_dialogs_of_the_system(monkeypatch):
    """They wait for a person; and the window shall stay open."""
    for name in ("getOpenFileName", "getSaveFileName"):
        monkeypatch.setattr(QFileDialog, name, lambda *args: ("", ""))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *args: "")
    monkeypatch.setattr(Commands, "quit", lambda commands: None)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.timeout(300)
def test_random_events_leave_a_window_that_does_its_work(
    make_session, make_source, models, settings, tmp_path, qtbot, seed
):
    settings.save(export_folder=str(tmp_path / "exports"))
    session = make_session(models[0])
    for model in models[1:]:
        session.controller.shelf.sources[model.card.id] = make_source(model)
    session.controller.announce()
    session.controller.choose_seeds(0, 3)
    session.controller.choose_steps(5)
    session.controller.request_run()
    monkey = Monkey(session, seed)
    with qtbot.captureExceptions() as raised:
        for k in range(EVENTS):
            monkey.act()
            if k % 10 == 0:
                QApplication.processEvents()
            assert not raised, (raised[0], monkey.log[-5:])
        for popup in (QApplication.activePopupWidget(), QApplication.activePopupWidget()):
            if popup is not None:
                popup.close()
        qtbot.waitUntil(lambda: not session.filing.busy, timeout=20_000)
        for runner in session._runners:
            runner.cancel_all()
        session.controller.stop()
        qtbot.waitUntil(lambda: not session.controller.activity.busy, timeout=20_000)
    assert not raised, raised
    for dialog in session.window.findChildren(QDialog):
        dialog.close()
    assert session.window.isVisible()
    session.controller.restore(state.defaults(models[0].card))
    session.controller.request_run()
    qtbot.waitUntil(lambda: not session.controller.activity.busy, timeout=20_000)
    assert session.controller.run.complete, "after all that it still does its work"
