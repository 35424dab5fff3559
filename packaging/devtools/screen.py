"""Where the tests run: on a screen of their own, with settings that are nobody's."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from devtools import processes, system
from devtools.processes import Stop

PRIVATE_FOLDERS = (
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
)
DISPLAYS = "DIFFVIEW_TEST_DISPLAYS"
TEST_TOOLS = {"Xvfb": "xvfb", "xauth": "xauth", "xdotool": "xdotool"}  # program -> package


def provide_test_tools() -> None:
    missing = [package for tool, package in TEST_TOOLS.items() if not shutil.which(tool)]
    if not missing:
        return
    try:
        system.provide_packages(missing, "the window tests want " + ", ".join(TEST_TOOLS))
    except Stop as stop:
        processes.say(str(stop))


@contextmanager
def private_folders() -> Iterator[dict[str, str]]:
    """A person's settings, data and caches are never touched by a test."""
    with tempfile.TemporaryDirectory(prefix="diffview-test-", ignore_cleanup_errors=True) as top:
        env = {name: os.path.join(top, name) for name in PRIVATE_FOLDERS}
        for path in env.values():
            os.mkdir(path, mode=0o700)
        yield env


@contextmanager
def x_displays(count: int) -> Iterator[dict[str, str]]:
    """The variables with which Qt finds a screen: the present one, `count` own Xvfbs, or none.

    Only where the screens are ours there is DISPLAYS, one for each process that runs tests: on
    one screen, the windows of several would take the keyboard from each other.
    """
    if not sys.platform.startswith("linux"):
        yield {}
    elif os.environ.get("DISPLAY"):
        yield {"QT_QPA_PLATFORM": os.environ.get("QT_QPA_PLATFORM", "xcb")}
    elif not shutil.which("Xvfb"):
        processes.say(
            "no Xvfb: the window tests run on Qt's offscreen platform, not on a real X server"
        )
        yield {"QT_QPA_PLATFORM": "offscreen"}
    else:
        with ExitStack() as servers:
            displays = [servers.enter_context(xvfb()) for _ in range(count)]
            yield {
                "DISPLAY": displays[0],
                DISPLAYS: ",".join(displays),
                "QT_QPA_PLATFORM": "xcb",
            }


@contextmanager
def xvfb() -> Iterator[str]:
    reading, writing = os.pipe()
    command = shlex.split(
        f"Xvfb -displayfd {writing} -screen 0 1920x1200x24 -nolisten tcp -noreset"
    )
    # Its own session: Ctrl+C reaches the tests first and the server last.
    server = subprocess.Popen(
        command, pass_fds=[writing], stderr=subprocess.DEVNULL, start_new_session=True
    )
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise Stop(f"Xvfb did not start; try it by hand: {command[0]} :99")
        processes.say(f"started Xvfb on :{number}")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()
