"""What holds of every run, whatever it is made of: schedule, spacing, sampler, N and guidance."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from diffview.engine import samplers, schedules, spacings
from diffview.engine.conflicts import Facts, conflicts
from diffview.engine.levels import CLEAN
from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec

SCHEDULES = {
    **{name: schedules.named(name) for name in schedules.SCHEDULES},
    "short": schedules.named("cosine", 20),
    "zero_snr": schedules.named("linear", zero_snr=True),
    "sigmas": schedules.given(sigmas=np.geomspace(0.01, 50, 100)),
    "shifted": schedules.flow(3.0),
}
COUNTS = (1, 2, 3, 5, 7, 10, 13, 20)
AMOUNTS = {"eta": (0.0, 0.5, 1.0), "churn": (0.0, 2.0), "order": (1, 2, 3)}
GUIDANCES = [Guidance(), Guidance("cfg", 0.0), Guidance("cfg", 1.0), Guidance("cfg", 4.0)]


@st.composite
def cases(draw, guidances=GUIDANCES):
    """A schedule and a recipe that makes sense on it."""
    schedule = SCHEDULES[draw(st.sampled_from(sorted(SCHEDULES)))]
    sampler = draw(st.sampled_from(sorted(samplers.every())))
    options = {
        option.name: draw(st.sampled_from(AMOUNTS[option.name]))
        for option in samplers.find(sampler).options
        if option.name in AMOUNTS
    }
    recipe = RunSpec(
        "plain",
        sampler,
        draw(st.sampled_from(COUNTS)),
        spacing=draw(st.sampled_from((*spacings.BY_TIME, *spacings.BY_RATIO))),
        guidance=draw(st.sampled_from(guidances)),
        condition=1,
        seeds=(3, 1),
        options=tuple(sorted(options.items())),
    )
    facts = Facts(schedule, prediction="v", conditional=True, null=True)
    assume(not conflicts(recipe, facts))
    return schedule, recipe


def records(plain_denoiser, schedule, recipe, labels=(1, 1)):
    class Tame(plain_denoiser):
        """Asked about x_t as large as data are: no run of it grows without end."""

        def __call__(self, x_t, level, condition):
            shrink = level.alpha / (level.alpha**2 + level.sigma**2)
            return super().__call__(shrink * x_t, level, condition)

    denoiser = Tame(schedule=schedule)
    return denoiser, list(run(denoiser, recipe, torch.tensor(labels)))


@settings(max_examples=300)
@given(case=cases())
def test_a_run_has_n_steps_and_an_end_no_time_below_zero_and_no_frame_twice(plain_denoiser, case):
    schedule, recipe = case
    denoiser, kept = records(plain_denoiser, schedule, recipe)
    assert [record.i for record in kept] == list(range(recipe.n_steps + 1))
    assert kept[-1].level == CLEAN
    assert all(before.level.ratio > after.level.ratio for before, after in pairwise(kept))
    assert all(before.level.t > after.level.t for before, after in pairwise(kept[:-1]))
    low = 0 if recipe.spacing == "trailing" else schedule.span[0]
    assert all(low * (1 - 1e-12) <= t for t in denoiser.times)
    assert len({record.x_t.tobytes() for record in kept}) == recipe.n_steps + 1


@settings(max_examples=200)
@given(case=cases())
def test_a_run_takes_the_evaluations_that_its_sampler_declares_twice_if_guided(
    plain_denoiser, case
):
    schedule, recipe = case
    denoiser, kept = records(plain_denoiser, schedule, recipe)
    branches = 1 if recipe.guidance.kind == "none" else 2
    declared = samplers.find(recipe.sampler).nfe(recipe.n_steps)
    assert kept[-1].nfe == branches * declared
    assert sum(denoiser.batches) == 2 * branches * declared


@settings(max_examples=150)
@given(case=cases())
def test_a_row_of_any_run_is_its_own_run_bit_for_bit(plain_denoiser, case):
    schedule, recipe = case
    _, together = records(plain_denoiser, schedule, recipe, (1, 4))
    for row, (seed, label) in enumerate(zip(recipe.seeds, (1, 4), strict=True)):
        own = RunSpec(**{**fields(recipe), "seeds": (seed,)})
        _, alone = records(plain_denoiser, schedule, own, (label,))
        for many, one in zip(together, alone, strict=True):
            for name, array in many.arrays().items():
                np.testing.assert_array_equal(array[row], one.arrays()[name][0])


def fields(recipe):
    return {name: getattr(recipe, name) for name in recipe.__dataclass_fields__}


@settings(max_examples=100)
@given(case=cases([Guidance("cfg", 1.0)]))
@pytest.mark.parametrize(("gamma", "alone_under"), [(0.0, (-1, -1)), (1.0, (1, 1))])
def test_guided_by_none_a_run_is_the_unconditional_and_by_one_the_conditional_run(
    plain_denoiser, gamma, alone_under, case
):
    schedule, recipe = case
    guided = RunSpec(**{**fields(recipe), "guidance": Guidance("cfg", gamma)})
    alone = RunSpec(**{**fields(recipe), "guidance": Guidance()})
    _, one = records(plain_denoiser, schedule, guided)
    _, other = records(plain_denoiser, schedule, alone, alone_under)
    for a, b in zip(one, other, strict=True):
        scale = max(1.0, float(np.abs(b.x_t).max()))
        np.testing.assert_allclose(a.x_t, b.x_t, rtol=0, atol=1e-4 * scale)
        np.testing.assert_allclose(a.x0_hat, b.x0_hat, rtol=0, atol=1e-4 * scale)
