"""The whole loop on EDM's levels against diffusers' EDM schedulers, preconditioning and all.

The network is an F(c_in y, c_noise); both sides precondition it themselves. Their sigmas are
float32: once they are taken as they are (and the arithmetic in doubles), once ours are compared.
"""

import importlib

import pytest
import torch

from diffview.engine import conversions, schedules, spacings
from diffview.engine.estimate import Estimate
from diffview.engine.levels import CLEAN, NoiseLevel

DPM = ("scheduling_edm_dpmsolver_multistep", "EDMDPMSolverMultistepScheduler")
CASES = [
    ("euler", {}, ("scheduling_edm_euler", "EDMEulerScheduler"), {}),
    ("dpmpp_2m", {}, DPM, {}),
    ("dpmpp_2m_sde", {}, DPM, {"algorithm_type": "sde-dpmsolver++"}),
]
COUNTS = (1, 2, 5, 7, 10, 13, 20, 25, 50, 100)


def network(y, c_noise):
    return torch.tanh(0.9 * y + 0.2 * c_noise) - 0.1 * y


def denoise(x_t, level):
    c = conversions.preconditioning(level)
    return Estimate(conversions.x0_from_edm(x_t, network(c.into * x_t, c.noise), level))


def theirs(measure, where, config, n_steps, spacing):
    """Their levels and the end of their loop."""
    module = importlib.import_module(f"diffusers.schedulers.{where[0]}")
    scheduler = getattr(module, where[1])(sigma_schedule=spacing, **config)
    scheduler.set_timesteps(n_steps)
    scheduler.sigmas = scheduler.sigmas.double()
    times = 0.25 * torch.log(scheduler.sigmas[:-1])
    sigmas = scheduler.sigmas[:-1].tolist()
    y = measure.standard_normal(0) * sigmas[0]
    with measure.double_precision(module):
        for t, exact in zip(scheduler.timesteps, times, strict=True):
            out = network(scheduler.scale_model_input(y, t), exact)
            y = scheduler.step(out, t, y).prev_sample
    return (*(NoiseLevel(sigma, 1.0, sigma) for sigma in sigmas), CLEAN), y


@pytest.mark.parametrize("spacing", ["karras", "exponential"])
@pytest.mark.parametrize(("name", "options", "where", "config"), CASES)
def test_the_whole_loop_equals_diffusers_edm(measure, name, options, where, config, spacing):
    for n_steps in COUNTS:
        levels, end = theirs(measure, where, config, n_steps, spacing)
        start = measure.standard_normal(0) * levels[0].sigma
        steps = measure.ours(name, denoise, levels, start, **options)
        torch.testing.assert_close(steps[-1].x_t, end, rtol=1e-10, atol=1e-10)
        if n_steps == 1 and spacing == "exponential":
            continue  # theirs is the level of least noise
        own = spacings.levels(schedules.edm(), n_steps, spacing)
        sigmas = [level.sigma for level in own]
        assert sigmas == pytest.approx([level.sigma for level in levels], rel=2e-6)


@pytest.mark.parametrize(("name", "options", "where", "config"), CASES)
def test_the_whole_loop_of_a_thousand_steps_equals_diffusers_edm(
    measure, name, options, where, config
):
    levels, end = theirs(measure, where, config, 1000, "karras")
    start = measure.standard_normal(0) * levels[0].sigma
    found = measure.ours(name, denoise, levels, start, **options)[-1].x_t
    torch.testing.assert_close(found, end, rtol=1e-9, atol=1e-9)
