"""Measure diffview's own speed on this machine."""

from __future__ import annotations

import argparse
from importlib import import_module


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of the benchmark."""
    import_module("diffview.bench").add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    code: int = import_module("diffview.bench").run(args)
    return code
