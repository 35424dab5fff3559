"""Run a model and write what happened: pictures, animations, the raw trajectory, a session.

Everything is checked before the model is loaded: a run that cannot be written is not started.
"""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from diffview.cli import branching, exporting, guiding
from diffview.cli.report import Report
from diffview.cli.sample_flags import add_arguments as add_arguments
from diffview.engine import beginning, divergence, session, twins
from diffview.engine.spec import Guidance, RunSpec, parse_seeds
from diffview.engine.trajectory import Float32, StepRecord, Trajectory
from diffview.errors import DiffviewError, InputError
from diffview.models import catalog, conditions, guides, memory, sampling, words
from diffview.models.card import ModelCard
from diffview.models.catalog import Entry

DEFAULT_MODEL = "fashion"


@dataclass(frozen=True)
class Plan:
    """A run that was found possible."""

    entry: Entry
    spec: RunSpec
    trajectory: Trajectory
    init_noise: Float32 | None
    guide: Entry | None = None
    begun: branching.Begun | None = None

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self.entry.card


def run(args: argparse.Namespace) -> int:
    """Check, sample, write."""
    with Report(as_json=args.json) as report:
        plan = _plan(args)
        _tell(plan, args, report)
        device = sampling.choose_device(args.device)
        if plan.card.parameters >= memory.LARGE:
            report.note(memory.foreseen(plan.card.parameters, args.dtype, device))
        model = sampling.open_model(plan.entry, device, args.dtype)
        if getattr(model, "rows_at_once", None):
            report.note(f"memory: {model.rows_at_once} samples at a time fit beside the weights")
        about = _about(plan, str(device))
        try:
            seconds = _sample(plan, model, report)
        except DiffviewError as error:
            raise _with_what_was_kept(error, args, plan, about, report, model) from error
        except KeyboardInterrupt:
            report.note(_kept_at_interrupt(args, plan, about))
            raise
        files = _write(args, plan, about, report, model)
        _tell_end(plan, str(device), seconds, files, report)
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    """Everything that can be refused is refused here. Raises InputError."""
    if args.out is None and args.session is None:
        raise InputError("nothing would be written: give --out DIR, or --session FILE, or both")
    if args.run_from is not None:
        return _gone_on_with(args)
    branching.refuse_without_a_run(args)
    entry = catalog.find(DEFAULT_MODEL if args.model is None else args.model)
    _refuse_prompts(args, entry.card)
    if args.guidance is not None and args.prompt is None and entry.card.takes_text:
        raise InputError(f"--guidance {args.guidance:g} has nothing to steer to: give --prompt")
    asked = guiding.chosen(args, entry.card)
    steered = isinstance(asked.guidance, Guidance) and asked.guidance.kind == "autoguidance"
    unlabelled = args.guidance is not None and args.label is None and not steered
    if unlabelled and entry.card.classes:
        raise InputError(
            f"--guidance {args.guidance:g} has nothing to steer to: choose --label, one of "
            f"{_listed(entry.card.classes)}"
        )
    spec = sampling.spec_for(
        entry.card,
        sampler=args.sampler,
        steps=args.steps,
        spacing=args.spacing,
        guidance=asked.guidance,
        label=args.label,
        prompt=args.prompt,
        negative_prompt=args.negative_prompt,
        seeds=parse_seeds("0" if args.seeds is None else args.seeds),
        options=asked.options,
        judge=asked.card,
    )
    _check_files(args, spec, entry.card)
    noise = args.init_noise and sampling.read_init_noise(args.init_noise, spec, entry.card)
    trajectory = sampling.trajectory_for(entry.card, spec, args.budget)
    return Plan(entry, spec, trajectory, noise, asked.entry)


def _gone_on_with(args: argparse.Namespace) -> Plan:
    begun = branching.begin(args)
    trajectory = begun.trajectory
    _check_files(args, trajectory.spec, begun.entry.card)
    return Plan(begun.entry, trajectory.spec, trajectory, None, begun.guide, begun)


def _check_files(args: argparse.Namespace, spec: RunSpec, card: ModelCard) -> None:
    if args.out is not None:
        exporting.check(args, spec, card.data_shape, card)
    if args.session is not None:
        exporting.check_file(args.session, overwrite=args.overwrite)


def _about(plan: Plan, device: str) -> dict[str, Any]:
    if plan.begun is not None:
        return plan.begun.about(device)
    given = plan.init_noise is not None
    about = sampling.about(plan.card, device=device, given_noise=given)
    return about | guides.about(None if plan.guide is None else plan.guide.card)


def _refuse_prompts(args: argparse.Namespace, card: ModelCard) -> None:
    if card.takes_text or (args.prompt is None and args.negative_prompt is None):
        return
    instead = f"choose --label, one of {_listed(card.classes)}" if card.classes else "leave it out"
    raise InputError(f"model '{card.id}' takes no prompt: {instead}")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")


def _tell(plan: Plan, args: argparse.Namespace, report: Report) -> None:
    spec = plan.spec
    if plan.card.classes and spec.condition is None:
        unguided = ", unguided" if spec.guidance.kind == "none" else ""
        report.note(f"no --label was given: sampling without a condition{unguided}")
    if plan.card.takes_text and spec.condition is None:
        report.note("no --prompt was given: sampling without a condition, unguided")
    for prompt in (args.prompt, args.negative_prompt):
        unread = conditions.reading(plan.card, prompt or "").warning
        if unread:
            report.note(f"warning: the prompt has words that are not read: {unread}")
    for warning in _warnings(plan):
        report.note(f"warning: {warning}")
    if plan.trajectory.stride > 1:
        report.note(
            f"the memory budget keeps one step in {plan.trajectory.stride} of {spec.n_steps}: "
            "more with --budget"
        )
    report.event("start", spec=spec.to_json(), stride=plan.trajectory.stride)


def _warnings(plan: Plan) -> Iterator[str]:
    """What will disappoint, though it can be run."""
    spec, schedule = plan.spec, plan.card.schedule
    before = {} if plan.begun is None else plan.begun.known
    seeded = plan.init_noise is None and before.get("init_noise") != "given"
    told = (
        beginning.warning(spec, schedule) if seeded else "",
        divergence.warning(spec, schedule),
        twins.warning(spec) if seeded else "",
    )
    yield from filter(None, told)


def _sample(plan: Plan, model: sampling.Model, report: Report) -> list[float]:
    """Run the plan; returns the seconds of each step that called the network."""
    n_steps = plan.spec.n_steps
    seconds: list[float] = []
    report.progress("sampling", 0, n_steps)
    for record in _records(plan, model):
        done = min(record.i + 1, n_steps)
        report.progress("sampling", done, n_steps, f"  {record.seconds * 1e3:.1f} ms/step")
        left = report.remaining("sampling", done, n_steps)
        report.event("step", **_facts(record, n_steps, left))
        if record.i < n_steps:
            seconds.append(record.seconds)
    return seconds


def _records(plan: Plan, model: sampling.Model) -> Generator[StepRecord, None, None]:
    if plan.begun is not None:
        return plan.begun.records(model)
    guide = None if plan.guide is None else guides.open_guide(plan.guide, plan.card, model.device)
    return sampling.sample_into(plan.trajectory, model, plan.init_noise, guide)


def _facts(record: StepRecord, n_steps: int, remaining: float) -> dict[str, Any]:
    return {
        "i": record.i,
        "n_steps": n_steps,
        "t": record.level.t,
        "alpha": record.level.alpha,
        "sigma": record.level.sigma,
        "nfe": record.nfe,
        "seconds": record.seconds,
        "remaining_s": remaining,
        **_token(record),
    }


def _token(record: StepRecord) -> dict[str, Any]:
    """What was drawn for the next token of each sample, where one was."""
    known = record.written
    if known is None or known.chosen.shape[1] <= record.i:
        return {}
    row, column = divmod(record.i, record.x_t.shape[-1])
    return {
        "row": row,
        "column": column,
        "token": known.chosen[:, -1].tolist(),
        "probability": known.probability[:, -1].tolist(),
        "entropy": known.entropy[:, -1].tolist(),
    }


def _with_what_was_kept(
    error: DiffviewError,
    args: argparse.Namespace,
    plan: Plan,
    about: dict[str, Any],
    report: Report,
    model: sampling.Model,
) -> DiffviewError:
    """The same error, after the frames before it were written and its message says where."""
    if not len(plan.trajectory):
        return error
    _write(args, plan, about, report, model)
    where = " and ".join(str(path) for path in (args.out, args.session) if path is not None)
    count = len(plan.trajectory)
    frames = "the frame before it is" if count == 1 else f"the {count} frames before it are"
    return type(error)(f"{error}; {frames} in {where}")


def _kept_at_interrupt(args: argparse.Namespace, plan: Plan, about: dict[str, Any]) -> str:
    """Save the session of the steps so far; returns where it is, and how to go on."""
    if not len(plan.trajectory):
        return "interrupted before the first step: nothing is kept"
    # Step N, the picture, calls no network.
    last = plan.trajectory[len(plan.trajectory) - 1].i
    where = f"interrupted at step {last} of {plan.spec.n_steps}"
    if args.session is None:
        return f"{where}: nothing is kept (--session FILE keeps the steps so far)"
    session.save(plan.trajectory, args.session, about)
    return (
        f"{where}: the steps so far are in {args.session}; go on with "
        f"--from {args.session} --step {last}"
    )


def _write(
    args: argparse.Namespace,
    plan: Plan,
    about: dict[str, Any],
    report: Report,
    model: sampling.Model,
) -> list[str]:
    files = []
    if args.session is not None:
        session.save(plan.trajectory, args.session, about)
        files.append(str(args.session))
    if args.out is not None:
        lens = exporting.lens_of(args, model)
        files += exporting.write(args, plan.trajectory, about, report, lens)
    return files


def _tell_end(
    plan: Plan, device: str, seconds: list[float], files: list[str], report: Report
) -> None:
    spec, trajectory = plan.spec, plan.trajectory
    # The first call warms caches up, so the mean would tell of that.
    ms_per_step = median(seconds) * 1e3
    report.event(
        "done",
        files=files,
        samples=spec.batch,
        nfe=trajectory.nfe,
        seconds=sum(seconds),
        ms_per_step=ms_per_step,
        device=device,
    )
    samples = "1 sample" if spec.batch == 1 else f"{spec.batch} samples"
    steps = "1 step" if spec.n_steps == 1 else f"{spec.n_steps} steps"
    report.result(
        f"{samples} of {_subject(plan)} by {spec.sampler} in {steps} on {device}: "
        f"NFE {trajectory.nfe}, {ms_per_step:.1f} ms/step, {sum(seconds):.1f} s"
    )
    report.result(f"wrote {exporting.listed(files)}")


def _subject(plan: Plan) -> str:
    spec, card = plan.spec, plan.card
    classes = card.classes or (() if plan.guide is None else plan.guide.card.classes)
    if isinstance(spec.condition, int):
        return f"{card.id} ({classes[spec.condition]}, {guiding.strength(spec)})"
    if isinstance(spec.condition, str):
        return f"{card.id} ('{words.quoted(spec.condition)}', {guiding.strength(spec)})"
    return card.id if spec.guidance.kind == "none" else f"{card.id} ({guiding.strength(spec)})"
