"""A recorded run beside bare network calls, and beside diffusers' DDIM that keeps nothing.

All three do the same work, 50 steps of 16 samples, gamma = 3, both branches in one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import numpy as np
import torch

from diffview.bench import course as courses
from diffview.bench.course import SAMPLES, Course
from diffview.bench.measures import Plan, Reading, skipped
from diffview.bench.race import Racer, Times, of_medians, race
from diffview.models import sampling
from diffview.models.sampling import installed

STEPS, ROUNDS = 50, 3
QUICK_STEPS, QUICK_ROUNDS = 10, 1


def measure(plan: Plan) -> Iterator[Reading]:
    """The two ratios."""
    steps, rounds = (QUICK_STEPS, QUICK_ROUNDS) if plan.quick else (STEPS, ROUNDS)
    course = courses.laid_out(plan, n_steps=steps, spacing="trailing")
    racers: dict[str, Callable[[], Racer]] = {
        "run": partial(courses.recorded, course),
        "bare": partial(courses.bare, course),
    }
    if installed("diffusers"):
        racers["diffusers"] = partial(
            courses.by_diffusers, course, "DDIMScheduler", **_ddim(course)
        )
    times = race(racers, steps, rounds)
    facts = {"device": str(course.model.device), "threads": torch.get_num_threads()}
    yield _ratio("engine.overhead", times, "bare", **facts)
    if "diffusers" in times:
        yield _ratio("engine.diffusers", times, "diffusers", **facts, **_agreement(course))
    else:
        yield skipped("engine.diffusers", "diffusers is not installed (pip install diffusers)")


def _ddim(course: Course) -> dict[str, Any]:
    return {"clip_sample": course.spec.option("clip") == "clamp"}


def _ratio(name: str, times: Times, other: str, **facts: Any) -> Reading:
    """Seconds of a run / seconds of `other`; the same of processor time is told beside it."""
    (run, used_by_run), (beside, used_beside) = times["run"], times[other]
    whole = run.sum(axis=1) / beside.sum(axis=1)
    facts |= {
        "rounds": len(run),
        "steps": run.shape[1],
        "batch": 2 * SAMPLES,
        "processor_time_ratio": round(of_medians(used_by_run, used_beside), 4),
        "ms_per_step": round(1e3 * float(np.median(run)), 2),
        f"ms_per_step_{other}": round(1e3 * float(np.median(beside)), 2),
    }
    return Reading(name, of_medians(run, beside), float(whole.min()), float(whole.max()), facts)


def _agreement(course: Course) -> dict[str, Any]:
    """That both made the same pictures: by how much they differ at most, over a few steps."""
    theirs = courses.scheduler(course, "DDIMScheduler", **_ddim(course))
    x = courses.initial(course)
    trajectory = sampling.trajectory_for(course.model.card, course.spec)
    largest = 0.0
    with closing(sampling.sample_into(trajectory, course.model)) as records:
        for record, t in zip(records, theirs.timesteps[:4], strict=False):
            largest = max(largest, float(np.abs(x.cpu().numpy() - record.x_t).max()))
            x = courses.step_of_diffusers(course, theirs, x, t)
    return {"largest_difference": float(f"{largest:.2g}")}
