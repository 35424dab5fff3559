"""The training loop: a generator that trains, checkpoints and resumes to the same bits.

Every random number of step k comes from a generator seeded with (seed, k), and the order of the
data from (seed, epoch), so a run that was killed and resumed equals one that never stopped.
Weights are averaged exponentially (EMA), as every diffusion model's are: Ho et al. (2020), app. B.
"""

from __future__ import annotations

import copy
import io
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from diffview.atomic import replacing
from diffview.errors import DiffviewError, InputError
from diffview.models.network import channels_last


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """What the loop needs beside the task; the rate follows samples seen, never time."""

    samples: int
    batch: int = 64
    learning_rate: float = 1e-3
    final_rate: float = 0.02
    warmup_steps: int = 200
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    ema: float = 0.999
    seed: int = 0

    @property
    def steps(self) -> int:
        """How many batches the whole training is."""
        return math.ceil(self.samples / self.batch)

    def rate_at(self, step: int) -> float:
        """The learning rate of `step`: a linear warm-up, then a cosine down to final_rate."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        done = min(1.0, step / self.steps)
        fall = self.final_rate + (1 - self.final_rate) * 0.5 * (1 + math.cos(math.pi * done))
        return self.learning_rate * warm * fall


class Task(Protocol):
    """What is trained: a network, and the loss of one batch of it."""

    @property
    def name(self) -> str:
        """The recipe's name; a checkpoint of another one is refused."""

    def network(self) -> nn.Module:
        """A fresh network."""

    def __len__(self) -> int:
        """The number of training samples."""

    def loss(self, network: nn.Module, indices: Tensor, generator: torch.Generator) -> Tensor:
        """The mean loss of the samples `indices` (B,), every random number from `generator`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the training stands after a step."""

    step: int
    steps: int
    samples: int
    loss: float
    samples_per_second: float

    @property
    def seconds_left(self) -> float:
        """Remaining time at the present speed."""
        left = (self.steps - self.step) * self.samples / max(1, self.step)
        return left / max(self.samples_per_second, 1e-9)


class Trainer:
    """Network, optimiser and averaged weights of one training, at one step."""

    def __init__(self, task: Task, settings: TrainSettings, device: str = "cpu") -> None:
        if len(task) < settings.batch:
            raise InputError(
                f"{len(task)} samples do not fill one batch of {settings.batch}: "
                "give more data or a smaller batch"
            )
        self.task, self.settings, self.device = task, settings, torch.device(device)
        torch.manual_seed(settings.seed)
        self.network = channels_last(task.network().to(self.device))
        self.averaged = copy.deepcopy(self.network).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.learning_rate,
            betas=settings.betas,
            weight_decay=settings.weight_decay,
        )
        self.step = 0

    def run(self) -> Iterator[Progress]:
        """Train to the end, one `Progress` a step; stop calling to pause."""
        rate = _Rate()
        while self.step < self.settings.steps:
            loss = self.train_step()
            yield Progress(
                step=self.step,
                steps=self.settings.steps,
                samples=self.step * self.settings.batch,
                loss=loss,
                samples_per_second=rate.after(self.settings.batch),
            )

    def train_step(self) -> float:
        """One batch; returns its loss. Raises DiffviewError when the loss is not finite."""
        key = generator_key(self.settings.seed, self.step)
        generator = torch.Generator(self.device).manual_seed(key)
        indices = self._indices().to(self.device)
        loss = self.task.loss(self.network, indices, generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.gradient_clip)
        for group in self.optimiser.param_groups:
            group["lr"] = self.settings.rate_at(self.step)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise DiffviewError(f"the loss became {value} at step {self.step}; nothing was saved")
        self.optimiser.step()
        self.step += 1
        self._average()
        return value

    def _indices(self) -> Tensor:
        """The samples of this step: a fresh permutation each epoch, the odd rest left out."""
        batch = self.settings.batch
        per_epoch = len(self.task) // batch
        epoch, k = divmod(self.step, per_epoch)
        order = torch.Generator().manual_seed(generator_key(self.settings.seed, epoch))
        return torch.randperm(len(self.task), generator=order)[k * batch : (k + 1) * batch]

    @torch.no_grad()
    def _average(self) -> None:
        # A young average follows closely: otherwise the first thousand steps would linger in it.
        keep = min(self.settings.ema, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.averaged.parameters(), self.network.parameters(), strict=True):
            mean.lerp_(now, 1 - keep)
        for kept, buffer in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
            kept.copy_(buffer)

    def save(self, path: Path) -> None:
        """Write a checkpoint; the last good one stays until the new one is whole."""
        state = {
            "task": self.task.name,
            "settings": asdict(self.settings),
            "step": self.step,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        # Through memory: torch's own writer hides why a disk refused behind a RuntimeError.
        content = io.BytesIO()
        torch.save(state, content)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(content.getbuffer())

    def begin_from(self, tensors: Mapping[str, Tensor], where: str) -> None:
        """Begin with these weights instead of fresh ones. InputError: of another network."""
        weights = {name: tensor.float() for name, tensor in tensors.items()}
        if not _fits(weights, self.network):
            raise InputError(f"{where} holds the weights of another network than this recipe's")
        self.network.load_state_dict(weights)
        self.averaged.load_state_dict(weights)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint. Raises InputError when it belongs to another training."""
        state = _read_checkpoint(path)
        if state.get("task") != self.task.name:
            raise InputError(
                f"{path} is a checkpoint of '{state.get('task')}', not '{self.task.name}'"
            )
        try:
            self._check_settings(path, state["settings"])
            networks, step = (state["network"], state["averaged"]), int(state["step"])
            if not all(_fits(stored, self.network) for stored in networks):
                raise InputError(f"{path} is a checkpoint of another network than this recipe's")
            self.optimiser.load_state_dict(state["optimiser"])
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(
                f"{path} is not a checkpoint of this version ({error}); delete it to start again"
            ) from None
        self.network.load_state_dict(networks[0])
        self.averaged.load_state_dict(networks[1])
        self.step = step

    def _check_settings(self, path: Path, stored: dict[str, Any]) -> None:
        # Only the length may change: with any other setting the result would be neither training.
        own = asdict(self.settings)
        other = [name for name in own if name != "samples" and stored[name] != own[name]]
        if other:
            told = ", ".join(f"{name} {stored[name]} instead of {own[name]}" for name in other)
            raise InputError(f"{path} was made with other settings: {told}")


def generator_key(seed: int, k: int) -> int:
    """What seeds the generator of step or epoch `k` under `seed`: 32 bits, as torch's on the CPU
    keeps no more. Multiples of the golden ratio lie millions apart, so that the steps of trainings
    with different seeds do not meet (Knuth, The Art of Computer Programming 3, section 6.4)."""
    return (seed * 0x9E3779B9 + k) % 2**32


def _fits(stored: object, network: nn.Module) -> bool:
    own = network.state_dict()
    if not isinstance(stored, dict) or stored.keys() != own.keys():
        return False
    return all(isinstance(v, Tensor) and v.shape == own[k].shape for k, v in stored.items())


def read_settings(path: Path) -> TrainSettings:
    """The settings a checkpoint was made with. Raises InputError when it is none."""
    state = _read_checkpoint(path)
    try:
        return TrainSettings(**{**state["settings"], "betas": tuple(state["settings"]["betas"])})
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path} is not a checkpoint of this version ({error}); delete it to start again"
        ) from None


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch's own words for a pickle are many, and tell how to load it unsafely.
        reason = error.strerror if isinstance(error, OSError) else type(error).__name__
        raise InputError(
            f"{path} is not a whole checkpoint ({reason}); delete it to start again"
        ) from None
    if not isinstance(state, dict):
        raise InputError(f"{path} is not a checkpoint of this program; delete it to start again")
    return state


class _Rate:
    """Samples per second over about the last minute."""

    def __init__(self) -> None:
        self._marks = [(time.monotonic(), 0)]

    def after(self, samples: int) -> float:
        now, total = time.monotonic(), self._marks[-1][1] + samples
        self._marks = [*self._marks[-200:], (now, total)]
        (start, before) = self._marks[0]
        return (total - before) / max(now - start, 1e-9)
