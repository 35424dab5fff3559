"""Every sampler as the engine's own: a recorded run beside the bare network calls that it needs,
and beside diffusers' scheduler of the same name, which keeps nothing.

Told is the worst of them; the figures of each are beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from diffview.bench import course as courses
from diffview.bench.measures import Plan, Reading, skipped
from diffview.bench.race import Racer, of_medians, race
from diffview.engine import samplers
from diffview.models.sampling import installed

STEPS, ROUNDS = 10, 3
QUICK_STEPS, QUICK_ROUNDS = 3, 1
SPACING = "leading"  # the only one that every sampler can begin with

SDE = {"algorithm_type": "sde-dpmsolver++"}
SCHEDULERS: dict[str, tuple[str, dict[str, Any]]] = {
    "ddim": ("DDIMScheduler", {"clip_sample": False}),
    "ddpm": ("DDPMScheduler", {"clip_sample": False}),
    "euler": ("EulerDiscreteScheduler", {}),
    "euler_ancestral": ("EulerAncestralDiscreteScheduler", {}),
    "heun": ("HeunDiscreteScheduler", {}),
    "lms": ("LMSDiscreteScheduler", {}),
    "dpmpp_2m": ("DPMSolverMultistepScheduler", {}),
    "dpmpp_2m_sde": ("DPMSolverMultistepScheduler", SDE),
    "unipc": ("UniPCMultistepScheduler", {}),
}
"""Those that sample from such a model; diffusers' flow schedulers want a flow."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came out for one sampler: ratios of seconds, and of processor time."""

    seconds: float
    processor: float


def measure(plan: Plan) -> Iterator[Reading]:
    """The two ratios of the worst sampler."""
    steps, rounds = (QUICK_STEPS, QUICK_ROUNDS) if plan.quick else (STEPS, ROUNDS)
    course = courses.laid_out(plan, n_steps=steps, spacing=SPACING)
    bare, beside = {}, {}
    for name in samplers.every():
        own = replace(course, spec=replace(course.spec, sampler=name))
        racers: dict[str, Callable[[], Racer]] = {
            "run": partial(courses.recorded, own),
            "bare": partial(courses.bare, own),
        }
        if name in SCHEDULERS and _can_run(name):
            scheduler, config = SCHEDULERS[name]
            racers["diffusers"] = partial(courses.by_diffusers, own, scheduler, **config)
        times = race(racers, steps, rounds)
        results = {other: _result(times["run"], times[other]) for other in racers}
        bare[name] = results["bare"]
        if "diffusers" in results:
            beside[name] = results["diffusers"]
    facts = {"device": str(course.model.device), "steps": steps, "rounds": rounds}
    yield _worst("samplers.overhead", bare, facts)
    if beside:
        yield _worst("samplers.diffusers", beside, facts)
    else:
        yield skipped("samplers.diffusers", "diffusers is not installed (pip install diffusers)")


def _can_run(name: str) -> bool:
    return bool(installed("diffusers")) and (name != "lms" or bool(installed("scipy")))


def _result(run: Any, other: Any) -> Result:
    return Result(of_medians(run[0], other[0]), of_medians(run[1], other[1]))


def _worst(name: str, results: dict[str, Result], facts: dict[str, Any]) -> Reading:
    ratios = {sampler: round(one.seconds, 4) for sampler, one in results.items()}
    processor = {sampler: round(one.processor, 4) for sampler, one in results.items()}
    worst = max(ratios, key=lambda sampler: ratios[sampler])
    detail = {
        "note": f"the worst, {worst}; of processor time {processor[worst]:.3g} ×",
        "ratios": ratios,
        "processor_time_ratios": processor,
        **facts,
    }
    return Reading(name, max(ratios.values()), min(ratios.values()), max(ratios.values()), detail)
