"""The course that the racers of `engine` and `samplers` run: one model, one recipe, three roads.

Ours records everything; the bare network is called as often on inputs that are there already; a
diffusers scheduler samples the same and keeps nothing. Both branches of guidance are one batch.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from diffview.bench.measures import Plan
from diffview.bench.race import Racer
from diffview.engine import noise, samplers
from diffview.engine.schedules import Discrete
from diffview.engine.spec import RunSpec
from diffview.errors import InputError
from diffview.models import catalog, sampling
from diffview.models.conditions import condition_tensor
from diffview.models.network import NetworkDenoiser

SAMPLES, GAMMA = 16, 3.0
PREDICTION = {"v": "v_prediction", "eps": "epsilon", "x0": "sample"}


@dataclass(frozen=True, slots=True)
class Course:
    """`labels` (2B,) are "none" and then the condition."""

    model: NetworkDenoiser
    spec: RunSpec
    labels: Tensor


def laid_out(plan: Plan, *, n_steps: int, spacing: str) -> Course:
    """The course of `plan`, for DDIM. Torch gets the cores that it gets in the window: all but
    one. Raises InputError for a model that cannot be guided."""
    torch.set_num_threads(max(1, (os.cpu_count() or 2) - 1))
    entry = catalog.find(plan.model)
    spec = sampling.spec_for(
        entry.card,
        sampler="ddim",
        steps=n_steps,
        spacing=spacing,
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


def recorded(course: Course) -> Racer:
    """Our own road, everything kept."""
    trajectory = sampling.trajectory_for(course.model.card, course.spec)
    with closing(sampling.sample_into(trajectory, course.model)) as records:
        for record in records:
            if record.i < course.spec.n_steps:  # the clean end belongs to the last step
                yield


def bare(course: Course) -> Racer:
    """The network alone, as often in every step as the sampler asks it."""
    x = initial(course)
    x, t = torch.cat([x, x]), torch.full((2 * len(x),), 500, device=x.device)
    for calls in _calls(course):
        for _ in range(calls):
            _asked(course, x, t)
        _wait(course)
        yield


def by_diffusers(course: Course, name: str, **config: Any) -> Racer:
    """The loop of a diffusers pipeline with its scheduler `name`."""
    theirs = scheduler(course, name, **config)
    x = initial(course) * theirs.init_noise_sigma
    times = iter(theirs.timesteps)
    for calls in _calls(course):
        for _ in range(calls):
            x = step_of_diffusers(course, theirs, x, next(times))
        _wait(course)
        yield


def scheduler(course: Course, name: str, **config: Any) -> Any:
    """A diffusers scheduler with the model's own schedule, and the run's number of steps."""
    import diffusers

    schedule = cast(Discrete, course.model.schedule)
    kept = np.array([1.0, *schedule.alphas_cumprod])
    made: Any = getattr(diffusers, name)(
        num_train_timesteps=schedule.T,
        trained_betas=1 - kept[1:] / kept[:-1],
        prediction_type=PREDICTION[course.model.card.prediction],
        timestep_spacing=course.spec.spacing,
        **config,
    )
    made.set_timesteps(course.spec.n_steps, device=course.model.device)
    return made


def step_of_diffusers(course: Course, scheduler: Any, x: Tensor, t: Tensor) -> Tensor:
    """x after one evaluation and the scheduler's step."""
    inner = scheduler.scale_model_input(x, t)
    out = _asked(course, torch.cat([inner, inner]), t.expand(2 * len(x)))
    base, conditional = out.chunk(2)
    stepped: Tensor = scheduler.step(base + GAMMA * (conditional - base), t, x).prev_sample
    return stepped


def initial(course: Course) -> Tensor:
    """x_T (B, *D) of the run's seeds."""
    drawn = noise.initial_noise(course.spec.seeds, course.model.data_shape)
    return drawn.to(course.model.device)


def _calls(course: Course) -> list[int]:
    info, n_steps = samplers.find(course.spec.sampler), course.spec.n_steps
    return [info.nfe_per_step] * (n_steps - 1) + [1]


@torch.no_grad()
def _asked(course: Course, x: Tensor, t: Tensor) -> Tensor:
    return course.model.network(x, t, course.labels)


def _wait(course: Course) -> None:
    """For the device: a GPU answers before it has computed, a record does not."""
    if course.model.device.type == "cuda":
        torch.cuda.synchronize(course.model.device)
