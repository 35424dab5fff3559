"""What every registered sampler must do, whichever it is."""

import itertools
import math
from itertools import pairwise

import pytest
import torch

from diffview.engine import guidance, samplers, schedules, spacings
from diffview.engine.estimate import Estimate
from diffview.engine.finishing import Finish
from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.errors import InputError

BREAKS_LAWS = ("compat", "set_alpha_to_one")
"""As diffusers does: test_compat.py."""


def choices(option):
    if option.choices:  # a learned variance needs a network that learned it: test_ddpm
        return tuple(choice for choice in option.choices if choice != "learned")
    middle = (option.low + option.high) / 2
    return (option.low, int(middle) if isinstance(option.default, int) else middle, option.high)


def combinations():
    """Each sampler with its options at the ends and in the middle; all pairs of two."""
    for info in samplers.every().values():
        own = [option for option in info.options if option.name not in BREAKS_LAWS]
        if len(own) <= 2:
            values = list(itertools.product(*(choices(option) for option in own)))
        else:  # one at a time, the others in the middle
            middle = [choices(option)[1] for option in own]
            values = [
                (*middle[:k], value, *middle[k + 1 :])
                for k, option in enumerate(own)
                for value in choices(option)
            ]
        for chosen in dict.fromkeys(values):
            options = {o.name: value for o, value in zip(own, chosen, strict=True)}
            yield pytest.param(info.name, options, id=f"{info.name} {options}")


EVERY_COMBINATION = list(combinations())


def standard(i):
    return torch.randn(3, 4, generator=torch.Generator().manual_seed(i), dtype=torch.float64)


def at_ratio(r):
    """The level of the variance preserving family at sigma / alpha = r."""
    return NoiseLevel(1000 * r / (1 + r), 1 / math.hypot(1, r), r / math.hypot(1, r))


def generated(name, denoise, x, levels, noise=standard, **options):
    info = samplers.find(name)
    if info.off_grid:
        options["at_ratio"] = at_ratio
    return list(info.generate(denoise, x, levels, noise, **options))


def sampled(name, denoise, options, n_steps=9, spacing="trailing", x=None, noise=standard):
    levels = spacings.levels(schedules.named("cosine"), n_steps, spacing)
    start = standard(99) if x is None else x
    return levels, generated(name, denoise, start, levels, noise, **options)


@pytest.mark.parametrize("clip", ["none", "rederived", "raw"])
@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_the_move_of_a_step_says_exactly_how_the_next_state_came_about(
    predicting_network, name, options, clip
):
    _, denoise = predicting_network("v")
    if clip != "none":
        denoise = guidance.finish(
            denoise, Finish(clip="clamp", low=-0.4, high=0.4), rederive_eps=clip == "rederived"
        )
    _, steps = sampled(name, denoise, options)
    for i, (step, after) in enumerate(pairwise(steps)):
        if (move := step.move) is None:
            assert name == "lms"  # which is made of older slopes, not of older estimates
            continue
        rebuilt = move.w0 * step.estimate.x0_hat + move.w1 * step.x_t
        for weight, older in zip(move.w_past, reversed(steps[:i]), strict=False):
            rebuilt = rebuilt + weight * older.estimate.x0_hat
        for weight, stage in zip(move.w_stages, step.stages, strict=False):
            rebuilt = rebuilt + weight * stage.estimate.x0_hat
        if move.noise_std:
            rebuilt = rebuilt + move.noise_std * standard(step.i)
        if move.w_raw:
            rebuilt = rebuilt + move.w_raw * step.estimate.x0_raw
        torch.testing.assert_close(after.x_t, rebuilt, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("n_steps", [1, 2, 9, 1000])
@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_a_sampler_yields_one_step_for_each_level_and_ends_clean(
    gaussian_denoise, name, options, n_steps
):
    levels, steps = sampled(name, gaussian_denoise(0, 0.5), options, n_steps)
    assert [step.i for step in steps] == list(range(n_steps + 1))
    if not options.get("churn"):
        assert [step.level for step in steps] == list(levels)
    for step, level in zip(steps, levels, strict=True):
        assert level.ratio <= step.level.ratio <= level.ratio * 1.4143
    end = steps[-1]
    assert end.level == CLEAN
    assert end.move is None
    assert torch.equal(end.x_t, end.estimate.x0_hat)


@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_a_sampler_writes_into_nothing_it_was_given_or_gave_away(
    predicting_network, name, options
):
    _, denoise = predicting_network("x0")
    start = standard(99)
    levels = spacings.levels(schedules.named("cosine"), 6, "leading")
    kept = []
    info = samplers.find(name)
    extra = {"at_ratio": at_ratio} if info.off_grid else {}
    for step in info.generate(denoise, start, levels, standard, **options, **extra):
        points = [step, *step.stages]
        kept += [(p, p.x_t.clone(), p.estimate and p.estimate.x0_hat.clone()) for p in points]
    assert torch.equal(start, standard(99))
    for point, x_t, x0_hat in kept:
        assert torch.equal(point.x_t, x_t)
        if x0_hat is not None:
            assert torch.equal(point.estimate.x0_hat, x0_hat)


@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_one_step_goes_to_the_estimate_itself(gaussian_denoise, name, options):
    _, steps = sampled(name, gaussian_denoise(0.3, 0.5), options, n_steps=1)
    torch.testing.assert_close(steps[1].x_t, steps[0].estimate.x0_hat)


@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_the_last_step_of_all_but_lms_goes_to_the_estimate_itself(
    predicting_network, name, options
):
    _, denoise = predicting_network("x0")
    _, steps = sampled(name, denoise, options)
    if name == "lms" and options["order"] != 1:
        assert (steps[-1].x_t - steps[-2].estimate.x0_hat).abs().max() > 1e-6
    else:
        torch.testing.assert_close(steps[-1].x_t, steps[-2].estimate.x0_hat)


@pytest.mark.parametrize("start", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_a_run_gone_on_with_from_any_step_equals_the_uninterrupted_one_bit_for_bit(
    predicting_network, name, options, start
):
    _, denoise = predicting_network("v")
    levels, steps = sampled(name, denoise, options)
    history = max(1, samplers.find(name).history)
    past = steps[max(0, start - history) : start]
    again = generated(name, denoise, steps[start].x_t, levels, past=past, **options)
    assert [step.i for step in again] == list(range(start, 10))
    for one, other in zip(steps[start:], again, strict=True):
        assert torch.equal(one.x_t, other.x_t)
        assert torch.equal(one.estimate.x0_hat, other.estimate.x0_hat)
        assert (one.level, one.move) == (other.level, other.move)


@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_from_pure_noise_a_sampler_does_what_it_does_from_almost_pure_noise(
    predicting_network, name, options
):
    _, denoise = predicting_network("v")
    below = [at_ratio(r) for r in (9.0, 2.0, 0.6, 0.2, 0.05)]
    pure = (NoiseLevel(999.0, 0.0, 1.0), *below, CLEAN)
    if not samplers.find(name).pure_noise:
        with pytest.raises(InputError, match=r"from pure noise \(alpha = 0\): choose flow_heun"):
            generated(name, denoise, standard(99), pure, **options)
        return
    almost = (NoiseLevel(999.0, 1e-60, 1.0), *below, CLEAN)
    # s_tmax keeps churn away from both: it has no meaning where sigma / alpha has no bound
    ends = [
        generated(name, denoise, standard(99), levels, **options)[-1].x_t
        for levels in (pure, almost)
    ]
    assert torch.isfinite(ends[0]).all()
    # the older estimate of a solver in log(alpha / sigma) fades only with 1 / log(1 / alpha)
    near = 3e-3 if samplers.find(name).history and name != "lms" else 1e-9
    torch.testing.assert_close(*ends, rtol=near, atol=near)


@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_each_step_evaluates_as_often_as_declared(name, options):
    calls = []

    def denoise(x_t, level):
        calls.append(level.t)
        return Estimate(0.5 * x_t)

    sampled(name, denoise, options, n_steps=8)
    info = samplers.find(name)
    assert len(calls) == info.nfe(8)
    assert info.nfe(8) == (15 if name in ("heun", "flow_heun") else 8)


@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_every_evaluation_is_on_a_record_with_its_point_and_its_estimate(
    predicting_network, name, options
):
    _, inner = predicting_network("eps")
    asked = []

    def denoise(x_t, level):
        asked.append((x_t, level, inner(x_t, level)))
        return asked[-1][2]

    _, steps = sampled(name, denoise, options)
    points = [p for step in steps[:-1] for p in (step, *step.stages) if p.estimate is not None]
    assert len(points) == len(asked)
    for point, (x_t, level, estimate) in zip(points, asked, strict=True):
        assert torch.equal(point.x_t, x_t)
        assert (point.level, point.estimate) == (level, estimate)
    stages = [len(step.stages) for step in steps[:-1]]
    assert sum(stages) == 8 * samplers.find(name).stages


@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_a_row_of_a_batch_is_its_own_run(predicting_network, name, options):
    _, denoise = predicting_network("v")
    _, together = sampled(name, denoise, options)
    _, alone = sampled(
        name, denoise, options, x=standard(99)[1:2], noise=lambda i: standard(i)[1:2]
    )
    torch.testing.assert_close(together[-1].x_t[1:2], alone[-1].x_t, rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", [n for n, i in samplers.every().items() if not i.stochastic])
def test_a_sampler_that_is_not_stochastic_asks_for_no_noise(predicting_network, name):
    def refuse(i):
        raise AssertionError(f"noise was drawn at step {i}")

    _, denoise = predicting_network("v")
    _, steps = sampled(name, denoise, {}, noise=refuse)
    assert len(steps) == 10


@pytest.mark.parametrize("name", samplers.every())
def test_the_state_stays_in_single_precision(predicting_network, name):
    _, denoise = predicting_network("v")
    _, steps = sampled(
        name, denoise, {}, x=standard(99).float(), noise=lambda i: standard(i).float()
    )
    assert {step.x_t.dtype for step in steps} == {torch.float32}
    _, exact = sampled(name, denoise, {}, x=standard(99).float().double())
    torch.testing.assert_close(steps[-1].x_t.double(), exact[-1].x_t, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "options"), EVERY_COMBINATION)
def test_a_sampler_never_waits_for_the_value_of_a_tensor(name, options):
    # A tensor on "meta" has a shape and no values: whatever would make a GPU's host wait raises.
    def denoise(x_t, level):
        return Estimate(0.5 * x_t)

    def fresh(i):
        return torch.empty(3, 4, device="meta")

    _, steps = sampled(name, denoise, options, x=fresh(0), noise=fresh)
    assert steps[-1].x_t.device.type == "meta"


def test_every_sampler_is_registered_with_its_facts():
    known = samplers.every()
    assert list(known) == [
        "ddim",
        "ddpm",
        "dpmpp_2m",
        "dpmpp_2m_sde",
        "euler",
        "euler_ancestral",
        "flow_euler",
        "flow_heun",
        "heun",
        "lms",
        "unipc",
    ]
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
    infos = (samplers.every() | samplers.by_token()).values()
    homes = [info.generate.__module__.rpartition(".")[2] for info in infos]
    assert sorted(homes) == sorted(files)


def test_an_unknown_sampler_is_refused_with_the_known_names():
    with pytest.raises(InputError, match=r"unknown sampler 'dice'; known are .*ddim, ddpm"):
        samplers.find("dice")
