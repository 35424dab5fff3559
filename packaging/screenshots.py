"""Make the README's pictures: the real window, a real run of the bundled model.

    python packaging/screenshots.py [FOLDER]

Needs a display (or QT_QPA_PLATFORM=offscreen). Settings are read from and written to a temporary
folder, so the pictures do not depend on whose machine this is.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PySide6.QtWidgets import QApplication

from diffview.lessons import lesson
from diffview.ui.app import Session
from diffview.ui.settings import Settings

IMAGES = Path(__file__).parent / "images"
SIZE = 1280, 800


@dataclass(frozen=True)
class Shot:
    """A picture of the window, as a lesson's set-up arranges it; the lesson is `open` or not."""

    name: str
    theme: str
    lesson: str = ""
    setup: int = 0
    open: bool = False


SHOTS = (
    Shot("window-dark.png", "dark"),
    Shot("anatomy.png", "dark", "weights"),
    Shot("plane.png", "dark", "manifold", 1),
    Shot("classifiers.png", "dark", "classifier-guidance", 2),
    Shot("words.png", "dark", "latent"),
    Shot("race.png", "dark", "side-by-side", 1),
    Shot("lesson.png", "light", "one-step", 0, open=True),
)
SHOWN_STEP = 24
SHOWN_SAMPLE = 5
PATIENCE_S = 300


def main(folder: Path) -> None:
    """Run, scrub, select, and save every picture."""
    app = QApplication.instance() or QApplication(["diffview"])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        session = Session(Settings(Path(temporary) / "settings.json"))
        session.show()
        controller = session.controller
        _wait(app, lambda: controller.run is not None and not controller.activity.busy)
        controller.scrub_to(SHOWN_STEP)
        controller.select_sample(SHOWN_SAMPLE)
        session.window.resize(*SIZE)
        for shot in SHOTS:
            session.window.use_theme(shot.theme)
            if shot.lesson:
                _arrange(app, session, shot)
            _settle(app)
            session.window.grab().save(str(folder / shot.name))
        session.window.close()


def _arrange(app: QApplication, session: Session, shot: Shot) -> None:
    window = session.window
    window.teaching.show()
    names = [one.name for one in lesson.every()[0]]
    window.teaching.turn_to(names.index(shot.lesson))
    setup = lesson.every()[0][names.index(shot.lesson)].setups[shot.setup]
    window.teaching.arrange(setup)
    window.teaching.dock.setVisible(shot.open)
    _settle(app)
    _wait(app, lambda: not session.busy)


def _wait(app: QApplication, done: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > end:
            raise SystemExit("the run did not finish in time")
        app.processEvents()
        time.sleep(0.01)


def _settle(app: QApplication) -> None:
    for _ in range(20):
        app.processEvents()
        time.sleep(0.01)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES)
