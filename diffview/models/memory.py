"""How much memory a model and a run will take, and how much there is: told before it is taken.

Weights are counted from headers. What a call takes beside them is measured without taking it: the
network runs once on tensors that have shapes and no values, and what would live at the same time
is added up.
"""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffview.errors import DiffviewError, InputError

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

SHARE = 0.9
"""How much of what is free may be taken; the rest is for the allocator and the system."""

LARGE = 100_000_000
"""Parameters from which on a model is measured before it runs; smaller ones fit anywhere."""

HALF, WHOLE = 2, 4
"""Bytes of a number."""


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes: weights, what one sample takes beside them, what was free before the weights.

    decode: what making one picture of latents takes, which happens one by one; 0 if unknown.
    """

    weights: int
    per_sample: int
    free: int
    decode: int = 0

    @property
    def samples(self) -> int:
        """How many samples can be evaluated at once."""
        left = SHARE * self.free - self.weights
        return int(left // self.per_sample) if self.per_sample else 2**31

    @property
    def decodes(self) -> bool:
        """Whether a picture can be made of latents."""
        return self.decode <= SHARE * self.free - self.weights

    def __str__(self) -> str:
        picture = f"{gigabytes(self.decode)} for decoding a picture, " if self.decode else ""
        return (
            f"weights {gigabytes(self.weights)}, {gigabytes(self.per_sample)} for each sample at "
            f"work, {picture}{gigabytes(self.free)} free"
        )


def free(device: torch.device) -> int | None:
    """Bytes that are free on `device`, what torch keeps there in reserve too.

    None where nobody can tell.
    """
    if device.type == "cuda":
        import torch

        reserve = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + reserve
    return host_free()


def host_free() -> int | None:
    """Bytes that are free in the computer's own memory; None where nobody can tell."""
    return _least(_available(), _cgroup())


def foreseen(parameters: int, dtype: str, device: torch.device | None = None) -> str:
    """What the weights will take as `dtype`, in words, and what is free on `device`.

    Without one it is the computer's own memory, and torch is not needed.
    """
    room, whole = (host_free() if device is None else free(device)), WHOLE * parameters
    if dtype == "auto":
        dtype = "float32" if room is None or 2 * whole <= room else "bfloat16"
    need = whole if dtype == "float32" else HALF * parameters
    where = "of memory" if device is None or device.type == "cpu" else f"on {device}"
    left = "" if room is None else f", {gigabytes(room)} {where} are free"
    return f"Weights {gigabytes(need)} as {dtype}{left}"


def device_of(choice: str) -> torch.device | None:
    """The GPU that a choice of auto, cuda or cuda:N means; None for the computer's own memory.

    Neither torch is imported for it nor a GPU woken: before either there is None. Nor is there one
    of a GPU that this machine has not.
    """
    if "torch" not in sys.modules or not (choice == "auto" or choice.startswith("cuda")):
        return None
    import torch

    cuda: Any = torch.cuda  # in part untyped
    if not (cuda.is_initialized() and cuda.is_available()):  # the second may wake the driver
        return None
    _, numbered, number = choice.partition(":")
    if not numbered:
        return torch.device("cuda")
    there = number.isdecimal() and int(number) < cuda.device_count()
    return torch.device("cuda", int(number)) if there else None


def check_weights(parameters: int, itemsize: int, device: torch.device, name: str) -> None:
    """Raise InputError, with the numbers, when the weights alone do not fit."""
    room, need = free(device), parameters * itemsize
    if room is not None and need > SHARE * room:
        smaller = "" if itemsize <= HALF else f"; in half precision {gigabytes(need // 2)}"
        raise InputError(
            f"model '{name}' needs {gigabytes(need)} for its {parameters / 1e9:.2f} billion "
            f"weights on {device}, {gigabytes(room)} are free{smaller}: close other programs, or "
            "choose another device or number type (bfloat16)"
        )


def check_samples(room: Room, name: str) -> int:
    """How many samples go at once. Raises InputError, with the numbers, when not even one does."""
    if room.samples < 1:
        raise InputError(
            f"one sample of model '{name}' does not fit into memory: {room}; choose another "
            "device or number type (bfloat16)"
        )
    return room.samples


def check_decode(room: Room, name: str, device: torch.device) -> None:
    """Raise DiffviewError, with the numbers, when one picture cannot be decoded on `device` now.

    Asked before it is tried: where a system promises more memory than it has, it would end the
    whole program. What is free is asked anew, since other programs come and go; the weights are
    there by now.
    """
    left = free(device)
    if left is None:
        return
    now = replace(room, weights=0, free=left)
    if not now.decodes:
        raise DiffviewError(
            f"decoding a picture of model '{name}' does not fit into memory: {now}; close other "
            "programs, or choose another device or number type (bfloat16)"
        )


def peak(call: Callable[..., Any], *shapes: tuple[tuple[int, ...], Any, Any]) -> int | None:
    """Bytes that live at once while call(*tensors) runs, beside its inputs; nothing is computed.

    shapes are (shape, dtype, device) of the tensors. None where the call needs values.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True), torch.no_grad():
        tensors = [torch.empty(s, dtype=dtype, device=device) for s, dtype, device in shapes]
        live = _live()
        try:
            with live:
                call(*tensors)
        except Exception as error:  # whatever a library raises where it wanted a value
            log.info("memory could not be foreseen: %s", error)
            return None
    return int(live.peak)


def _live() -> Any:
    """A mode that adds up the bytes of all tensors alive, and keeps the largest sum as `peak`."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_leaves

    class Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self.now = self.peak = 0
            self._seen: set[int] = set()

        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = func(*args, **(kwargs or {}))
            given = {id(s) for s in _storages((args, kwargs))}
            for storage in _storages(out):
                if id(storage) not in self._seen | given:
                    self._seen.add(id(storage))
                    self.now += storage.nbytes()
                    self.peak = max(self.peak, self.now)
                    weakref.finalize(storage, self._gone, id(storage), storage.nbytes())
            return out

        def _gone(self, key: int, nbytes: int) -> None:
            self._seen.discard(key)
            self.now -= nbytes

    def _storages(tree: Any) -> list[Any]:
        return [t.untyped_storage() for t in tree_leaves(tree) if isinstance(t, torch.Tensor)]

    return Live()


def counted(parameters: int) -> str:
    """A number of parameters in a person's words."""
    for unit, size, digits in (("B", 1e9, 2), ("M", 1e6, 1), ("k", 1e3, 1)):
        if parameters >= size:
            return f"{parameters / size:.{digits}f} {unit}"
    return str(parameters)


def gigabytes(nbytes: int) -> str:
    """A size in a person's words."""
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if nbytes >= 0.1 * size:
            return f"{nbytes / size:.1f} {unit}"
    return f"{nbytes / 1e3:.1f} kB"


def _available() -> int | None:
    """What the system says could be had without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        import psutil  # type: ignore[import-untyped]  # comes with accelerate
    except ImportError:
        return None
    return int(psutil.virtual_memory().available)


def _cgroup() -> int | None:
    """What a container's limit leaves."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="ascii").strip()
        used = int((folder / "memory.current").read_text(encoding="ascii"))
        return int(limit) - used if limit != "max" else None
    except (OSError, ValueError):
        return None


def _least(*sizes: int | None) -> int | None:
    known = [size for size in sizes if size is not None]
    return min(known) if known else None
