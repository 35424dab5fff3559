"""A recorded run beside bare network calls, and beside diffusers' DDIM that keeps nothing.

All three do the same work, 50 steps of 16 samples, gamma = 3, both branches in one batch, and
take their steps in turn, so that whatever else the machine does slows all of them alike. Torch
gets the cores it gets in the window: all but one.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffview.bench.measures import Plan, Reading, skipped
from diffview.engine import noise
from diffview.engine.schedules import Discrete
from diffview.engine.spec import RunSpec
from diffview.errors import InputError
from diffview.models import catalog, sampling
from diffview.models.conditions import condition_tensor
from diffview.models.network import NetworkDenoiser
from diffview.models.sampling import installed

SAMPLES, STEPS, GAMMA, ROUNDS = 16, 50, 3.0, 3
QUICK_STEPS, QUICK_ROUNDS = 10, 1

Racer = Iterator[None]
"""Takes one step of a run at each next(); the first sets it up, the one after the last ends it."""


@dataclass(frozen=True, slots=True)
class Course:
    """The run that all racers do: `labels` (2B,) are "none" and then the condition."""

    model: NetworkDenoiser
    spec: RunSpec
    labels: Tensor


def measure(plan: Plan) -> Iterator[Reading]:
    """The two ratios."""
    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
    course = _course(plan)
    racers: dict[str, Callable[[Course], Racer]] = {"run": _recorded, "bare": _bare}
    if installed("diffusers"):
        racers["diffusers"] = _diffusers
    times = _race(course, racers, QUICK_ROUNDS if plan.quick else ROUNDS)
    facts = {"device": str(course.model.device), "threads": torch.get_num_threads()}
    yield _ratio("engine.overhead", times, "bare", **facts)
    if "diffusers" in times:
        yield _ratio("engine.diffusers", times, "diffusers", **facts, **_agreement(course))
    else:
        yield skipped("engine.diffusers", "diffusers is not installed (pip install diffusers)")


def _course(plan: Plan) -> Course:
    entry = catalog.find(plan.model)
    spec = sampling.spec_for(
        entry.card,
        sampler="ddim",
        steps=QUICK_STEPS if plan.quick else STEPS,
        spacing="trailing",
        guidance=GAMMA,
        label=7 % len(entry.card.classes),
        seeds=range(SAMPLES),
    )
    model = sampling.open_model(entry, plan.device)
    null = model.null_condition(SAMPLES)
    labels = condition_tensor(model.card, spec.condition, SAMPLES, model.device)
    if null is None or labels is None:
        raise InputError(f"model '{plan.model}' has no label that means none: choose another")
    return Course(model, spec, torch.cat([null, labels]))


# ---- the racers ---------------------------------------------------------------------------------


def _recorded(course: Course) -> Racer:
    """Our own road, everything kept."""
    trajectory = sampling.trajectory_for(course.model.card, course.spec)
    with closing(sampling.sample_into(trajectory, course.model)) as records:
        for record in records:
            if record.i < course.spec.n_steps:  # the clean end belongs to the last step
                yield


def _bare(course: Course) -> Racer:
    """The network alone, on inputs that are there already."""
    x = _start(course)
    x, t = torch.cat([x, x]), torch.full((2 * SAMPLES,), 500, device=x.device)
    for _ in range(course.spec.n_steps):
        _call(course, x, t)
        _finish(course)
        yield


def _diffusers(course: Course) -> Racer:
    """The loop of a diffusers pipeline with the same noise, times and guidance."""
    scheduler, x = _scheduler(course), _start(course)
    for t in scheduler.timesteps:
        x = _diffusers_step(course, scheduler, x, t)
        _finish(course)
        yield


def _scheduler(course: Course) -> Any:
    import diffusers

    schedule = cast(Discrete, course.model.schedule)
    kept = np.array([1.0, *schedule.alphas_cumprod])
    make: Any = diffusers.DDIMScheduler  # its own annotations are incomplete
    scheduler = make(
        num_train_timesteps=schedule.T,
        trained_betas=1 - kept[1:] / kept[:-1],
        prediction_type={"v": "v_prediction", "eps": "epsilon", "x0": "sample"}[
            course.model.card.prediction
        ],
        timestep_spacing="trailing",
        clip_sample=course.spec.option("clip") == "clamp",
    )
    scheduler.set_timesteps(course.spec.n_steps, device=course.model.device)
    return scheduler


def _diffusers_step(course: Course, scheduler: Any, x: Tensor, t: Tensor) -> Tensor:
    out = _call(course, torch.cat([x, x]), t.expand(2 * len(x)))
    base, conditional = out.chunk(2)
    guided = base + GAMMA * (conditional - base)
    stepped: Tensor = scheduler.step(guided, t, x).prev_sample
    return stepped


@torch.no_grad()
def _call(course: Course, x: Tensor, t: Tensor) -> Tensor:
    return course.model.network(x, t, course.labels)


def _start(course: Course) -> Tensor:
    drawn = noise.initial_noise(course.spec.seeds, course.model.data_shape)
    return drawn.to(course.model.device)


def _finish(course: Course) -> None:
    """Wait for the device: a GPU answers before it has computed, a record does not."""
    if course.model.device.type == "cuda":
        torch.cuda.synchronize(course.model.device)


# ---- the race -----------------------------------------------------------------------------------


def _race(
    course: Course, racers: Mapping[str, Callable[[Course], Racer]], rounds: int
) -> dict[str, NDArray[np.float64]]:
    """Seconds of every step, (2, rounds, N) for each racer: on the wall, and of processors.

    Who begins changes from step to step.
    """
    _warm_up(course, racers)
    times = {name: np.zeros((2, rounds, course.spec.n_steps)) for name in racers}
    for r in range(rounds):
        gc.collect()
        running = {name: make(course) for name, make in racers.items()}
        for i in range(course.spec.n_steps):
            for name in _rotated(list(racers), i):
                times[name][:, r, i] = _timed(running[name])
        for name, racer in running.items():
            times[name][:, r, -1] += _timed(racer)  # what comes after the last step
    return times


def _warm_up(course: Course, racers: Mapping[str, Callable[[Course], Racer]]) -> None:
    for make in racers.values():
        racer = make(course)
        next(racer)
        next(racer)


def _rotated(names: list[str], by: int) -> list[str]:
    by %= len(names)
    return names[by:] + names[:by]


def _timed(racer: Racer) -> tuple[float, float]:
    start, used = perf_counter(), process_time()
    next(racer, None)
    return perf_counter() - start, process_time() - used


def _ratio(
    name: str, times: Mapping[str, NDArray[np.float64]], other: str, **facts: Any
) -> Reading:
    """Seconds of a run / seconds of `other`, each the sum of its steps' medians over the rounds.

    A median drops the rounds in which something else had the processor. The same ratio of
    processor time is told beside it: on a busy machine it is the steadier one.
    """
    (run, used_by_run), (beside, used_beside) = times["run"], times[other]
    whole = run.sum(axis=1) / beside.sum(axis=1)
    facts |= {
        "rounds": len(run),
        "steps": run.shape[1],
        "batch": 2 * SAMPLES,
        "processor_time_ratio": round(_of_medians(used_by_run, used_beside), 4),
        "ms_per_step": round(1e3 * float(np.median(run)), 2),
        f"ms_per_step_{other}": round(1e3 * float(np.median(beside)), 2),
    }
    return Reading(name, _of_medians(run, beside), float(whole.min()), float(whole.max()), facts)


def _of_medians(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.median(one, axis=0).sum() / np.median(other, axis=0).sum())


def _agreement(course: Course) -> dict[str, Any]:
    """That both made the same pictures: by how much they differ at most, over a few steps."""
    scheduler, x = _scheduler(course), _start(course)
    trajectory = sampling.trajectory_for(course.model.card, course.spec)
    largest = 0.0
    with closing(sampling.sample_into(trajectory, course.model)) as records:
        for record, t in zip(records, scheduler.timesteps[:4], strict=False):
            largest = max(largest, float(np.abs(x.cpu().numpy() - record.x_t).max()))
            x = _diffusers_step(course, scheduler, x, t)
    return {"largest_difference": float(f"{largest:.2g}")}
