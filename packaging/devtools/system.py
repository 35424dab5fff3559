"""What the system must bring: the libraries that Qt loads, a font, Debian packages for them."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from devtools import places, processes
from devtools.processes import Stop

# What Qt's xcb platform plugin, QtGui and QtWidgets load from the system: soname -> Debian
# package. Where the name differs between releases, alternatives are separated by "|".
QT_LIBRARIES = {
    "libglib-2.0.so.0": "libglib2.0-0t64|libglib2.0-0",
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libX11-xcb.so.1": "libx11-xcb1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
}
LOAD_QT = (
    "import ctypes, pathlib, PySide6.QtWidgets; plugins = pathlib.Path(PySide6.__file__).parent"
    " / 'Qt/plugins/platforms'; ctypes.CDLL(str(plugins / 'libqxcb.so'))"
)
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts")


def provide_qt_libraries() -> None:
    """Qt's wheels bring Qt, but not the system's own libraries that it loads."""
    if not sys.platform.startswith("linux"):
        return
    missing = missing_libraries(QT_LIBRARIES, ctypes.CDLL)
    packages = sorted({QT_LIBRARIES[name] for name in missing})
    if not has_font(FONT_FOLDERS):
        missing.append("any font")
        packages.append("fonts-dejavu-core")
    if missing:
        provide_packages(packages, f"Qt's window needs {', '.join(missing)}")
    loading = subprocess.run([places.PYTHON, "-c", LOAD_QT], stderr=subprocess.PIPE, text=True)
    if loading.returncode:
        raise Stop(f"Qt does not load: {loading.stderr.strip().splitlines()[-1]}")


def missing_libraries(names: Iterable[str], load: Callable[[str], object]) -> list[str]:
    return [name for name in names if not loads(name, load)]


def loads(name: str, load: Callable[[str], object]) -> bool:
    try:
        load(name)
    except OSError:
        return False
    return True


def has_font(folders: Iterable[str]) -> bool:
    kinds = {".ttf", ".otf", ".ttc", ".pfb"}
    return any(
        file.suffix in kinds
        for folder in folders
        for file in Path(folder).expanduser().rglob("*.*")
    )


def provide_packages(packages: Sequence[str], why: str) -> None:
    """Install Debian packages when root; else stop with what to type.

    Each entry is a name, or alternatives "new|old" where releases differ.
    """
    if not is_debian_like():
        raise Stop(f"{why}. Install it with your system's package manager.")
    if not is_root():
        raise Stop(f"{why}. Type this, then run the same command again:\n  {apt_line(packages)}")
    processes.say(f"{why}: installing")
    processes.call(["apt-get", "update"])
    names = [pick_package(package, apt_knows) for package in packages]
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if processes.call(["apt-get", "install", "-y", "--no-install-recommends", *names], env=env):
        raise Stop(f"{why}, and apt-get could not install {' '.join(names)}, see above.")


def is_debian_like() -> bool:
    return Path("/etc/debian_version").exists() and shutil.which("apt-get") is not None


def is_root() -> bool:
    return os.geteuid() == 0


def apt_line(packages: Sequence[str]) -> str:
    names = " ".join(pick_package(package, apt_knows) for package in packages)
    return f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {names}"


def pick_package(alternatives: str, known: Callable[[str], bool]) -> str:
    """The first alternative that the release has; the last, which apt resolves, if unsure."""
    names = alternatives.split("|")
    return next((name for name in names if known(name)), names[-1])


def apt_knows(package: str) -> bool:
    """Whether apt has a version of the package to install (false before any apt-get update)."""
    policy = subprocess.run(
        ["apt-cache", "policy", package],
        capture_output=True,
        text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    return "Candidate: " in policy.stdout and "Candidate: (none)" not in policy.stdout
