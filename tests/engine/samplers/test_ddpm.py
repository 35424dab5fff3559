"""DDPM against diffusers step by step, against Bayes' rule, and against exact laws."""

import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine import guidance, samplers, schedules, spacings
from diffview.engine.conversions import x0_from_eps
from diffview.engine.estimate import Estimate
from diffview.engine.finishing import Finish
from diffview.engine.samplers.ddpm import learned_std, posterior
from diffview.errors import InputError

COUNTS = (1, 2, 5, 7, 10, 13, 20, 25, 50, 100)
GRIDS = [
    (spacing, n_steps) for spacing in ("leading", "trailing", "linspace") for n_steps in COUNTS
]
TO_TIME_ZERO = [grid for grid in GRIDS if grid[0] != "trailing"]


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize(("spacing", "n_steps"), GRIDS)
def test_ddpm_of_small_variance_equals_diffusers_on_every_step(
    bench, predicting_network, monkeypatch, spacing, n_steps, prediction
):
    network, denoise = predicting_network(prediction)
    steps = bench.ours("ddpm", denoise, n_steps, spacing, variance="small")
    x_0, estimates = bench.ddpm(
        network, prediction, n_steps, spacing, monkeypatch, variance="small"
    )
    for step, theirs in zip(steps, estimates, strict=False):
        torch.testing.assert_close(step.estimate.x0_hat, theirs, rtol=1e-8, atol=1e-8)
    # diffusers adds noise of standard deviation 1e-10 on the last step.
    torch.testing.assert_close(steps[-1].x_t, x_0, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize(("spacing", "n_steps"), TO_TIME_ZERO)
def test_ddpm_of_large_variance_equals_diffusers_on_grids_that_end_at_time_zero(
    bench, predicting_network, monkeypatch, spacing, n_steps, prediction
):
    network, denoise = predicting_network(prediction)
    ours = bench.ours("ddpm", denoise, n_steps, spacing, variance="large")[-1].x_t
    theirs, _ = bench.ddpm(network, prediction, n_steps, spacing, monkeypatch, variance="large")
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(
    ("spacing", "n_steps", "variance"),
    [
        *((*grid, "small") for grid in GRIDS),
        *((*grid, "large") for grid in TO_TIME_ZERO),
    ],
)
@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_clipped_ddpm_equals_diffusers(
    bench, predicting_network, monkeypatch, prediction, spacing, n_steps, variance
):
    network, raw = predicting_network(prediction)
    clipped = guidance.finish(raw, Finish(clip="clamp", low=-1, high=1), rederive_eps=True)
    ours = bench.ours("ddpm", clipped, n_steps, spacing, variance=variance)[-1].x_t
    theirs, _ = bench.ddpm(
        network, prediction, n_steps, spacing, monkeypatch, clip=True, variance=variance
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


def test_the_whole_chain_of_a_thousand_steps_equals_diffusers(
    bench, predicting_network, monkeypatch
):
    network, denoise = predicting_network("eps")
    ours = bench.ours("ddpm", denoise, 1000, "leading", variance="large")[-1].x_t
    theirs, _ = bench.ddpm(network, "eps", 1000, "leading", monkeypatch, variance="large")
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("n_steps", "left_over"), [(10, 0.3205), (20, 0.170), (50, 0.076)])
def test_no_noise_is_added_on_the_last_step_where_diffusers_adds_beta(
    bench, monkeypatch, n_steps, left_over
):
    # Of data that are one point, the end must be that point; diffusers' has the published spread.
    def network(x, _):
        return torch.full_like(x, 0.4)

    def denoise(x, _):
        return Estimate(network(x, _))

    ours = bench.ours("ddpm", denoise, n_steps, "trailing", variance="large")[-1].x_t
    theirs, _ = bench.ddpm(network, "x0", n_steps, "trailing", monkeypatch, variance="large")
    torch.testing.assert_close(ours, network(ours, 0), rtol=0, atol=1e-12)
    last = spacings.BY_TIME["trailing"](1000, n_steps)[-1]
    level = bench.schedule().level(last)
    assert level.sigma == pytest.approx(left_over, abs=6e-4)
    assert (theirs - ours).std().item() == pytest.approx(level.sigma, rel=0.6)


@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
@pytest.mark.parametrize("n_steps", [1, 7, 50])
def test_ddpm_of_small_variance_is_ddim_of_eta_one(bench, predicting_network, spacing, n_steps):
    _, denoise = predicting_network("v")
    ddpm = bench.ours("ddpm", denoise, n_steps, spacing, variance="small")
    ddim = bench.ours("ddim", denoise, n_steps, spacing, eta=1.0)
    for one, other in zip(ddpm, ddim, strict=True):
        torch.testing.assert_close(one.x_t, other.x_t, rtol=1e-8, atol=1e-8)


@given(data=st.data(), name=st.sampled_from(["linear", "cosine"]))
def test_the_weights_are_those_of_bayes_rule(data, name):
    # x' = alpha' x_0 + sigma' e is seen through x_t = r x' + sqrt(1 - r^2) e with r = alpha /
    # alpha': prior N(alpha' x_0, sigma'^2) times likelihood, by adding precisions.
    schedule = schedules.named(name)
    t = data.draw(st.integers(1, 999))
    level, target = schedule.level(t), schedule.level(data.draw(st.integers(0, t - 1)))
    r = level.alpha / target.alpha
    prior, seen = 1 / target.sigma**2, r**2 / (1 - r**2)
    move = posterior(level, target, "small")
    assert move.noise_std**2 == pytest.approx(1 / (prior + seen), rel=1e-9)
    assert move.w0 == pytest.approx(prior * target.alpha / (prior + seen), rel=1e-9)
    assert move.w1 == pytest.approx(r / (1 - r**2) / (prior + seen), rel=1e-9)
    large = posterior(level, target, "large")
    assert (large.w0, large.w1) == (move.w0, move.w1)
    assert large.noise_std**2 == pytest.approx(1 - r**2, rel=1e-9)


@pytest.mark.parametrize("n_steps", [1, 2, 7, 50])
def test_a_learned_variance_equals_that_of_diffusers(bench, monkeypatch, n_steps):
    def network(x, t):
        """Eps in the first half of the channels, v of the variance in the second."""
        return torch.cat([torch.tanh(0.7 * x) + 0.1 * x, torch.sin(3 * x)], dim=1)

    def denoise(x_t, level):
        eps, v = network(x_t, level.t).chunk(2, dim=1)
        return Estimate(x0_from_eps(x_t, eps, level), variance_mix=(v + 1) / 2)

    ours = bench.ours("ddpm", denoise, n_steps, "leading", variance="learned")
    theirs, estimates = bench.ddpm(
        network, "eps", n_steps, "leading", monkeypatch, variance="learned_range"
    )
    torch.testing.assert_close(ours[-1].x_t, theirs, rtol=1e-8, atol=1e-8)
    for step, estimate in zip(ours, estimates, strict=False):
        torch.testing.assert_close(step.estimate.x0_hat, estimate, rtol=1e-8, atol=1e-8)


def test_a_learned_variance_of_a_network_that_has_none_is_refused(bench, predicting_network):
    _, denoise = predicting_network("eps")
    with pytest.raises(InputError, match="learned no variance: choose variance=small"):
        bench.ours("ddpm", denoise, 5, "leading", variance="learned")


@given(mix=st.floats(0, 1), t=st.integers(2, 999))
def test_a_learned_variance_lies_between_small_and_large_in_logarithms(mix, t):
    levels = [schedules.named("linear").level(time) for time in (t, t - 1)]
    estimate = Estimate(torch.zeros(1), variance_mix=torch.tensor([mix], dtype=torch.float64))
    small, large = (posterior(*levels, kind).noise_std for kind in ("small", "large"))
    expected = mix * math.log(large) + (1 - mix) * math.log(small)
    assert learned_std(*levels, estimate).log().item() == pytest.approx(expected, rel=1e-9)


def test_published_variances_of_the_linear_schedule():
    schedule = schedules.named("linear")

    def variance(t, kind):
        return posterior(schedule.level(t), schedule.level(t - 1), kind).noise_std ** 2

    assert variance(1, "small") == pytest.approx(5.453188e-5, rel=1e-6)
    assert variance(1, "large") == pytest.approx(1.199199e-4, rel=1e-6)
    assert variance(999, "small") == pytest.approx(0.01999998, rel=1e-6)
    assert variance(999, "large") == pytest.approx(0.02, rel=1e-6)


def exact_spread(schedule, times, mean, std, kind):
    """Mean and standard deviation of what N ancestral steps make of Gaussian data, by recursion.

    Written in variance-exploding terms, y = x / alpha with noise ratio r = sigma / alpha, where a
    step is y' = y + (1 - r'^2 / r^2) (D(y) - y) + noise: another road than the sampler's.
    """
    ratios = [math.sqrt(1 / schedule.alphas_cumprod[t] - 1) for t in times] + [0.0]
    alphas = [math.sqrt(schedule.alphas_cumprod[t]) for t in times] + [1.0]
    m, v = 0.0, 1 / alphas[0] ** 2
    for (r, r_next), (a, a_next) in zip(pairwise(ratios), pairwise(alphas), strict=True):
        pull = (1 - (r_next / r) ** 2) * r**2 / (std**2 + r**2)
        small = r_next**2 * (r**2 - r_next**2) / r**2
        large = (1 - (a / a_next) ** 2) / a_next**2
        m = m + pull * (mean - m)
        v = (1 - pull) ** 2 * v + (0 if r_next == 0 else small if kind == "small" else large)
    return m, math.sqrt(v)


@pytest.mark.parametrize("variance", ["small", "large"])
@pytest.mark.parametrize("spacing", ["leading", "trailing"])
@pytest.mark.parametrize("n_steps", [10, 50, 250])
def test_gaussian_data_come_out_with_exactly_the_spread_of_the_recursion(
    gaussian_denoise, affine, n_steps, spacing, variance
):
    schedule = schedules.named("linear")
    levels = spacings.levels(schedule, n_steps, spacing)
    out = affine("ddpm", gaussian_denoise(0.3, 0.5), levels, variance=variance)
    times = spacings.BY_TIME[spacing](1000, n_steps)
    mean, std = exact_spread(schedule, times, 0.3, 0.5, variance)
    assert out.mean == pytest.approx(mean, rel=1e-9)
    assert out.std == pytest.approx(std, rel=1e-9)


@pytest.mark.parametrize("n_steps", [10, 50, 250])
def test_small_variance_comes_out_too_narrow_and_large_too_wide(gaussian_denoise, affine, n_steps):
    levels = spacings.levels(schedules.named("linear"), n_steps, "leading")
    small, large = (
        affine("ddpm", gaussian_denoise(0.3, 0.5), levels, variance=kind).std
        for kind in ("small", "large")
    )
    assert small < 0.5 < large


@pytest.mark.parametrize("variance", ["small", "large"])
def test_the_whole_chain_gives_back_gaussian_data(gaussian_denoise, affine, variance):
    schedule = schedules.named("linear")
    levels = spacings.levels(schedule, 1000, "trailing")
    out = affine("ddpm", gaussian_denoise(0.3, 0.5), levels, variance=variance)
    mean, std = exact_spread(schedule, range(999, -1, -1), 0.3, 0.5, variance)
    assert (out.mean, out.std) == (pytest.approx(mean), pytest.approx(std))
    # An infinite chain would be exact; a thousand steps are within one per cent.
    assert out.mean == pytest.approx(0.3, rel=0.01)
    assert out.std == pytest.approx(0.5, rel=0.01)


def test_small_variance_is_exact_for_data_that_are_one_point(gaussian_denoise, affine):
    levels = spacings.levels(schedules.named("linear"), 10, "trailing")
    out = affine("ddpm", gaussian_denoise(0.3, 0.0), levels, variance="small")
    assert out.mean == pytest.approx(0.3, rel=1e-12)
    assert out.std < 1e-12


def test_large_variance_is_exact_for_standard_normal_data(gaussian_denoise, affine):
    # Every state is standard normal; the last move multiplies by alpha and adds no noise.
    levels = spacings.levels(schedules.named("linear"), 10, "trailing")
    out = affine("ddpm", gaussian_denoise(0.0, 1.0), levels, variance="large")
    assert out.std == pytest.approx(levels[-2].alpha, rel=1e-12)


def test_a_schedule_that_ends_in_pure_noise_is_sampled_without_a_division_by_zero(
    gaussian_denoise, affine
):
    schedule = schedules.given(alphas_cumprod=[0.99, 0.9, 0.6, 0.2, 0.0])
    levels = spacings.levels(schedule, 5, "trailing")
    for name, options in [("ddpm", {"variance": "large"}), ("ddim", {"eta": 0.5})]:
        out = affine(name, gaussian_denoise(0.3, 0.5), levels, **options)
        assert all(math.isfinite(gain) for gain in (out.mean, *out.gains))


def test_the_last_step_asks_for_no_noise(bench, predicting_network):
    _, denoise = predicting_network("v")
    levels = spacings.levels(bench.schedule(), 5, "trailing")
    drawn = []

    def note(i):
        drawn.append(i)
        return torch.zeros(1, 2)

    list(samplers.find("ddpm").generate(denoise, torch.ones(1, 2), levels, note))
    assert drawn == [0, 1, 2, 3]
