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
from pathlib import Path

from PySide6.QtWidgets import QApplication

from diffview.ui.app import Session
from diffview.ui.settings import Settings

IMAGES = Path(__file__).parent / "images"
SHOTS = (("window-dark.png", "dark", (1280, 800)), ("window-light.png", "light", (1280, 800)))
SHOWN_STEP = 24
SHOWN_SAMPLE = 5
PATIENCE_S = 300


def main(folder: Path) -> None:
    """Run, scrub, select, and save one picture per theme."""
    app = QApplication.instance() or QApplication(["diffview"])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        session = Session(Settings(Path(temporary) / "settings.json"))
        session.show()
        controller = session.controller
        _wait(app, lambda: controller.run is not None and not controller.activity.busy)
        controller.scrub_to(SHOWN_STEP)
        controller.select_sample(SHOWN_SAMPLE)
        for name, theme, size in SHOTS:
            session.window.use_theme(theme)
            session.window.resize(*size)
            _settle(app)
            session.window.grab().save(str(folder / name))
        session.window.close()


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
