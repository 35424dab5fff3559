"""Versions, devices and folders: what a bug report needs."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from typing import Any

from diffview.errors import DiffviewError
from diffview.models import catalog, sampling

PACKAGES = (
    "torch", "numpy", "pillow", "safetensors", "PySide6-Essentials", "pyqtgraph", "platformdirs",
    "av", "diffusers", "transformers",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --json."""
    parser.add_argument("--json", action="store_true", help="all of it as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print what is known of this installation."""
    facts = gather()
    if args.json:
        print(json.dumps(facts))
        return 0
    for title, entries in facts.items():
        print(title)
        for name, value in entries.items():
            print(f"  {name:<20} {value}")
    return 0


def gather() -> dict[str, dict[str, Any]]:
    """The facts by topic; what is not installed is "-"."""
    import diffview

    return {
        "versions": {
            "diffview": diffview.__version__,
            "python": platform.python_version(),
            **{name: sampling.installed(name) or "-" for name in PACKAGES},
        },
        "machine": {"platform": platform.platform(), "executable": sys.executable, **_devices()},
        "folders": _folders(),
        "models": _models(),
    }


def _devices() -> dict[str, Any]:
    cores = {"cores": os.cpu_count() or 0}
    try:
        import torch
    except (ImportError, OSError) as error:
        return cores | {"torch": f"cannot be imported: {error}"}
    cuda = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
    return cores | {
        "torch threads": torch.get_num_threads(),
        "cuda": ", ".join(cuda) or "-",
        "mps": "yes" if torch.backends.mps.is_available() else "-",
        "device auto": str(sampling.choose_device("auto")),
    }


def _folders() -> dict[str, str]:
    from diffview import places, resources

    own = {kind: places.folder(kind) for kind in places.KINDS}
    shown = {kind: str(found or "- (there is no home folder)") for kind, found in own.items()}
    return shown | {"resources": str(resources.path())}


def _models() -> dict[str, str]:
    try:
        return {e.card.id: f"sha256 {e.card.weights_sha256}" for e in catalog.bundled()}
    except DiffviewError as error:  # a broken bundle is just what a bug report must show
        return {"broken": str(error)}
