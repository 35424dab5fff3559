"""Make one of the bundled models from its data.

Progress and notes go to stderr; with `--json` facts go to stdout, one object per line.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from diffview.cli import arguments

if TYPE_CHECKING:
    from types import FrameType

    from diffview.training.evaluate import Evaluating
    from diffview.training.job import Job, Plan, Saved
    from diffview.training.loop import Progress
    from diffview.training.recipes import RecipeInfo

INTERRUPTED = 130


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `diffview train`."""
    add = parser.add_argument
    add("recipe", metavar="RECIPE", nargs="?", help="what to train; without it: list the recipes")
    add(
        "--out",
        metavar="FILE",
        type=arguments.path,
        help="the model's file to write (.safetensors)",
    )
    add(
        "--minutes", type=float, metavar="M", help="stop after M minutes and publish what is there"
    )
    add("--samples", type=int, metavar="N", help="samples to see, instead of the recipe's number")
    add("--resume", action="store_true", help="go on from the checkpoint")
    add(
        "--checkpoint",
        type=arguments.path,
        metavar="FILE",
        help="default: --out with the ending .ckpt",
    )
    add("--overwrite", action="store_true", help="replace --out if it exists")
    add(
        "--data",
        type=arguments.path,
        metavar="FOLDER",
        help="where the data lie, if not at their usual place",
    )
    add("--device", default="auto", choices=("auto", "cpu", "cuda"), help="default: auto")
    add("--threads", type=int, metavar="N", help="CPU threads; resume with the same number")
    add(
        "--evaluate",
        action="store_true",
        help="judge the finished model; figures go into its card. Without --out: judge the model "
        "of the recipe's name, and say them beside those of its card",
    )
    add("--json", action="store_true", help="one JSON object per line on stdout")


def run(args: argparse.Namespace) -> int:
    """Carry out `diffview train`; returns the exit code. Raises DiffviewError."""
    from diffview.errors import InputError
    from diffview.training import recipes, unlabelled

    if args.recipe is None:
        return _list(args.json)
    from diffview.training.job import Job, use_threads

    info = recipes.find(args.recipe)
    use_threads(args.threads)
    trains = (args.resume, args.overwrite, args.minutes, args.samples, args.checkpoint)
    if args.out is None and args.evaluate and not any(trains):
        return _judge(info, args)
    plan = _plan(args)
    try:
        job = Job(info.make(folder=args.data), plan)
    except InputError as error:
        raise unlabelled.instead(error, info.name, args.data) from None
    again = _again(args)
    return drive(job, again, judge=args.evaluate or info.quick_to_judge, as_json=args.json)


def _judge(info: RecipeInfo, args: argparse.Namespace) -> int:
    """Judge the model called as the recipe is, and hold its figures against its card's."""
    from diffview.models import catalog
    from diffview.models.sampling import choose_device
    from diffview.training.job import SAMPLES, Plan

    entry = catalog.find(info.name)
    recipe = info.make(folder=args.data)
    with _interrupts() as stop:
        teller = _Teller(info.name, Plan(entry.path, entry.path), as_json=args.json)
        evaluation = recipe.evaluate(entry.path, str(choose_device(args.device)), SAMPLES)
        figures = _judged(evaluation, teller, stop)
        if figures is None:
            return INTERRUPTED
        stated = entry.card.figures
        for name, value in figures.items():
            same = value == stated.get(name)
            teller.say(f"  {name}: {value}" + ("" if same else f"; its card: {stated.get(name)}"))
        teller.fact(event="judged", model=str(entry.path), figures=figures, stated=dict(stated))
    return 0


def _list(as_json: bool) -> int:
    from diffview.training import recipes

    for info in recipes.every().values():
        print(json.dumps(_facts(info)) if as_json else _described(info))
    return 0


def _facts(info: RecipeInfo) -> dict[str, str]:
    return {"name": info.name, "title": info.title, "needs": info.needs, "takes": info.takes}


def _described(info: RecipeInfo) -> str:
    return f"{info.name}\n    {info.title}\n    needs {info.needs}; takes {info.takes}"


def _plan(args: argparse.Namespace) -> Plan:
    from diffview.errors import InputError
    from diffview.training.job import Plan

    if args.out is None:
        raise InputError("where shall the model go? Give --out FILE, such as fashion.safetensors")
    return Plan(
        out=args.out,
        checkpoint=args.checkpoint or args.out.with_suffix(".ckpt"),
        minutes=args.minutes,
        samples=args.samples,
        resume=args.resume,
        overwrite=args.overwrite,
        device=args.device,
    )


def _again(args: argparse.Namespace) -> str:
    """The command that goes on where this one stopped."""
    words = ["diffview", "train", args.recipe, "--out", str(args.out), "--resume"]
    for name in ("checkpoint", "samples", "data", "threads"):
        if getattr(args, name) is not None:
            words += [f"--{name}", str(getattr(args, name))]
    if args.device != "auto":
        words += ["--device", args.device]
    words += [f"--{name}" for name in ("overwrite", "evaluate", "json") if getattr(args, name)]
    return shlex.join(words)


def drive(job: Job, again: str, *, judge: bool, as_json: bool = False) -> int:
    """Train, publish and judge, telling stderr how it goes; returns the exit code.

    An interrupt ends the step in hand, saves and says how to go on.
    """
    with _interrupts() as stop:
        teller = _Teller(job.trainer.task.name, job.plan, as_json=as_json)
        if not _train(job, teller, stop):
            teller.say(f"stopped after step {job.trainer.step}; go on with:\n  {again}")
            return INTERRUPTED
        trained = job.publish()
        teller.say(f"wrote {job.plan.out} after {trained.samples:,} samples")
        figures = _judged(job.evaluate(), teller, stop) if judge else {}
        if figures is None:
            teller.say(f"stopped judging; {job.plan.out} is whole, its card has no figures")
            return INTERRUPTED
        for name, value in figures.items():
            teller.say(f"  {name}: {value}")
        teller.fact(
            event="published",
            out=str(job.plan.out),
            samples=trained.samples,
            held_out_loss=trained.loss,
            figures=figures,
        )
    return 0


def _train(job: Job, teller: _Teller, stop: threading.Event) -> bool:
    """Whether the training came to its end (or to the end of its minutes)."""
    from diffview.training.job import Saved

    for event in job.run():
        if isinstance(event, Saved):
            teller.saved(event)
        else:
            teller.progress(event)
        if stop.is_set():
            teller.saved(job.keep())
            return False
    return True


def _judged(
    evaluation: Generator[Evaluating, None, dict[str, Any]], teller: _Teller, stop: threading.Event
) -> dict[str, Any] | None:
    """The figures; None when interrupted."""
    while not stop.is_set():
        try:
            teller.evaluating(next(evaluation))
        except StopIteration as end:
            figures: dict[str, Any] = end.value
            return figures
    evaluation.close()
    return None


@contextmanager
def _interrupts() -> Iterator[threading.Event]:
    """An event that SIGINT sets; the second SIGINT ends the process as usual."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def on_interrupt(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)
        # Not by print(): the step that is interrupted may be in the middle of one.
        with suppress(OSError):
            os.write(2, b"\nstopping after this step; a second interrupt ends it at once\n")

    signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


class _Teller:
    """Says on stderr how it goes: on a terminal in one line, else in a line now and then."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        *,
        as_json: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._json, self._clock = name, as_json, clock
        self._live = sys.stderr.isatty()
        self._every = 0.2 if self._live else 30.0
        self._last, self._width = -1e9, 0
        self._loss: float | None = None
        self._ends = None if plan.minutes is None else clock() + 60 * plan.minutes

    def progress(self, now: Progress) -> None:
        """One step is done."""
        self._loss = smoothed(self._loss, now.loss, now.step)
        if not self._due() and now.step < now.steps:
            return
        left = now.seconds_left
        if self._ends is not None:
            left = min(left, max(0.0, self._ends - self._clock()))
        self._line(
            f"{self._name}  step {now.step}/{now.steps}  loss {self._loss:.4f}  "
            f"{now.samples_per_second:.0f} samples/s  {remaining(left)}"
        )

    def evaluating(self, now: Evaluating) -> None:
        """Some more pictures are judged."""
        if self._due() or now.done == now.total:
            self._line(f"{self._name}  judging {now.what}  {now.done}/{now.total}")

    def saved(self, event: Saved) -> None:
        """A checkpoint is written."""
        shown = f" and {event.sheet}" if event.sheet else ""
        self.say(f"step {event.step}: saved {event.checkpoint}{shown}")
        self.fact(
            event="checkpoint",
            step=event.step,
            loss=self._loss,
            checkpoint=str(event.checkpoint),
            sheet=str(event.sheet) if event.sheet else None,
        )

    def fact(self, **facts: object) -> None:
        """One object for machines, if they asked."""
        if self._json:
            print(json.dumps(facts), flush=True)

    def say(self, text: str) -> None:
        """A line that stays."""
        if self._width:
            self._line("")
            print("\r" if self._live else "", end="", file=sys.stderr)
            self._width = 0
        print(text, file=sys.stderr, flush=True)

    def _due(self) -> bool:
        if self._clock() - self._last < self._every:
            return False
        self._last = self._clock()
        return True

    def _line(self, text: str) -> None:
        if not self._live:
            if text:
                print(text, file=sys.stderr, flush=True)
            return
        # Spaces wipe what a longer line left behind: no terminal codes are needed.
        print("\r" + text.ljust(self._width), end="", file=sys.stderr, flush=True)
        self._width = len(text)


def smoothed(before: float | None, loss: float, step: int) -> float:
    """An exponential mean over about the last 100 losses; a plain one at first."""
    if before is None:
        return loss
    keep = min(0.99, step / (step + 1))
    return keep * before + (1 - keep) * loss


def remaining(seconds: float) -> str:
    """A remaining time as people say it."""
    if seconds < 90:
        return f"{seconds:.0f} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min left"
