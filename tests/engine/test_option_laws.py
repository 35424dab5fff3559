"""Every declared option acts: a changed one changes the run's end, or is refused with a reason."""

import dataclasses

import numpy as np
import pytest
import torch

from diffview.engine import samplers, schedules, spacings
from diffview.engine.run import run
from diffview.engine.spec import Facts, Guidance, RunSpec, checked, conflicts

CHANGED = {
    "clip": "clamp",
    "clip_range": "-0.5, 0.7",
    "rederive_eps": False,
    "threshold": 0.6,
    "rescale": 0.7,
    "rescale_space": "x0",
    "interval": "0.1, 2",
    "steps_offset": 3,
    "rho": 3.0,
    "shift": 3.0,
    "schedule": "cosine",
    "times": "0.9, 0.7, 0.5, 0.1",
    "noise_path": "brownian",
    "distilled_scale": 8.0,
    "set_alpha_to_one": False,
    "eta": 0.5,
    "variance": "large",
    "solver": "heun",
    "order": 1,
    "churn": 2.0,
    "s_tmin": 1.0,
    "s_tmax": 1.0,
    "s_noise": 1.2,
}
"""For every option a value other than its default. compat is measured against diffusers: it
agrees with the papers more often than not, and then there is nothing to change."""

SETTINGS = {
    "plain": {},
    "clamp": {"clip": "clamp"},
    "threshold": {"clip": "threshold"},
    "eta": {"eta": 0.7},
    "churn": {"churn": 2.0},
    "rescale": {"rescale": 0.5},
    "diffusers": {"compat": "diffusers"},
    "karras": {},
    "leading": {},
    "list": {"times": "0.95, 0.6, 0.4, 0.05"},
}
"""What else is chosen: where an option does nothing in one, it may in another."""


def recipe(sampler, setting, **options):
    chosen = {**SETTINGS[setting], **options}
    spacing = setting if setting in ("karras", "leading", "list") else "linspace"
    return checked(RunSpec("m", sampler, 4, spacing, GUIDED, 0, (1, 2, 5), tuple(chosen.items())))


GUIDED = Guidance("cfg", 3.0)


class Curved:
    """Estimates of which some leave the range, and whose spread depends on the condition."""

    data_shape = (1, 3, 3)
    device = torch.device("cpu")

    def __init__(self, schedule):
        self.schedule = schedule

    def __call__(self, x_t, level, condition):
        return 1.3 * torch.sin(1.5 * x_t) + 0.2 * condition.view(-1, 1, 1, 1) * torch.cos(x_t)

    def null_condition(self, batch):
        return torch.full((batch,), -1.0)


def in_one(spec, spacing="trailing"):
    """The same recipe in a single step: from pure noise, but in one that goes by `spacing`."""
    spacing = spacing if spec.spacing == "linspace" else spec.spacing
    return dataclasses.replace(spec, n_steps=1, spacing=spacing)


def ratio_of_one_step(spacing, shift):
    levels = spacings.levels(schedules.named("flow"), 1, spacing, shift=shift)
    return levels[0].ratio


@pytest.mark.parametrize("spacing", [*spacings.BY_TIME, *spacings.BY_RATIO])
def test_in_a_single_step_the_shift_is_refused_exactly_where_it_changes_no_level(spacing):
    """`leading` begins its one step at the least noise: shift 5 of s = 0.001 is 0.005 / 1.004."""
    facts = Facts(schedules.named("flow"), "x0", conditional=True, null=True)
    before = in_one(recipe("flow_euler", "plain", shift=1.0), spacing)
    after = in_one(recipe("flow_euler", "plain", shift=5.0), spacing)
    refused = any(reason.startswith("shift:") for reason in conflicts(after, facts))
    same = ratio_of_one_step(spacing, 1.0) == ratio_of_one_step(spacing, 5.0)
    assert refused == same
    denoiser = Curved(facts.schedule)
    assert same == np.allclose(end_of(before, denoiser), end_of(after, denoiser), rtol=1e-6)
    assert same == (spacing != "leading")


@pytest.mark.parametrize("sampler", sorted(samplers.every()))
def test_in_a_single_step_too_a_changed_option_is_refused_or_changes_the_end(sampler):
    denoiser = Curved(schedules.named("flow" if sampler.startswith("flow_") else "linear"))
    facts = Facts(denoiser.schedule, "x0", conditional=True, null=True)
    tried = set()
    for setting, name in possible(sampler, facts):
        # Without signal v is x_0 but for the sign, so no space differs; nor is it below s_tmin.
        if setting not in ("plain", "clamp", "eta", "churn", "karras") or name == "s_tmin":
            continue
        before = in_one(recipe(sampler, setting))
        after = in_one(recipe(sampler, setting, **{name: CHANGED[name]}))
        if conflicts(before, facts) or conflicts(after, facts):
            continue
        assert not np.allclose(end_of(before, denoiser), end_of(after, denoiser), atol=1e-5), (
            f"{name} does nothing in one step of setting {setting}, and that is not said"
        )
        tried.add(name)
    assert tried >= {"clip", "clip_range", "rescale"}
    assert not tried & {"eta", "order", "variance", "solver", "rho", "shift", "rederive_eps"}


def end_of(spec, denoiser):
    *_, last = run(denoiser, spec, torch.zeros(spec.batch))
    return last.x_t


@pytest.mark.parametrize("sampler", sorted(samplers.every()))
def test_a_changed_option_is_refused_or_changes_the_end(sampler):
    denoiser = Curved(schedules.named("flow" if sampler.startswith("flow_") else "linear"))
    facts = Facts(denoiser.schedule, "x0", conditional=True, null=True)
    tried = set()
    for setting, name in possible(sampler, facts):
        before, after = recipe(sampler, setting), recipe(sampler, setting, **{name: CHANGED[name]})
        assert not np.allclose(end_of(before, denoiser), end_of(after, denoiser), atol=1e-5), (
            f"{name} does nothing in setting {setting}, and that is not said"
        )
        tried.add(name)
    assert ("rederive_eps" in tried) is (sampler == "ddim")
    assert tried >= {"clip", "threshold", "rescale", "rescale_space", "interval", "rho", "times"}


def possible(sampler, facts):
    """The settings, and the options that change something in them and are not refused."""
    declared = recipe(sampler, "plain").declared()
    for setting, chosen in SETTINGS.items():
        if not chosen.keys() <= declared.keys() or conflicts(recipe(sampler, setting), facts):
            continue
        for name in declared.keys() & CHANGED.keys():
            after = recipe(sampler, setting, **{name: CHANGED[name]})
            if CHANGED[name] != chosen.get(name) and not conflicts(after, facts):
                yield setting, name


@pytest.mark.parametrize("sampler", sorted(samplers.every()))
def test_there_is_another_value_of_every_option(sampler):
    for name, option in recipe(sampler, "plain").declared().items():
        assert name == "compat" or option.checked(CHANGED[name]) != option.default
