"""What every registered sampler must do, whichever it is."""

import itertools
from itertools import pairwise

import pytest
import torch

from diffview.engine import guidance, samplers, schedules, spacings
from diffview.engine.estimate import Estimate
from diffview.engine.levels import CLEAN
from diffview.errors import InputError


def choices(option):
    if option.choices:
        return option.choices
    return (option.low, (option.low + option.high) / 2, option.high)


def combinations():
    """Each sampler with each of its options at the ends and in the middle."""
    for info in samplers.every().values():
        values = itertools.product(*(choices(option) for option in info.options))
        for chosen in values:
            options = {o.name: value for o, value in zip(info.options, chosen, strict=True)}
            yield pytest.param(info.name, options, id=f"{info.name} {options}")


EVERY_COMBINATION = list(combinations())


def standard(i):
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(i), dtype=torch.float64)


def sampled(name, denoise, options, n_steps=9, spacing="trailing", x=None, noise=standard):
    levels = spacings.levels(schedules.named("cosine"), n_steps, spacing)
    start = standard(99) if x is None else x
    return levels, list(samplers.find(name).generate(denoise, start, levels, noise, **options))


@pytest.mark.parametrize("clip", ["none", "rederived", "raw"])
@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_the_move_of_a_step_says_exactly_how_the_next_state_came_about(
    predicting_network, name, options, clip
):
    _, denoise = predicting_network("v")
    if clip != "none":
        denoise = guidance.clamped(denoise, -0.4, 0.4, rederive_eps=clip == "rederived")
    _, steps = sampled(name, denoise, options)
    for step, after in pairwise(steps):
        move, estimate = step.move, step.estimate
        rebuilt = (
            move.w0 * estimate.x0_hat + move.w1 * step.x_t + move.noise_std * standard(step.i)
        )
        if move.w_raw:
            rebuilt = rebuilt + move.w_raw * estimate.x0_raw
        torch.testing.assert_close(after.x_t, rebuilt, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("n_steps", [1, 2, 9, 1000])
@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_a_sampler_yields_one_step_for_each_level_and_ends_clean(
    gaussian_denoise, name, options, n_steps
):
    levels, steps = sampled(name, gaussian_denoise(0, 0.5), options, n_steps)
    assert [step.i for step in steps] == list(range(n_steps + 1))
    assert [step.level for step in steps] == list(levels)
    end = steps[-1]
    assert end.level == CLEAN
    assert end.move is None
    assert torch.equal(end.x_t, end.estimate.x0_hat)
    assert torch.equal(end.estimate.at(3.0), end.x_t)


@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_a_sampler_writes_into_nothing_it_was_given_or_gave_away(
    predicting_network, name, options
):
    _, denoise = predicting_network("x0")
    start = standard(99)
    levels = spacings.levels(schedules.named("cosine"), 6, "leading")
    kept = []
    for step in samplers.find(name).generate(denoise, start, levels, standard, **options):
        kept.append((step, step.x_t.clone(), step.estimate.x0_hat.clone()))
    assert torch.equal(start, standard(99))
    for step, x_t, x0_hat in kept:
        assert torch.equal(step.x_t, x_t)
        assert torch.equal(step.estimate.x0_hat, x0_hat)


@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_one_step_goes_to_the_estimate_itself(gaussian_denoise, name, options):
    _, steps = sampled(name, gaussian_denoise(0.3, 0.5), options, n_steps=1)
    torch.testing.assert_close(steps[1].x_t, steps[0].estimate.x0_hat)


@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_each_step_evaluates_as_often_as_declared(name, options):
    calls = []

    def denoise(x_t, level):
        calls.append(level.t)
        return Estimate(0.5 * x_t)

    sampled(name, denoise, options, n_steps=8)
    assert len(calls) == 8 * samplers.find(name).nfe_per_step


def test_ddim_and_ddpm_are_registered_with_their_facts():
    known = samplers.every()
    assert {"ddim", "ddpm"} <= set(known)
    for name, info in known.items():
        assert info.name == name
        assert info.title
        assert info.source
        assert info.order >= 1
        for option in info.options:
            assert option.help
            assert option.source
            assert option.checked(option.default) == option.default


def test_every_file_of_the_folder_registers_exactly_one_sampler():
    import pkgutil

    files = {module.name for module in pkgutil.iter_modules(samplers.__path__)}
    homes = [info.generate.__module__.rpartition(".")[2] for info in samplers.every().values()]
    assert sorted(homes) == sorted(files)


def test_an_unknown_sampler_is_refused_with_the_known_names():
    with pytest.raises(InputError, match=r"unknown sampler 'dice'; known are .*ddim, ddpm"):
        samplers.find("dice")
