"""Between host and device without making the device wait.

A GPU works through a queue. Reading a tensor's values at once (`.cpu()`, `.item()`) makes the host
wait until the queue is empty, and then the GPU until the host has queued the next step. So noise
goes up, and a step comes down, through page-locked memory behind the work that is queued already,
and the host waits for a step only when the next one is in the queue.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from diffview.engine.estimate import Estimate, Step

AHEAD = {"cuda": 1}
"""How many steps are queued before the host waits for one; elsewhere none."""


def to_device(tensor: Tensor, device: torch.device, dtype: torch.dtype) -> Tensor:
    """The tensor on `device`; on a GPU it is on its way there."""
    if device.type != "cuda":
        return tensor.to(device, dtype)
    return tensor.to(dtype).pin_memory().to(device, non_blocking=True)


class Timed:
    """A step on its way to the host, and how long it takes; begun before the step is computed."""

    def __init__(self, device: torch.device) -> None:
        self._gpu = device.type == "cuda"
        self._wait: Callable[[], tuple[Step, float]]
        self._began = self._mark()

    def take(self, step: Step) -> Timed:
        """Start to copy the step's tensors, as float32."""
        if self._gpu:
            return self._take_behind_the_queue(step)
        there = _moved(step, lambda tensor: tensor.detach().to("cpu", torch.float32))
        seconds = time.perf_counter() - self._began
        self._wait = lambda: (there, seconds)
        return self

    def wait(self) -> tuple[Step, float]:
        """The step with its tensors on the host, and the seconds it took."""
        return self._wait()

    def _mark(self) -> float:
        if self._gpu:
            self._before = _event()
            self._before.record()
        return time.perf_counter()

    def _take_behind_the_queue(self, step: Step) -> Timed:
        coming, there = _moved(step, _page_locked), _event()
        there.record()

        def wait() -> tuple[Step, float]:
            there.synchronize()
            # Page-locked memory is scarce: what is kept goes into ordinary memory.
            return _moved(coming, torch.clone), self._before.elapsed_time(there) / 1000

        self._wait = wait
        return self


def taken(tensor: Tensor) -> Callable[[], Tensor]:
    """What gives a copy of the tensor on the host, as float32, once the device has made it."""
    if tensor.device.type != "cuda":
        there = tensor.detach().to("cpu", torch.float32, copy=True)
        return lambda: there
    coming, made = _page_locked(tensor), _event()
    made.record()

    def wait() -> Tensor:
        made.synchronize()
        return coming.clone()

    return wait


def _event() -> Any:
    make: Any = torch.cuda.Event  # untyped
    return make(enable_timing=True)


def _page_locked(tensor: Tensor) -> Tensor:
    there = torch.empty(tensor.shape, dtype=torch.float32, pin_memory=True)
    return there.copy_(tensor.detach(), non_blocking=True)


def _moved(step: Step, move: Callable[[Tensor], Tensor]) -> Step:
    """The step with every tensor moved, one that is there twice only once."""
    done: dict[int, Tensor] = {}

    def once(tensor: Tensor) -> Tensor:
        if id(tensor) not in done:
            done[id(tensor)] = move(tensor)
        return done[id(tensor)]

    def estimate(said: Estimate) -> Estimate:
        parts = {name: getattr(said, name) for name in KEPT}
        # What is not recorded stays behind.
        return Estimate(**{name: once(part) for name, part in parts.items() if part is not None})

    stages = tuple(
        replace(
            stage,
            x_t=once(stage.x_t),
            estimate=None if stage.estimate is None else estimate(stage.estimate),
        )
        for stage in step.stages
    )
    return replace(step, x_t=once(step.x_t), estimate=estimate(step.estimate), stages=stages)


KEPT = ("x0_hat", "base", "direction", "x0_raw")
"""What a record keeps of an estimate."""
