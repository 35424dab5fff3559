"""What a figure was measured on; read from metadata, so nothing is imported for it."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import Any

from diffview.models.sampling import installed


def machine() -> dict[str, Any]:
    """Processor, versions, and how busy the machine is now: an absolute figure means nothing
    without them."""
    return {**_fixed(), "load": load()}


def load() -> float | None:
    """Processes that want to run, as an average over one minute; None where nobody counts."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


@cache
def _fixed() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": installed("torch"),
        "PySide6": installed("PySide6-Essentials"),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
