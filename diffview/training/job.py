"""A training as one job: check, train, save on the way, publish, judge.

`Job(...)` refuses what cannot be done before the first step; `run()` is a generator that yields
after every step, so whoever iterates it pauses by not calling next() and stops by leaving.
"""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from diffview.errors import DiffviewError, InputError
from diffview.models.sampling import choose_device
from diffview.training import sheet
from diffview.training.evaluate import Evaluating
from diffview.training.loop import Progress, Trainer, read_settings
from diffview.training.publish import Trained, add_figures, held_out_loss, publish
from diffview.training.recipes import Recipe

SAMPLES = 500
"""So many of each kind are judged."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a person asks for. minutes: stop then and publish what there is; samples: instead of
    the recipe's own number."""

    out: Path
    checkpoint: Path
    minutes: float | None = None
    samples: int | None = None
    resume: bool = False
    overwrite: bool = False
    device: str = "auto"
    checkpoint_seconds: float = 180.0

    @property
    def sheets(self) -> Path:
        """The folder of the sample sheets."""
        return self.checkpoint.with_name(self.checkpoint.stem + "-sheets")


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint is on the disk, and a sample sheet if the recipe draws any."""

    step: int
    checkpoint: Path
    sheet: Path | None


class Job:
    """One training of `recipe`, from its checks to the model's file.

    Raises InputError for a plan that cannot be carried out: before data are read for files that
    are in the way, before the first step for everything else.
    """

    def __init__(self, recipe: Recipe, plan: Plan) -> None:
        _check_numbers(plan)
        _check_files(plan)
        self.plan = plan
        self.device = str(choose_device(plan.device))
        if self.device.startswith("cuda"):
            # TF32: factors of 10-bit mantissas, sums in float32; several times faster.
            torch.set_float32_matmul_precision("high")
        self.recipe = recipe
        settings = read_settings(plan.checkpoint) if plan.resume else recipe.settings
        if plan.samples is not None:
            settings = replace(settings, samples=plan.samples)
        task = recipe.task(self.device)
        # Read now: a missing test set should not be found out after an hour of training.
        self._held_out = recipe.task(self.device, "test")
        self.trainer = Trainer(task, settings, self.device)
        if plan.resume:
            self.trainer.resume(plan.checkpoint)

    @property
    def samples(self) -> int:
        """How many samples the network has seen."""
        return self.trainer.step * self.trainer.settings.batch

    def run(self) -> Iterator[Progress | Saved]:
        """Train to the end, or until the plan's minutes are over; a checkpoint is the last thing.

        Raises DiffviewError when the loss is not finite or the disk refuses a checkpoint.
        """
        started = saved = time.monotonic()
        for progress in self._steps(started):
            yield progress
            if time.monotonic() - saved >= self.plan.checkpoint_seconds:
                yield self.save()
                saved = time.monotonic()
        yield self.save()

    def _steps(self, started: float) -> Iterator[Progress]:
        limit = math.inf if self.plan.minutes is None else 60 * self.plan.minutes
        if limit == 0:
            return
        for progress in self.trainer.run():
            yield progress
            if time.monotonic() - started >= limit:
                return

    def save(self) -> Saved:
        """Write the checkpoint, then a sample sheet. Raises DiffviewError if the disk refuses."""
        saved = self.keep()
        picture = self.recipe.sheet(self.trainer.averaged, self.device)
        if picture is None:
            return saved
        target = self.plan.sheets / f"step_{saved.step:06d}.png"
        with self._disk_may_refuse(target):
            sheet.write(target, picture)
        return replace(saved, sheet=target)

    def keep(self) -> Saved:
        """Write the checkpoint alone: a sheet can take a minute. Raises like `save`."""
        with self._disk_may_refuse(self.plan.checkpoint):
            self.trainer.save(self.plan.checkpoint)
        return Saved(self.trainer.step, self.plan.checkpoint, None)

    @contextlib.contextmanager
    def _disk_may_refuse(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise DiffviewError(
                f"{path} could not be written: {error.strerror or error}; {self._kept()}"
            ) from error

    def _kept(self) -> str:
        if not self.plan.checkpoint.is_file():
            return "there was no checkpoint yet. Free some space and start again"
        return (
            f"the last good checkpoint {self.plan.checkpoint} is kept. Free some space, "
            "then go on with --resume"
        )

    def publish(self) -> Trained:
        """Write the model's file from the averaged weights; returns what stands in its header."""
        network = self.trainer.averaged
        trained = Trained(
            recipe=self.trainer.task.name,
            settings=self.trainer.settings,
            samples=self.samples,
            loss=round(held_out_loss(self._held_out, network), 5),
        )
        self.plan.out.parent.mkdir(parents=True, exist_ok=True)
        with self._disk_may_refuse(self.plan.out):
            publish(self.recipe, self.recipe.shipped(network), trained, self.plan.out)
        return trained

    def evaluate(self, n: int = SAMPLES) -> Generator[Evaluating, None, dict[str, Any]]:
        """Judge the published file as loaded and put the figures into its card."""
        plan = self.plan
        figures = yield from self.recipe.evaluate(plan.out, self.device, n)
        with self._disk_may_refuse(plan.out):
            add_figures(plan.out, figures)
        return figures


def _check_numbers(plan: Plan) -> None:
    if plan.minutes is not None and not (math.isfinite(plan.minutes) and plan.minutes >= 0):
        raise InputError(
            f"--minutes {plan.minutes:g} is no time to train: give 0 or more (0 with --resume "
            "publishes a checkpoint as it is)"
        )
    if plan.samples is not None and plan.samples < 1:
        raise InputError(f"--samples {plan.samples} is too few: give 1 or more")


def _check_files(plan: Plan) -> None:
    if plan.out.is_dir():
        raise InputError(f"--out {plan.out} is a folder: give the file to write")
    if plan.out.exists() and not plan.overwrite:
        raise InputError(f"{plan.out} exists: give another --out, or --overwrite to replace it")
    if plan.out.absolute() == plan.checkpoint.absolute():
        raise InputError(f"{plan.out} cannot be both model and checkpoint: give another --out")
    if plan.checkpoint.exists() and not plan.resume:
        raise InputError(
            f"there is a checkpoint {plan.checkpoint} of an earlier training: go on with it "
            "with --resume, or delete it to start again"
        )
    if plan.resume and not plan.checkpoint.is_file():
        raise InputError(
            f"there is no checkpoint {plan.checkpoint} to resume: leave --resume out to start, "
            "or name the checkpoint with --checkpoint"
        )
    for folder in {plan.out.parent, plan.checkpoint.parent}:
        _check_writable(folder)


def _check_writable(folder: Path) -> None:
    """Make `folder` and a file in it: nothing else tells whether that will work in an hour."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".diffview-")
        os.close(handle)
        os.unlink(name)
    except OSError as error:
        raise InputError(
            f"folder {folder} cannot be written to: {error.strerror or error}; choose another"
        ) from None


def use_threads(threads: int | None) -> None:
    """Let torch use so many threads; None leaves its choice. Raises InputError below 1.

    Sums are split by thread: only the same number of threads resumes to the same bits.
    """
    if threads is not None and threads < 1:
        raise InputError(f"--threads {threads} is too few: give 1 or more")
    if threads is not None:
        torch.set_num_threads(threads)
