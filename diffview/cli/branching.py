"""`diffview sample --from SESSION`: a saved run resumed, branched or completed several times."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from diffview.cli import arguments, guiding, recorded
from diffview.engine.spec import Guidance, parse_seeds
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.errors import InputError
from diffview.models import branching, guides, sampling
from diffview.models.branching import UNCHANGED, Branch
from diffview.models.card import ModelCard
from diffview.models.catalog import Entry

NOT_HERE = {
    "steps": "--steps",
    "spacing": "--spacing",
    "init_noise": "--init-noise",
    "budget": "--budget",
}
"""What a run that goes on from another has from it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --from and what goes with it."""
    group = parser.add_argument_group("going on from a saved run, with the flags above as changes")
    group.add_argument(
        "--from",
        dest="run_from",
        metavar="SESSION",
        type=arguments.path,
        help="a .dvsession or a trajectory.safetensors, whose settings hold where none are given",
    )
    group.add_argument(
        "--step",
        metavar="K",
        type=arguments.whole,
        help="the step to go on from, 0 to N - 1 (where the run broke off); without changes it is "
        "made again from there on",
    )
    group.add_argument(
        "--complete",
        metavar="M",
        type=arguments.whole,
        help="complete the state at step K M times, each with other noise",
    )
    group.add_argument(
        "--of-sample",
        metavar="B",
        type=arguments.whole,
        help="which sample to complete, from 0 (0)",
    )
    group.add_argument(
        "--x-t",
        metavar="FILE",
        type=arguments.path,
        help="a safetensors file whose tensor x (samples, *shape) replaces the state at step K",
    )


def refuse_without_a_run(args: argparse.Namespace) -> None:
    """Raise InputError for a flag that only goes with --from."""
    for flag in ("step", "complete", "of_sample", "x_t"):
        if getattr(args, flag) is not None:
            name = flag.replace("_", "-")
            raise InputError(f"--{name} goes on from a saved run: say which with --from SESSION")


@dataclass(frozen=True)
class Begun:
    """A run to go on with: its model, the models of its guidance by id, and what is known."""

    entry: Entry
    branch: Branch
    known: Mapping[str, Any]
    guides: Mapping[str, Entry]
    guide: Entry | None

    @property
    def trajectory(self) -> Trajectory:
        """The run as far as it is there."""
        return self.branch.trajectory

    def about(self, device: str) -> dict[str, Any]:
        """What is kept beside the recipe."""
        card = None if self.guide is None else self.guide.card
        return branching.about(self.known, self.entry.card, card, device=device)

    def records(self, model: sampling.Model) -> Generator[StepRecord, None, None]:
        """Sample to the end."""
        card, device = self.entry.card, model.device
        by = {name: guides.open_guide(e, card, device) for name, e in self.guides.items()}
        return branching.continue_into(self.branch, model, by)


def begin(args: argparse.Namespace) -> Begun:
    """Read the run and find what was asked possible. Raises InputError."""
    for name, flag in NOT_HERE.items():
        if getattr(args, name) is not None:
            raise InputError(f"{flag} is what the run of --from has: leave it out")
    run, known = recorded.load(args.run_from)
    entry = recorded.model_of(args.model, run.spec)
    _check_shape(run, entry.card)
    asked = guiding.chosen(args, entry.card)
    branch = _begun(args, run, entry.card, asked)
    spec = branch.trajectory.spec
    begun = Begun(entry, branch, known, recorded.guides_of(args.guide, spec), asked.entry)
    begun.about("")  # refused here if the weights are others
    return begun


def _check_shape(run: Trajectory, card: ModelCard) -> None:
    if run.data_shape != card.data_shape:
        raise InputError(
            f"the run has samples of shape {run.data_shape}, model '{card.id}' makes "
            f"{card.data_shape}: give the right one with --model"
        )


def _begun(
    args: argparse.Namespace, run: Trajectory, card: ModelCard, asked: guiding.Guiding
) -> Branch:
    sampled_by: dict[str, Any] = {"sampler": args.sampler, "options": asked.options}
    seeds = None if args.seeds is None else parse_seeds(args.seeds)
    if args.complete is not None:
        _refuse_beside_complete(args, asked)
        return branching.complete(
            run,
            card,
            _step(args),
            args.complete,
            sample=args.of_sample or 0,
            seeds=seeds,
            **sampled_by,
        )
    if args.of_sample is not None:
        raise InputError("--of-sample says what to complete: give --complete M too")
    steered: dict[str, Any] = {
        "guidance": _guidance(args, run, asked),
        "label": UNCHANGED if args.label is None else args.label,
        "prompt": UNCHANGED if args.prompt is None else args.prompt,
        "negative_prompt": UNCHANGED if args.negative_prompt is None else args.negative_prompt,
    }
    if args.x_t is None and seeds is None and not any(_asked({**sampled_by, **steered})):
        return branching.resume(run, card, args.step)
    edited = None
    if args.x_t is not None:
        edited = sampling.read_init_noise(args.x_t, run.spec, card)
    return branching.branch(
        run, card, _step(args), seeds=seeds, x_t=edited, judge=asked.card, **sampled_by, **steered
    )


def _guidance(
    args: argparse.Namespace, run: Trajectory, asked: guiding.Guiding
) -> float | Guidance | None:
    """What changes; a --guide that the run names already only says where that model lies."""
    named = run.spec.guidance.guide
    same = asked.card is not None and asked.card.id == named
    if same and args.guidance_kind is None and not args.curve:
        return None if args.guidance is None else float(args.guidance)
    return asked.guidance


def _asked(given: Mapping[str, Any]) -> list[bool]:
    return [value is not UNCHANGED and value not in (None, {}) for value in given.values()]


def _step(args: argparse.Namespace) -> int:
    if args.step is None:
        raise InputError("give --step K, the step from which on something changes")
    return int(args.step)


def _refuse_beside_complete(args: argparse.Namespace, asked: guiding.Guiding) -> None:
    beside = (args.label, args.prompt, args.negative_prompt, args.x_t, asked.guidance)
    if any(value is not None for value in beside):
        raise InputError(
            "--complete keeps condition, guidance and state: branch with them first, and complete "
            "the branch"
        )
