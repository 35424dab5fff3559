"""Make one of the bundled models from its data (`diffview/training/command.py`)."""

from diffview.training.command import add_arguments, run

__all__ = ["add_arguments", "run"]
