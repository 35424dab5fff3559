"""diffview: an instrument for looking inside diffusion models.

`import diffview` costs nothing: the names below load on first use (`diffview/api.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffview.api import (
        Inversion,
        Run,
        SamplingError,
        explore,
        invert,
        load,
        open,
        sample,
        wrap,
    )

__version__ = "0.1.0"
__all__ = [
    "Inversion",
    "Run",
    "SamplingError",
    "__version__",
    "explore",
    "invert",
    "load",
    "open",
    "sample",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name.startswith("__") or name not in __all__:
        raise AttributeError(f"module 'diffview' has no attribute '{name}'")
    from importlib import import_module

    value = getattr(import_module("diffview.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
