"""Where the files that ship with diffview lie: inside the wheel, or beside the package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def path(*parts: str) -> Path:
    """The path of a shipped file or folder."""
    shipped = _PACKAGE / "resources"
    root = shipped if shipped.is_dir() else _PACKAGE.parent / "resources"
    return root.joinpath(*parts)
