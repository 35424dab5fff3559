"""The training lab: one training that can be watched, paused, kept, resumed and made a model of.

Everything is a generator, to be consumed in one worker thread: pausing is to stop calling next(),
going on is another `train()`. Looking at the network draws nothing from the training's random
numbers, so a training that was watched, paused or resumed ends in the same bits as one that was
not (on the same machine with the same number of threads).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load as load_tensors

from diffview import tensorfile
from diffview.errors import DiffviewError, InputError
from diffview.models import catalog
from diffview.models.sampling import choose_device
from diffview.training import recipes, unlabelled
from diffview.training.events import (
    Begun,
    Kept,
    Looked,
    NotKept,
    Published,
    Snapshot,
    Trained,
)
from diffview.training.kept import KeptTraining, Order
from diffview.training.loop import Trainer, TrainSettings, read_settings
from diffview.training.publish import Trained as Record
from diffview.training.publish import held_out_loss, publish
from diffview.training.recipes import Recipe
from diffview.training.watching import Watcher, moments

Event = Begun | Trained | Looked | Kept | NotKept | Published | None
"""None: something was evaluated, and this is a place to stop."""

LOOKS, SHEETS = 80, 16
"""Looks at a whole training: of a model that denoises, and of others, which take longer."""
TELL_SECONDS = 0.05
KEEP_SECONDS = 120.0
MOST_LOOKING = 0.25
"""Looks that would take more than this share of the time are left out."""
CONTINUED_RATE = 0.2
"""Weights that are good already are changed by smaller steps: this share of the usual rate."""


class Lab:
    """One training, made by `start` or `resume` in the thread that will train."""

    def __init__(self, recipe: Recipe, kept: KeptTraining, title: str, *, resumed: bool) -> None:
        order = kept.order
        self.recipe, self.kept, self.title = recipe, kept, title
        self.device = str(choose_device("auto"))
        settings = read_settings(kept.checkpoint) if resumed else recipe.settings
        task = _task(recipe, order, self.device)
        self.trainer = Trainer(task, settled(settings, order, resumed=resumed), self.device)
        self._watcher = Watcher(recipe, self.device)
        self.first = 0
        self._losses: list[float] = []
        self._snapshots: list[Snapshot] = []
        self._untold: list[float] = []
        self._pace = 0.0, 0.0
        self._looking, self._kept_step = 0.0, -1
        if resumed:
            self.trainer.resume(kept.checkpoint)
            self._kept_step = self.trainer.step
            self._recall()
        elif order.begin is not None:
            tensors = load_tensors(tensorfile.read_bytes(order.begin))
            self.trainer.begin_from(tensors, str(order.begin))

    def begun(self) -> Begun:
        """All that is known so far."""
        trainer = self.trainer
        return Begun(
            recipe=self.kept.order.recipe,
            title=self.title,
            device=self.device,
            parameters=sum(p.numel() for p in trainer.network.parameters()),
            first=self.first,
            step=trainer.step,
            steps=trainer.settings.steps,
            batch=trainer.settings.batch,
            pictures=len(trainer.task),
            losses=np.array(self._losses, np.float32),
            snapshots=tuple(self._snapshots),
            moments=self._moments(),
            watched=self._watcher.watched,
        )

    def _moments(self) -> tuple[int, ...]:
        looks = SHEETS if self._watcher.watched is None else LOOKS
        last = self._snapshots[-1].step if self._snapshots else -1
        return tuple(m for m in moments(self.trainer.settings.steps, looks) if m > last)

    def train(self) -> Iterator[Event]:
        """Train to the end; a checkpoint now and then, and at the end.

        Raises DiffviewError when the loss is not finite; the last good checkpoint stays.
        """
        yield self.begun()
        left, started = list(self._moments()), time.monotonic()
        told = kept = started
        self._looking, self._untold = 0.0, []
        if left and left[0] <= self.trainer.step:
            yield from self._look(left)
        for progress in self.trainer.run():
            self._losses.append(progress.loss)
            self._untold.append(progress.loss)
            self._pace = progress.samples_per_second, progress.seconds_left
            now, done = time.monotonic(), progress.step == progress.steps
            if done or now - told >= TELL_SECONDS:
                told = now
                yield from self._tell()
            if left and progress.step >= left[0] and (done or self._may_look(started)):
                yield from self._look(left)
            if now - kept >= KEEP_SECONDS:
                yield self.keep()
                kept = time.monotonic()
        yield self.keep()

    def _tell(self) -> Iterator[Event]:
        """The steps that were not told of yet; whoever stops here has not heard of them."""
        yield Trained(self.trainer.step, np.array(self._untold, np.float32), *self._pace)
        self._untold = []

    def _may_look(self, started: float) -> bool:
        return self._looking <= MOST_LOOKING * (time.monotonic() - started) + TELL_SECONDS

    def _look(self, left: list[int]) -> Iterator[Event]:
        """Take a snapshot, and cross off the moments up to now."""
        began = time.monotonic()
        snapshot = yield from self._watcher.look(self.trainer.averaged, self.trainer.step)
        self._snapshots.append(snapshot)
        left[:] = [moment for moment in left if moment > self.trainer.step]
        self._looking += time.monotonic() - began
        yield Looked(snapshot)

    def look_now(self) -> Iterator[Event]:
        """The steps up to now, and a snapshot of where it stands, unless that was just taken."""
        if self._untold:
            yield from self._tell()
        if not self._snapshots or self._snapshots[-1].step != self.trainer.step:
            yield from self._look([])

    def keep(self) -> Kept | NotKept:
        """Write checkpoint and history, so that it can be resumed from here."""
        if self._kept_step == self.trainer.step:
            return Kept(self._kept_step)
        self.kept = replace(self.kept, step=self.trainer.step, steps=self.trainer.settings.steps)
        try:
            self.kept.folder.mkdir(parents=True, exist_ok=True)
            self._remember()
            self.trainer.save(self.kept.checkpoint)
            self.kept.write()
        except OSError as error:
            return NotKept(self._refused(error))
        self._kept_step = self.trainer.step
        return Kept(self.trainer.step)

    def _refused(self, error: OSError) -> str:
        last = (
            f"the last good one, of step {self._kept_step:,}, stays"
            if self._kept_step >= 0
            else "there is none yet"
        )
        done = self.trainer.step == self.trainer.settings.steps
        again = "save it as a model" if done else "it is tried again when you pause"
        return (
            f"No checkpoint of step {self.trainer.step:,} could be written to "
            f"{self.kept.folder}: {error.strerror or error}; {last}. Free some space: {again}"
        )

    # -- a model of it ------------------------------------------------------------------------

    def publish(self, path: Path, title: str) -> Iterator[Published]:
        """Write the averaged weights as a model's file, called `title`; its id is the file's name.

        Raises DiffviewError when the disk refuses, or where a file of that name is there already.
        """
        if path.exists():
            raise InputError(f"{path} exists: choose another name")
        settings, network = self.trainer.settings, self.trainer.averaged
        held_out = self.recipe.task(self.device, "test")
        record = Record(
            recipe=self.trainer.task.name,
            settings=settings,
            samples=self.trainer.step * settings.batch,
            loss=round(held_out_loss(held_out, network), 5),
            begun_from="" if self.kept.order.begin is None else self.kept.order.begin.stem,
        )
        card = replace(self.recipe.card(), id=path.stem, title=title, source="the training lab")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            publish(self.recipe, self.recipe.shipped(network), record, path, card)
        except OSError as error:
            raise DiffviewError(
                f"{path} could not be written: {error.strerror or error}; nothing of it is left. "
                "Free some space and save it again"
            ) from error
        yield Published(catalog.entry(path))

    # -- curves and pictures on the disk ------------------------------------------------------

    def _remember(self) -> None:
        arrays: dict[str, Any] = {
            "losses": np.array(self._losses, np.float32),
            "steps": np.array([s.step for s in self._snapshots], np.int64),
        }
        for name in ("samples", "sheet", "losses", "x0_hat"):
            kept = [getattr(snapshot, name) for snapshot in self._snapshots]
            if kept and kept[0] is not None:
                arrays[f"snapshot_{name}"] = np.stack(kept)
        tensorfile.write_numpy(self.kept.history, arrays, {"first": str(self.first)})

    def _recall(self) -> None:
        """What was seen up to the checkpoint; nothing where the file is damaged or gone."""
        self.first = step = self.trainer.step
        try:
            first = int(tensorfile.read_header(self.kept.history).metadata["first"])
            arrays = tensorfile.read_numpy(self.kept.history)
            losses, steps = arrays["losses"], arrays["steps"]
            names = [name for name in arrays if name.startswith("snapshot_")]
            seen = [
                Snapshot(int(at), **{n.removeprefix("snapshot_"): arrays[n][k] for n in names})
                for k, at in enumerate(steps)
                if at <= step
            ]
        except (InputError, KeyError, ValueError, TypeError, IndexError):
            return
        if first + len(losses) >= step:  # written just before the checkpoint
            self.first, self._snapshots = first, seen
            self._losses = [float(loss) for loss in losses[: step - first]]


def start(order: Order, folder: Path) -> Iterator[Lab]:
    """A new training to be kept in `folder`. Raises InputError for what cannot be done."""
    yield _made(KeptTraining(folder, order, 0, 0), resumed=False)


def resume(kept: KeptTraining, samples: int | None = None) -> Iterator[Lab]:
    """A training that was kept, to go on to `samples` in all if that is given."""
    if samples is not None:
        kept = replace(kept, order=replace(kept.order, samples=samples))
    yield _made(kept, resumed=True)


def _made(kept: KeptTraining, *, resumed: bool) -> Lab:
    info = recipes.find(kept.order.recipe)
    return Lab(info.make(folder=kept.order.data), kept, info.title, resumed=resumed)


def settled(settings: TrainSettings, order: Order, *, resumed: bool) -> TrainSettings:
    """The recipe's settings with what was ordered instead; of a resumed one only its length."""
    samples = settings.samples if order.samples is None else order.samples
    if resumed:
        return replace(settings, samples=samples)
    rate = settings.learning_rate * (1 if order.begin is None else CONTINUED_RATE)
    rate = rate if order.learning_rate is None else order.learning_rate
    return replace(settings, samples=samples, learning_rate=rate, seed=order.seed)


def _task(recipe: Recipe, order: Order, device: str) -> Any:
    """The task, or what to do about data that are not there, in the window's words."""
    try:
        return recipe.task(device)
    except InputError as error:
        told = str(unlabelled.instead(error, order.recipe, order.data))
        for name, info in recipes.every().items():
            told = told.replace(f"'{name}'", f"“{info.title}”")
        raise InputError(told.replace("--data FOLDER", "“Data folder…”")) from None
