"""Make one of the bundled models from its data."""

from __future__ import annotations

import argparse

from diffview.training import command

add_arguments = command.add_arguments


def run(args: argparse.Namespace) -> int:
    """Train as the recipe says."""
    return command.run(args)
