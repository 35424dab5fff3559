"""Where an export goes: names that every system takes, and folders that appear whole or not."""

from __future__ import annotations


def safe_name(proposed: str, fallback: str = "export") -> str:
    """A file name made of `proposed` that Linux, macOS and Windows all take, at most 120 bytes."""
    raise NotImplementedError
