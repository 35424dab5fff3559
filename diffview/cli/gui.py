"""Open the window."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from diffview.cli import arguments
from diffview.errors import InputError

WITHOUT_A_WINDOW = "without a window, use: diffview sample --model fashion --out DIR"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare FILE."""
    parser.add_argument(
        "file",
        metavar="FILE",
        nargs="?",
        type=arguments.path,
        help="a saved run, a model, or an exported picture with its recipe in it",
    )


def run(args: argparse.Namespace) -> int:
    """Show the window until it is closed."""
    file: Path | None = args.file
    if file is not None and not file.exists():
        raise InputError(f"{file} is not there: give a saved run, a model or an exported picture")
    _check_display()
    try:
        from diffview.ui.app import main as show
    except ImportError as error:
        raise InputError(_why_no_window(error)) from error
    code: int = show(file=None if file is None else str(file))
    return code


def _check_display() -> None:
    known = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in known):
        raise InputError(
            "there is no display here (DISPLAY and WAYLAND_DISPLAY are not set): run this in a "
            f"desktop session, through 'ssh -X' or under 'xvfb-run'; {WITHOUT_A_WINDOW}"
        )


def _why_no_window(error: ImportError) -> str:
    name = error.name or ""
    if isinstance(error, ModuleNotFoundError) and name.split(".")[0] != "diffview":
        return f"the window needs the package '{name}': pip install {name}; {WITHOUT_A_WINDOW}"
    return (
        f"the window cannot start: {error}; on Debian or Ubuntu install libegl1, libgl1, "
        f"libxkbcommon-x11-0 and libxcb-cursor0; {WITHOUT_A_WINDOW}"
    )
