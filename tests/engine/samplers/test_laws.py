"""What must hold between samplers, and for Gaussian data: identities, order, moments."""

import math
from itertools import pairwise

import pytest
import torch

from diffview.engine import samplers, schedules, spacings
from diffview.engine.estimate import Estimate
from diffview.engine.levels import CLEAN
from diffview.engine.samplers.ddpm import posterior

FAMILIES = ["vp", "ve", "flow"]
COUNTS = [1, 2, 7, 20]
DETERMINISTIC = [
    ("ddim", {}),
    ("euler", {}),
    ("euler_ancestral", {"eta": 0.0}),
    ("flow_euler", {}),
    ("heun", {}),
    ("flow_heun", {}),
    *(("lms", {"order": order}) for order in (1, 2, 3, 4)),
    ("dpmpp_2m", {}),
    *(("dpmpp_2m_sde", {"eta": 0.0, "solver": solver}) for solver in ("midpoint", "heun")),
    *(("unipc", {"order": order}) for order in (1, 2, 3)),
]


# Identities (Song et al. 2021; Lu et al. 2022, section 4.1; Liu et al. 2022).


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("euler", {}),
        ("euler_ancestral", {"eta": 0.0}),
        ("lms", {"order": 1}),
        ("flow_euler", {}),
    ],
)
def test_without_noise_all_first_order_samplers_are_ddim(measure, name, options, family):
    _, denoise = measure.predicting("x0")
    for n_steps in COUNTS:
        levels = measure.grid(family, n_steps)
        ddim = measure.ours("ddim", denoise, levels)
        for step, other in zip(ddim, measure.ours(name, denoise, levels, **options), strict=True):
            torch.testing.assert_close(step.x_t, other.x_t, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("name", "options", "ddim_eta"),
    [
        ("dpmpp_2m", {}, 0.0),
        ("unipc", {}, 0.0),
        ("dpmpp_2m_sde", {"eta": 0.0}, 0.0),
        ("dpmpp_2m_sde", {"eta": 1.0}, 1.0),
        ("dpmpp_2m_sde", {"eta": 1.0, "solver": "heun"}, 1.0),
    ],
)
def test_the_first_order_of_the_dpm_solvers_is_ddim_from_any_level_to_any(
    measure, name, options, ddim_eta, family
):
    _, denoise = measure.predicting("x0")
    for pair in pairwise(measure.grid(family, 12)[:-1]):
        levels = (*pair, CLEAN)  # the first step and the last of a run are of first order
        ours = measure.ours(name, denoise, levels, **options)
        ddim = measure.ours("ddim", denoise, levels, eta=ddim_eta)
        torch.testing.assert_close(ours[1].x_t, ddim[1].x_t, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_euler_ancestral_is_ddim_of_the_same_eta_and_at_one_ddpm(measure, eta, family):
    _, denoise = measure.predicting("x0")
    for n_steps in COUNTS:
        levels = measure.grid(family, n_steps)
        ends = [
            measure.ours(name, denoise, levels, eta=eta) for name in ("ddim", "euler_ancestral")
        ]
        if eta == 1:
            ends.append(measure.ours("ddpm", denoise, levels, variance="small"))
        for other in ends[1:]:
            torch.testing.assert_close(ends[0][-1].x_t, other[-1].x_t, rtol=1e-9, atol=1e-9)


FIVE = torch.tensor([-1.5, -0.4, 0.1, 0.9, 2.0], dtype=torch.float64)


def of_five_points(x_t, level):
    """E[x_0 | x_t] where the data are five points: their mean by posterior weight."""
    log_weights = -((x_t[..., None] - level.alpha * FIVE) ** 2) / (2 * level.sigma**2)
    return Estimate((log_weights.softmax(-1) * FIVE).sum(-1))


@pytest.mark.parametrize(
    "alike",
    [
        [("ddim", {}), ("euler", {}), ("flow_euler", {}), ("lms", {"order": 1})],
        [("ddpm", {"variance": "small"}), ("ddim", {"eta": 1.0}), ("euler_ancestral", {})],
    ],
)
def test_on_twenty_leading_steps_to_a_data_set_of_five_points_they_are_alike(measure, alike):
    levels = spacings.levels(schedules.named("linear"), 20, "leading")
    first, *others = (
        measure.ours(name, of_five_points, levels, **options) for name, options in alike
    )
    for other in others:
        for step, same in zip(first, other, strict=True):
            torch.testing.assert_close(step.x_t, same.x_t, rtol=1e-8, atol=1e-8)
    assert (first[-1].x_t[..., None] - FIVE).abs().min(-1).values.max() < 0.05


@pytest.mark.parametrize("family", FAMILIES)
def test_the_sde_solver_without_noise_is_the_multistep_solver(measure, family):
    _, denoise = measure.predicting("x0")
    levels = measure.grid(family, 20)
    plain = measure.ours("dpmpp_2m", denoise, levels)
    sde = measure.ours("dpmpp_2m_sde", denoise, levels, eta=0.0)
    torch.testing.assert_close(plain[-1].x_t, sde[-1].x_t, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("name", "options"), DETERMINISTIC)
def test_on_one_data_point_the_flow_is_a_straight_line_that_no_sampler_leaves(
    measure, name, options, family
):
    point = 0.4
    levels = measure.grid(family, 13)
    steps = measure.ours(name, lambda x, _: Estimate(torch.full_like(x, point)), levels, **options)
    first = steps[0]
    eps = (first.x_t - first.level.alpha * point) / first.level.sigma
    for step in steps:
        line = step.level.alpha * point + step.level.sigma * eps
        torch.testing.assert_close(step.x_t, line, rtol=1e-12, atol=1e-12)


# Gaussian data: the exact posterior, the exact flow, the exact outcome of N steps.


@pytest.mark.parametrize("family", FAMILIES)
def test_ddpms_weights_are_bayes_rule_at_every_level(measure, family):
    # x' | x_0 ~ N(alpha' x_0, sigma'^2) and x_t | x' ~ N(a x', sigma^2 - a^2 sigma'^2)
    for level, target in pairwise(measure.grid(family, 12)[:-1]):
        a = level.alpha / target.alpha
        fresh = level.sigma**2 - a**2 * target.sigma**2
        variance = 1 / (1 / target.sigma**2 + a**2 / fresh)
        move = posterior(level, target, "small")
        assert move.w0 == pytest.approx(variance * target.alpha / target.sigma**2, rel=1e-10)
        assert move.w1 == pytest.approx(variance * a / fresh, rel=1e-10)
        assert move.noise_std == pytest.approx(math.sqrt(variance), rel=1e-10)
        assert posterior(level, target, "large").noise_std == pytest.approx(math.sqrt(fresh))


@pytest.mark.parametrize(("name", "options"), DETERMINISTIC)
def test_the_error_falls_with_the_declared_order(measure, name, options):
    declared = samplers.find(name).order
    if name == "lms":
        declared = options["order"]
    if name == "unipc":
        declared = options["order"] + 1  # the corrector adds one: section 3.1 of the paper
    assert measure.measured_order(name, **options) == pytest.approx(declared, abs=0.13)


@pytest.mark.parametrize(("name", "order"), [("lms", 4), ("lms", 3), ("unipc", 3), ("unipc", 2)])
def test_the_order_is_the_multistep_methods_own_and_not_that_of_its_start(measure, name, order):
    started = measure.measured_order(name, order=order, past_exact=3)
    assert started == pytest.approx(order + (name == "unipc"), abs=0.13)


@pytest.mark.parametrize("name", ["lms", "unipc"])
def test_the_declared_order_is_that_of_the_default_options(measure, name):
    assert measure.measured_order(name) == pytest.approx(samplers.find(name).order, abs=0.13)


PUBLISHED = {  # RMS over one set of starts, N = 10, 20, 40, 80, 160, 320
    "euler": [1.405e-1, 7.545e-2, 3.909e-2, 1.990e-2, 1.004e-2, 5.042e-3],
    "heun": [1.025e-1, 2.292e-2, 5.423e-3, 1.319e-3, 3.253e-4, 8.078e-5],
    "dpmpp_2m": [4.455e-2, 2.245e-2, 5.576e-3, 1.330e-3, 3.242e-4, 8.000e-5],
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_errors_are_those_of_another_implementation_up_to_its_starting_points(measure, name):
    # The error is a factor of N times the start's distance from the mean: RMS 1.1201 of theirs.
    errors = [measure.flow_error(name, n_steps) for n_steps in (10, 20, 40, 80, 160, 320)]
    scaled = [1.1201 * error for error in errors]
    assert scaled == pytest.approx(PUBLISHED[name], rel=5e-4)


ALL = [
    *DETERMINISTIC,
    *(("ddim", {"eta": eta}) for eta in (0.4, 1.0)),
    *(("ddpm", {"variance": variance}) for variance in ("small", "large")),
    *(("euler_ancestral", {"eta": eta}) for eta in (0.4, 1.0)),
    *(("dpmpp_2m_sde", {"eta": 1.0, "solver": solver}) for solver in ("midpoint", "heun")),
    ("euler", {"churn": 40.0, "s_tmin": 0.05, "s_tmax": 50.0, "s_noise": 1.003}),
]


@pytest.mark.parametrize("n_steps", [10, 50, 250])
@pytest.mark.parametrize(("name", "options"), ALL)
def test_mean_and_std_of_the_output_are_those_of_the_exact_recursion(
    measure, name, options, n_steps
):
    levels = measure.grid("vp", n_steps)
    found = our_outcome(measure, name, options, levels)
    assert found == pytest.approx(recursion(measure, name, options, levels), rel=1e-9)


def our_outcome(measure, name, options, levels):
    """Mean and std of the output of our sampler on Gaussian data."""
    denoise = measure.gaussian(measure.MEAN, measure.STD)
    return outcome(
        len(levels) - 1,
        lambda start, unit: (
            measure.ours(name, denoise, levels, start, unit, family="vp", **options)[-1].x_t
        ),
    )


def outcome(n_steps, loop):
    """Mean and std of a linear loop's output, from one run of N + 2 numbers.

    From 0 and without noise comes the mean, from 1 the gain of x_T, and one number for each
    step's noise the gain of that.
    """
    start = torch.zeros(n_steps + 2, dtype=torch.float64)
    start[1] = 1

    def unit(i):
        z = torch.zeros_like(start)
        z[2 + i] = 1
        return z

    out = loop(start, unit)
    return out[0].item(), (out[1:] - out[0]).square().sum().sqrt().item()


def recursion(measure, name, options, levels):
    """The same by the authors' loops; DDIM and DDPM by their equations on mean and variance."""
    mean, std = measure.MEAN, measure.STD
    n_steps = len(levels) - 1
    if name not in ("ddim", "ddpm"):
        drawn, more = (lambda unit: unit), dict(options)
        if "churn" in options:
            more["s_churn"] = more.pop("churn")
            drawn = lambda unit: lambda i: unit(i - 1 if i else n_steps - 1)  # noqa: E731
        return outcome(
            n_steps,
            lambda start, unit: measure.textbook(
                name, measure.gaussian(mean, std), "vp", levels, start, drawn(unit), **more
            )[-1],
        )
    m, variance = 0.0, 1.0
    for level, target in pairwise(levels):
        acp, acp_next = level.alpha**2, target.alpha**2
        gain = level.alpha * std**2 / (acp * std**2 + 1 - acp)
        beta = 1 - acp / acp_next
        if name == "ddim":  # eq. 12 and 16
            s2 = options.get("eta", 0.0) ** 2 * (1 - acp_next) / (1 - acp) * beta
            eps_part = math.sqrt(max(1 - acp_next - s2, 0)) / math.sqrt(1 - acp)
            w0, w1 = math.sqrt(acp_next) - eps_part * math.sqrt(acp), eps_part
        else:  # eq. 7
            w0 = math.sqrt(acp_next) * beta / (1 - acp)
            w1 = math.sqrt(1 - beta) * (1 - acp_next) / (1 - acp)
            small = (1 - acp_next) / (1 - acp) * beta
            s2 = small if options["variance"] == "small" else beta
        if target == CLEAN:
            s2 = 0.0
        x0_mean = mean + gain * (m - level.alpha * mean)
        m, variance = w0 * x0_mean + w1 * m, (w0 * gain + w1) ** 2 * variance + s2
    return m, math.sqrt(variance)


@pytest.mark.parametrize(("name", "options"), ALL)
def test_with_many_steps_the_output_has_the_datas_mean_and_std(measure, name, options):
    levels = measure.grid("vp", 250)
    mean, std = our_outcome(measure, name, options, levels)
    assert mean == pytest.approx(measure.MEAN, abs=0.01)
    assert std == pytest.approx(measure.STD, abs=0.03)  # churn of first order takes most of it
