"""Every sampler against its authors' own loop, transcribed in y = x / alpha, state by state."""

import pytest
import torch

from diffview.engine import samplers
from diffview.errors import InputError

CASES = [
    ("euler", {}),
    ("euler_ancestral", {}),
    ("euler_ancestral", {"eta": 0.4}),
    ("heun", {}),
    *(("lms", {"order": order}) for order in (1, 2, 3, 4)),
    ("dpmpp_2m", {}),
    *(
        ("dpmpp_2m_sde", {"eta": eta, "solver": solver})
        for eta in (0.0, 0.4, 1.0)
        for solver in ("midpoint", "heun")
    ),
    *(("unipc", {"order": order}) for order in (1, 2, 3)),
    ("flow_euler", {}),
    ("flow_heun", {}),
]


@pytest.mark.parametrize("family", ["vp", "ve", "flow"])
@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_a_sampler_equals_its_authors_loop_at_every_state(
    measure, name, options, prediction, family
):
    _, denoise = measure.predicting(prediction)
    for n_steps in (1, 2, 3, 7, 20):
        levels = measure.grid(family, n_steps)
        steps = measure.ours(name, denoise, levels, **options)
        states = measure.textbook(name, denoise, family, levels, **options)
        for step, state in zip(steps, states, strict=True):
            torch.testing.assert_close(step.x_t, state, rtol=1e-11, atol=1e-11)


def from_the_last(n_steps, noise):
    """The same noise for a loop that draws it on the way in, where ours draws on the way out."""
    return lambda i: noise(i - 1 if i else n_steps - 1)


@pytest.mark.parametrize("family", ["vp", "ve", "flow"])
@pytest.mark.parametrize(
    ("churn", "bounds"),
    [
        (3.0, {}),
        (1000.0, {}),  # capped at sqrt(2) - 1 a step
        (40.0, {"s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.003}),
    ],
)
def test_churn_is_that_of_edms_algorithm_2(measure, family, churn, bounds):
    _, denoise = measure.predicting("x0")
    for n_steps in (1, 2, 7, 20):
        levels = measure.grid(family, n_steps)
        steps = measure.ours("euler", denoise, levels, family=family, churn=churn, **bounds)
        states = measure.textbook(
            "euler",
            denoise,
            family,
            levels,
            noise=from_the_last(n_steps, measure.noise),
            s_churn=churn,
            **bounds,
        )
        torch.testing.assert_close(steps[-1].x_t, states[-1], rtol=1e-11, atol=1e-11)


def test_with_churn_the_record_is_of_the_raised_level_at_which_the_network_was_asked(measure):
    asked = []
    _, inner = measure.predicting("x0")

    def denoise(x_t, level):
        asked.append(level)
        return inner(x_t, level)

    levels = measure.grid("vp", 6)
    steps = measure.ours("euler", denoise, levels, family="vp", churn=1.2, s_tmax=50.0)
    assert [step.level for step in steps[:-1]] == asked
    raised = [step.level.ratio / level.ratio for step, level in zip(steps, levels, strict=True)
              if level.sigma]  # fmt: skip
    assert raised == pytest.approx([1.0, 1.2, 1.2, 1.2, 1.2, 1.2])
    for step in steps[:-1]:
        assert step.level.alpha**2 + step.level.sigma**2 == pytest.approx(1)


def test_churn_without_a_schedule_to_ask_is_refused(measure):
    _, denoise = measure.predicting("x0")
    with pytest.raises(InputError, match="give at_ratio"):
        measure.ours("euler", denoise, measure.grid("vp", 6), churn=1.2)


def test_every_sampler_that_k_diffusion_or_a_paper_has_is_transcribed(measure):
    own_tests = {"ddim", "ddpm"}  # by diffusers and by Bayes' rule, beside this file
    assert set(measure.TEXTBOOK) == set(samplers.every()) - own_tests
    assert {name for name, _ in CASES} == set(measure.TEXTBOOK)
