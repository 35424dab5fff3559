"""Networks without memory, for the thread that builds them alone.

accelerate's init_empty_weights exchanges a method of nn.Module, so while it lasts it takes the
memory of every module that any other thread makes. Here hooks of torch's own are registered once
for good, and do nothing but in a thread that is inside one of these contexts.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from diffview.errors import InputError
from diffview.models.families import without_values

ROOM = 2**27
"""Numbers that a network may compute for itself (places of tokens) beside those in its files."""
SPARE = 64
"""How many tensors more than its files a network may have: what was computed, what is tied."""


@dataclass
class Allowance:
    """How many numbers and tensors may still be registered before a configuration has lied."""

    numbers: int
    tensors: int

    def take(self, tensor: torch.Tensor) -> None:
        """Raise InputError where the files cannot hold such a network."""
        self.numbers -= tensor.numel()
        self.tensors -= 1
        if self.numbers < 0 or self.tensors < 0:
            raise InputError("it describes a network far larger than its weights")


class _Here(threading.local):
    """What holds in this thread."""

    allowance: Allowance | None = None
    empty: bool = False


_here = _Here()


@contextmanager
def shapes(numbers: int, tensors: int) -> Iterator[None]:
    """New modules have shapes only, buffers too; `numbers` and `tensors` are those of the files.

    Raises InputError as soon as a network is built that is far larger than they are.
    """
    outer, _here.allowance = _here.allowance, Allowance(2 * numbers + ROOM, 2 * tensors + SPARE)
    try:
        with torch.device("meta"), without_values():
            yield
    finally:
        _here.allowance = outer


@contextmanager
def parameters() -> Iterator[None]:
    """New modules have parameters of shapes only; what they compute for themselves is real."""
    outer, _here.empty = _here.empty, True
    try:
        with without_values():
            yield
    finally:
        _here.empty = outer


def _on_parameter(module: nn.Module, name: str, parameter: Any) -> nn.Parameter | None:
    _count(parameter)
    if not _here.empty or parameter is None or parameter.is_meta:
        return None
    return nn.Parameter(parameter.to("meta"), requires_grad=parameter.requires_grad)


def _on_buffer(module: nn.Module, name: str, buffer: Any) -> None:
    _count(buffer)


def _count(tensor: Any) -> None:
    if _here.allowance is not None and tensor is not None:
        _here.allowance.take(tensor)


# Torch's stub says that the hook returns nothing; what it returns takes the parameter's place.
register_module_parameter_registration_hook(_on_parameter)  # type: ignore[arg-type]
register_module_buffer_registration_hook(_on_buffer)
