"""Make a model of safetensors, among your models, of a pickled one, running nothing.

A .ckpt, .pt or .bin can run any code when it is loaded, so only its tensors are read, by torch's
restricted reader; a file that holds anything else is refused. Taken are checkpoints of a whole
Stable Diffusion, and diffusers folders with .bin weights.
"""

from __future__ import annotations

import argparse

from diffview import places
from diffview.cli import arguments
from diffview.errors import InputError
from diffview.models import catalog, hf, pickled


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare FILE."""
    parser.add_argument(
        "file",
        metavar="FILE|FOLDER",
        type=arguments.path,
        help="a .ckpt, .pt, .pth or .bin, or a diffusers folder with .bin weights",
    )


def run(args: argparse.Namespace) -> int:
    """Convert, and say where the model is."""
    path = places.expanded(args.file)
    pickled.check_there(path)
    models = catalog.checked_models_folder()
    if path.is_dir():
        print(hf.convert(path, models))
        return 0
    if not pickled.is_pickle(path):
        raise InputError(f"{path} is no pickled checkpoint ({', '.join(pickled.SUFFIXES)})")
    print(pickled.convert(path, models))
    return 0
