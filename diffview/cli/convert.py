"""Make a .safetensors among your models of a pickled Stable Diffusion checkpoint, running nothing.

A .ckpt or .pt can run any code when it is loaded, so only its tensors are read, by torch's
restricted reader; a file that holds anything else is refused.
"""

from __future__ import annotations

import argparse

from diffview import places
from diffview.cli import arguments
from diffview.errors import InputError
from diffview.models import catalog, pickled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare FILE."""
    parser.add_argument(
        "file", metavar="FILE", type=arguments.path, help="a .ckpt, .pt, .pth or .bin"
    )


def run(args: argparse.Namespace) -> int:
    """Convert, and say where the model is."""
    path = places.expanded(args.file)
    pickled.check_there(path)
    if not pickled.is_pickle(path):
        raise InputError(f"{path} is no pickled checkpoint ({', '.join(pickled.SUFFIXES)})")
    print(pickled.convert(path, catalog.checked_models_folder()))
    return 0
