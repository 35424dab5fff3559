"""compat=diffusers: their numbers where they differ from ours, and the default's closed form.

Levels come from the recipe alone and start, noise and network from the test; diffusers runs its
own schedulers. Its sigmas are float32, so what depends on them is equal to about 1e-6.
"""

import math
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler

from diffview.engine import samplers, schedules, spacings
from diffview.engine.compat import initial_std
from diffview.engine.estimate import Estimate
from diffview.engine.spec import Facts, RunSpec, conflicts, idle
from diffview.errors import InputError

COUNTS = (1, 2, 7, 10, 13, 50)
GRIDS = ("linspace", "leading", "trailing")
FRACTIONAL = ("euler", "euler_ancestral", "heun", "lms")


@pytest.fixture(scope="session")
def measure():
    import importlib.util
    from pathlib import Path

    path = Path(__file__).parent / "samplers" / "measure.py"
    found = importlib.util.spec_from_file_location("sampler_measure", path)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def theirs_as_ours(scheduler):
    """Their float32 table as one of ours, in doubles."""
    return schedules.given(alphas_cumprod=scheduler.alphas_cumprod.double().numpy())


def recipe(sampler, n_steps, spacing, **options):
    options = {"compat": "diffusers", **options}
    return RunSpec("m", sampler, n_steps, spacing, options=tuple(options.items()))


def ours(measure, run, schedule, denoise, start):
    info = samplers.find(run.sampler)
    levels = run.levels(schedule)
    return list(
        info.generate(
            denoise, start, levels, measure.noise, **info.lent(schedule), **run.sampler_options()
        )
    )


CASES = [
    *(("euler", s, {}) for s in GRIDS),
    *(("euler_ancestral", s, {}) for s in GRIDS),
    *(("heun", s, {}) for s in GRIDS),
    *(("lms", s, {}) for s in GRIDS),
    *(("dpmpp_2m", s, {}) for s in GRIDS),
    *(("dpmpp_2m_sde", s, {"algorithm_type": "sde-dpmsolver++"}) for s in GRIDS),
    *(("unipc", s, {}) for s in GRIDS),
    *((name, "karras", {}) for name in ("euler", "heun", "lms", "dpmpp_2m", "unipc")),
    *((name, "exponential", {}) for name in ("euler", "heun", "lms", "dpmpp_2m", "unipc")),
]


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize(("name", "spacing", "config"), CASES)
def test_levels_times_and_the_end_are_those_of_diffusers(
    measure, name, spacing, config, prediction
):
    if spacing in GRIDS:
        config = {**config, "timestep_spacing": spacing}
    else:
        config = {**config, f"use_{spacing}_sigmas": True}
    network, denoise = measure.predicting(prediction)
    for n_steps in COUNTS:
        theirs = measure.Theirs(name, network, prediction, n_steps, **config)
        schedule = theirs_as_ours(theirs.scheduler)
        run = recipe(name, n_steps, spacing)
        levels = run.levels(schedule)
        assert len(levels) == n_steps + 1
        for level, other in zip(levels[:-1], theirs.levels[:-1], strict=True):
            assert level.t == pytest.approx(other.t, abs=2e-4)  # float32 of a thousand
            assert level.ratio == pytest.approx(other.ratio, rel=2e-6)
        start = measure.standard_normal(0)
        end = ours(measure, run, schedule, denoise, start)[-1].x_t
        scale = max(1.0, theirs.end.abs().max().item())
        assert (end - theirs.end).abs().max().item() <= 2e-6 * scale


@pytest.mark.parametrize("name", ["euler", "dpmpp_2m", "unipc"])
def test_cosine_grids_in_sigma_tell_the_network_their_times(measure, name):
    config = {"use_karras_sigmas": True, "beta_schedule": "squaredcos_cap_v2"}
    network, _ = measure.predicting("v")
    theirs = measure.Theirs(name, network, "v", 13, **config)
    acp = theirs.scheduler.alphas_cumprod.double().numpy()
    schedule = schedules.given(alphas_cumprod=acp, name="cosine")
    levels = recipe(name, 13, "karras").levels(schedule)
    times = [level.t for level in theirs.levels[:-1]]
    # Cut to whole times the logarithm of their float32 sigma_max falls just short of 999.
    assert levels[0].t == pytest.approx(times[0], abs=1 if name == "dpmpp_2m" else 2e-4)
    assert [level.t for level in levels[1:-1]] == pytest.approx(times[1:], abs=2e-4)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("name", ["flow_euler", "flow_heun"])
def test_flows_end_where_diffusers_does_shifting_the_last_time_twice(measure, name, shift):
    network, _ = measure.predicting("flow")
    for n_steps in COUNTS:
        theirs = measure.Theirs(name, network, "flow", n_steps, shift=shift)
        levels = recipe(name, n_steps, "linspace", shift=shift).levels(schedules.flow())
        assert len(levels) == n_steps + 1
        for level, other in zip(levels[:-1], theirs.levels[:-1], strict=True):
            assert level.sigma == pytest.approx(other.sigma, rel=1e-6)


def exact(scheduler, final):
    """The scheduler in doubles, its table and the alphas_cumprod after the last step."""
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    if hasattr(scheduler, "final_alpha_cumprod"):
        scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0] if not final else _one()
    else:
        scheduler.one = _one()
    return scheduler


def _one():
    return torch.tensor(1.0, dtype=torch.float64)


def ddim_of(measure, network, prediction, n_steps, spacing, eta, to_one):
    scheduler = exact(
        DDIMScheduler(
            prediction_type=measure.PREDICTION[prediction],
            timestep_spacing=spacing,
            clip_sample=False,
            set_alpha_to_one=to_one,
        ),
        to_one,
    )
    scheduler.set_timesteps(n_steps)
    x = measure.standard_normal(0)
    for i, t in enumerate(scheduler.timesteps):
        fresh = measure.noise(i) if eta else None
        x = scheduler.step(network(x, t), t, x, eta=eta, variance_noise=fresh).prev_sample
    return x


@pytest.mark.parametrize("to_one", [True, False])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("spacing", GRIDS)
@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_ddim_goes_to_t_minus_t_over_n_as_diffusers(measure, prediction, spacing, eta, to_one):
    network, denoise = measure.predicting(prediction)
    schedule = theirs_as_ours(DDIMScheduler())
    for n_steps in COUNTS:
        if spacing == "linspace" and eta and n_steps > 1:
            continue  # theirs has a step to a noisier time, whose variance is below 0
        run = recipe("ddim", n_steps, spacing, eta=eta, set_alpha_to_one=to_one)
        end = ours(measure, run, schedule, denoise, measure.standard_normal(0))[-1].x_t
        want = ddim_of(measure, network, prediction, n_steps, spacing, eta, to_one)
        torch.testing.assert_close(end, want, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("spacing", ["linspace", "trailing"])
def test_the_default_lands_on_the_line_to_a_known_picture_where_diffusers_ddim_leaves_it(
    measure, spacing
):
    # With one picture c as all data x0_hat = c, and every x_t of a run without noise is
    # alpha c + sigma eps of one eps: the closed form, on any grid.
    c, schedule, start = 0.4, theirs_as_ours(DDIMScheduler()), measure.standard_normal(0)

    def denoise(x_t, level):
        return Estimate(torch.full_like(x_t, c))

    def away(compat):
        run = recipe("ddim", 7, spacing, compat=compat)
        steps = ours(measure, run, schedule, denoise, start)
        eps = (start - steps[0].level.alpha * c) / steps[0].level.sigma
        lines = [step.level.alpha * c + step.level.sigma * eps for step in steps]
        return max((step.x_t - x).abs().max().item() for step, x in zip(steps, lines, strict=True))

    assert away("none") < 1e-12
    assert away("diffusers") > 1e-3


@pytest.mark.parametrize("spacing", GRIDS)
@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("prediction", ["eps", "v"])
def test_ddpm_adds_noise_at_the_end_as_diffusers(
    measure, prediction, variance, spacing, monkeypatch
):
    from diffusers.schedulers import scheduling_ddpm

    network, denoise = measure.predicting(prediction)
    schedule = theirs_as_ours(DDPMScheduler())
    for n_steps in COUNTS:
        scheduler = exact(
            DDPMScheduler(
                prediction_type=measure.PREDICTION[prediction],
                timestep_spacing=spacing,
                clip_sample=False,
                variance_type=f"fixed_{variance}",
            ),
            True,
        )
        scheduler.set_timesteps(n_steps)
        x = measure.standard_normal(0)
        for i, t in enumerate(scheduler.timesteps):
            monkeypatch.setattr(
                scheduling_ddpm, "randn_tensor", lambda *_, i=i, **__: measure.noise(i)
            )
            x = scheduler.step(network(x, t), t, x).prev_sample
        run = recipe("ddpm", n_steps, spacing, variance=variance)
        end = ours(measure, run, schedule, denoise, measure.standard_normal(0))[-1].x_t
        torch.testing.assert_close(end, x, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("n_steps", "published"), [(10, 0.3205), (20, 0.170), (50, 0.076)])
def test_what_diffusers_leaves_in_the_picture_is_the_published_noise_and_ours_is_none(
    measure, n_steps, published
):
    # Numerics, section 7c: one picture as all data, so all spread at the end is left noise.
    schedule = schedules.named("linear")

    def std(compat):
        run = recipe("ddpm", n_steps, "trailing", variance="large", compat=compat)

        def denoise(x_t, level):
            return Estimate(torch.zeros_like(x_t))

        *_, last, end = ours(measure, run, schedule, denoise, measure.standard_normal(0))
        gain = end.x_t / measure.noise(n_steps - 1)
        assert last.move is not None
        return gain.std().item() + gain.mean().abs().item()

    assert std("diffusers") == pytest.approx(published, rel=5e-3)
    assert std("none") == 0


@pytest.mark.parametrize("n_steps", [61, 103, 121, 122, 201])
def test_where_diffusers_makes_n_plus_1_times_it_is_refused_and_ours_has_n(n_steps):
    schedule = schedules.named("linear")
    for name in ("ddim", "euler", "unipc"):
        with pytest.raises(InputError, match=f"makes {n_steps + 1} times .* t = -1"):
            recipe(name, n_steps, "trailing").levels(schedule)
    levels = spacings.levels(schedule, n_steps, "trailing")
    assert len(levels) == n_steps + 1 and min(level.t for level in levels) == 0


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (recipe("ddim", 10, "karras"), "no spacing 'karras' for ddim"),
        (recipe("euler", 10, "quadratic"), "no spacing 'quadratic' for euler"),
        (recipe("euler_ancestral", 10, "karras"), "no spacing 'karras'"),
        (recipe("ddim", 1000, "leading", steps_offset=1), "asks at t = 1000"),
        (recipe("dpmpp_2m", 1000, "leading"), "visits a time twice"),
        (recipe("flow_euler", 10, "linspace"), "no flow samplers for schedule 'linear'"),
        (recipe("euler", 10, "trailing", churn=5.0), "churn"),
    ],
)
def test_what_diffusers_cannot_do_is_refused_with_one_reason(run, reason):
    found = conflicts(run, Facts(schedules.named("linear")))
    assert len(found) == 1
    assert reason in found[0]


def test_without_signal_at_the_end_eulers_start_has_the_sigma_of_diffusers():
    # numerics, section 1: alphas_cumprod = 2^-24 there, so sigma_max = 4096
    zero = schedules.named("linear", zero_snr=True)
    first = recipe("euler", 10, "trailing").levels(zero)[0]
    assert first.ratio == pytest.approx(4096, rel=1e-6)
    assert recipe("ddim", 10, "trailing").levels(zero)[0].alpha == 0
    with pytest.raises(InputError, match="no heun for a schedule without signal"):
        recipe("heun", 10, "trailing").levels(zero)


@pytest.mark.parametrize("name", FRACTIONAL)
def test_the_start_has_diffusers_init_noise_sigma(measure, name):
    network, _ = measure.predicting("eps")
    for spacing in GRIDS:
        theirs = measure.Theirs(name, network, "eps", 10, timestep_spacing=spacing)
        schedule, run = theirs_as_ours(theirs.scheduler), recipe(name, 10, spacing)
        first = run.levels(schedule)[0]
        want = float(theirs.scheduler.init_noise_sigma) * first.alpha
        assert initial_std(run, schedule, first) == pytest.approx(want, rel=1e-6)
    plain = recipe(name, 10, "trailing", compat="none")
    assert initial_std(plain, schedules.named("linear"), plain.levels(schedule)[0]) == 1


def test_the_end_at_alpha_one_is_a_choice_of_diffusers_alone():
    facts = Facts(schedules.named("linear"))
    assert "set_alpha_to_one" in idle(recipe("ddim", 10, "leading", compat="none"), facts)
    assert "set_alpha_to_one" not in idle(recipe("ddim", 10, "leading"), facts)


def test_levels_fall_strictly_or_are_refused():
    schedule = schedules.named("scaled_linear")
    for name in ("ddim", "euler", "dpmpp_2m"):
        for spacing in GRIDS:
            for n_steps in range(1, 1001, 111):
                try:
                    levels = recipe(name, n_steps, spacing).levels(schedule)
                except InputError:
                    continue
                ratios = [level.ratio for level in levels]
                assert len(levels) == n_steps + 1 and math.isfinite(ratios[0])
                assert all(b < a for a, b in pairwise(ratios))
