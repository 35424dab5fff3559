"""Running a sampler, ours or diffusers', from one start and with the same noise, in float64."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers import scheduling_ddpm

from diffview.engine import samplers, schedules, spacings


def _load_measure():
    path = Path(__file__).with_name("measure.py")
    spec = importlib.util.spec_from_file_location("sampler_measure", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def measure():
    """The module beside this file: textbook loops, diffusers' loops, exact solutions."""
    return _load_measure()


SHAPE = (2, 5)
PREDICTION = {"eps": "epsilon", "x0": "sample", "v": "v_prediction"}


def standard_normal(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(SHAPE, generator=generator, dtype=torch.float64)


def noise(i):
    """z of step i: any numbers will do, as long as both sides get the same."""
    return standard_normal(1000 + i)


class Bench:
    """Both implementations on one schedule: diffusers' own, its float32 numbers as doubles."""

    def ours(self, name, denoise, n_steps, spacing, *, schedule=None, **options):
        """All steps of our sampler, from the shared start."""
        levels = spacings.levels(schedule or self.schedule(), n_steps, spacing)
        generate = samplers.find(name).generate
        return list(generate(denoise, standard_normal(0), levels, noise, **options))

    def schedule(self):
        return schedules.given(alphas_cumprod=self._exact(DDIMScheduler()).alphas_cumprod)

    def ddim(self, network, prediction, n_steps, spacing, *, clip=False, **step_options):
        """x_0 of diffusers' DDIM, and the x0_hat of every step."""
        return self.ddim_states(network, prediction, n_steps, spacing, clip=clip, **step_options)[
            :2
        ]

    def ddim_states(self, network, prediction, n_steps, spacing, *, clip=False, **step_options):
        """The same, and the state after every step."""
        scheduler = self._exact(
            DDIMScheduler(
                prediction_type=PREDICTION[prediction],
                timestep_spacing=spacing,
                clip_sample=clip,
            )
        )
        scheduler.set_timesteps(n_steps)
        x, estimates, states = standard_normal(0), [], []
        for i, t in enumerate(scheduler.timesteps):
            fresh = noise(i) if step_options.get("eta") else None
            out = scheduler.step(network(x, t), t, x, variance_noise=fresh, **step_options)
            x = out.prev_sample
            estimates.append(out.pred_original_sample)
            states.append(x)
        return x, estimates, states

    def ddpm(self, network, prediction, n_steps, spacing, monkeypatch, *, clip=False, variance):
        """x_0 of diffusers' DDPM, and the x0_hat of every step."""
        scheduler = self._exact(
            DDPMScheduler(
                prediction_type=PREDICTION[prediction],
                timestep_spacing=spacing,
                clip_sample=clip,
                variance_type=variance if "_" in variance else f"fixed_{variance}",
            )
        )
        scheduler.set_timesteps(n_steps)
        x, estimates = standard_normal(0), []
        for i, t in enumerate(scheduler.timesteps):
            monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, i=i, **__: noise(i))
            out = scheduler.step(network(x, t), t, x)
            x = out.prev_sample
            estimates.append(out.pred_original_sample)
        return x, estimates

    @staticmethod
    def _exact(scheduler):
        scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
        if hasattr(scheduler, "final_alpha_cumprod"):
            scheduler.final_alpha_cumprod = torch.tensor(1.0, dtype=torch.float64)
        else:
            scheduler.one = torch.tensor(1.0, dtype=torch.float64)
        return scheduler


@pytest.fixture
def bench():
    return Bench()


class Affine:
    """What a sampler makes of a denoiser that is linear in x, exactly.

    One run of N + 2 numbers tells all of it: from 0 and without noise comes the mean, from 1 the
    gain of x_T, and one number for each step's noise the gain of that noise.
    """

    def __init__(self, name, denoise, levels, **options):
        n_steps = len(levels) - 1
        start = torch.zeros(n_steps + 2, 1, dtype=torch.float64)
        start[1] = 1

        def unit(i):
            z = torch.zeros_like(start)
            z[2 + i] = 1
            return z

        *_, end = samplers.find(name).generate(denoise, start, levels, unit, **options)
        out = end.x_t.flatten()
        self.mean = out[0].item()
        self.gains = (out[1:] - out[0]).tolist()
        self.std = float(sum(gain**2 for gain in self.gains)) ** 0.5


@pytest.fixture
def affine():
    return Affine
