"""A Gaussian mixture, of which everything is known: x0_hat, score, log p, the probability flow.

Data sum_k w_k N(m_k, s_k^2), each value for itself. At a level they are the mixture of the
N(alpha m_k, alpha^2 s_k^2 + sigma^2), so density, score and posterior are closed; and in one
dimension the flow keeps every value at its quantile, which gives its exact solution. Unlike
Gaussian data, nothing here is linear.
"""

import math

import pytest
import torch

from diffview.engine import conversions, samplers, schedules
from diffview.engine.estimate import Estimate, Step
from diffview.engine.levels import CLEAN, NoiseLevel

WEIGHTS, MEANS, STDS = (
    torch.tensor(row, dtype=torch.float64)
    for row in ([0.5, 0.3, 0.2], [-1.0, 0.4, 1.3], [0.3, 0.2, 0.4])
)
FAMILIES = ["vp", "ve", "flow"]


def parts(x_t, level):
    """Means, standard deviations of the components at a level, and x_t beside them."""
    return (
        level.alpha * MEANS,
        torch.sqrt((level.alpha * STDS) ** 2 + level.sigma**2),
        x_t[..., None],
    )


def log_p(x_t, level):
    means, stds, x = parts(x_t, level)
    return (torch.log(WEIGHTS) + torch.distributions.Normal(means, stds).log_prob(x)).logsumexp(-1)


def quantile_of(x_t, level):
    means, stds, x = parts(x_t, level)
    return (WEIGHTS * torch.distributions.Normal(means, stds).cdf(x)).sum(-1)


def x0_hat(x_t, level):
    """E[x_0 | x_t]: each component's own posterior mean, by its posterior weight."""
    means, stds, x = parts(x_t, level)
    weights = (torch.log(WEIGHTS) + torch.distributions.Normal(means, stds).log_prob(x)).softmax(
        -1
    )
    own = MEANS + level.alpha * STDS**2 / stds**2 * (x - means)
    return (weights * own).sum(-1)


def denoise(x_t, level):
    return Estimate(x0_hat(x_t, level))


def on_the_flow(x_t, level, target):
    """Where the probability flow takes x_t: the same quantile at the target's level."""
    wanted = quantile_of(x_t, level)
    low, high = torch.full_like(x_t, -400.0), torch.full_like(x_t, 400.0)
    for _ in range(80):
        middle = (low + high) / 2
        below = quantile_of(middle, target) < wanted
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return (low + high) / 2


POINTS = torch.linspace(-2.5, 2.5, 21, dtype=torch.float64)
LEVELS = [
    schedules.named("linear").level(60),
    schedules.named("cosine").level(700),
    schedules.edm().level(1.5),
    schedules.flow().level(0.4),
]


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: f"t={level.t:g}")
def test_x0_hat_is_bayes_rule_integrated(level):
    x_0 = torch.linspace(-6, 6, 20001, dtype=torch.float64)
    prior = torch.exp(log_p(x_0, NoiseLevel(0.0, 1.0, 0.0)))
    seen = torch.exp(-((POINTS[:, None] - level.alpha * x_0) ** 2) / (2 * level.sigma**2))
    weights = prior * seen
    expected = (weights * x_0).sum(1) / weights.sum(1)
    torch.testing.assert_close(x0_hat(POINTS, level), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: f"t={level.t:g}")
def test_the_score_that_goes_with_x0_hat_is_the_gradient_of_log_p(level):
    x = POINTS.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(log_p(x, level).sum(), x)
    score = conversions.score_from_x0(POINTS, x0_hat(POINTS, level), level)
    torch.testing.assert_close(score, gradient, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: f"t={level.t:g}")
def test_the_quantile_is_the_integral_of_p(level):
    low = NoiseLevel(level.t, level.alpha, level.sigma)
    x = torch.linspace(-40, 2, 400001, dtype=torch.float64)
    mass = torch.trapezoid(torch.exp(log_p(x, low)), x)
    assert quantile_of(x[-1], level).item() == pytest.approx(mass.item(), abs=1e-8)


# The samplers on that flow: from r = 3 to r = 0.3, where it bends most.


def flow_levels(measure, family, n_steps):
    """N levels, even in log r, the last of them at r = 0.3; and CLEAN."""
    ratios = [3.0 * 0.1 ** (i / (n_steps - 1)) for i in range(n_steps)]
    return (*(measure.level_at(family, r) for r in ratios), CLEAN)


def solved(measure, name, family, n_steps, start, **options):
    """The state at r = 0.3 of a sampler that began at r = 3.

    Where it goes by several older steps, the first three are given as they should be: what it
    does without them is of lower order.
    """
    levels = flow_levels(measure, family, n_steps)
    given = 3 if samplers.find(name).history == 3 else 0
    points = [levels[0].alpha * start]
    points += [on_the_flow(points[0], levels[0], level) for level in levels[1 : given + 1]]
    past = [
        Step(i, level, x, denoise(x, level))
        for i, (level, x) in enumerate(zip(levels, points[:given], strict=False))
    ]
    steps = measure.ours(name, denoise, levels, points[given], family=family, past=past, **options)
    return levels, steps[-2].stages[0].x_t if name == "unipc" else steps[-2].x_t


DETERMINISTIC = [
    ("ddim", {}),
    ("euler", {}),
    ("euler_ancestral", {"eta": 0.0}),
    ("flow_euler", {}),
    ("heun", {}),
    ("flow_heun", {}),
    *(("lms", {"order": order}) for order in (2, 3, 4)),
    ("dpmpp_2m", {}),
    ("dpmpp_2m_sde", {"eta": 0.0}),
    *(("unipc", {"order": order}) for order in (1, 2, 3)),
]
STARTS = torch.linspace(-3.0, 3.0, 13, dtype=torch.float64)


def declared(name, options):
    if name == "lms":
        return options["order"]
    if name == "unipc":
        return options["order"] + 1  # the corrector adds one: section 3.1 of the paper
    return samplers.find(name).order


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("name", "options"), DETERMINISTIC)
def test_the_error_on_the_exact_flow_of_a_mixture_falls_with_the_declared_order(
    measure, name, options, family
):
    errors = []
    for n_steps in (161, 321):
        levels, found = solved(measure, name, family, n_steps, STARTS, **options)
        exact = on_the_flow(levels[0].alpha * STARTS, levels[0], levels[-2])
        errors.append((found - exact).abs().max().item())
    assert math.log2(errors[0] / errors[1]) == pytest.approx(declared(name, options), abs=0.25)


ONE_STEP = [case for case in DETERMINISTIC if samplers.find(case[0]).history < 3]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("name", "options"), ONE_STEP)
def test_the_density_a_sampler_carries_along_is_that_of_the_data(measure, name, options, family):
    # log p(x') = log p(x) - log |dx' / dx| along the flow: the derivative of the sampler itself.
    start = STARTS.clone().requires_grad_()
    levels, found = solved(measure, name, family, 161, start, **options)
    (stretch,) = torch.autograd.grad(found.sum(), start)
    first, last = levels[0], levels[-2]
    before = log_p(first.alpha * STARTS, first) + math.log(first.alpha)  # per unit of start
    carried = before - torch.log(stretch)
    near = 0.05 if declared(name, options) == 1 else 5e-4
    torch.testing.assert_close(carried, log_p(found.detach(), last), rtol=0, atol=near)


@pytest.mark.parametrize("name", ["ddpm", "ddim", "euler_ancestral", "dpmpp_2m_sde"])
def test_with_noise_the_output_is_distributed_as_the_mixture(measure, name):
    # Kolmogorov and Smirnov's distance to the exact quantiles: 1.95 / sqrt(n) is p = 0.001.
    n, steps_are_off_by = 10_000, 0.005
    options = {} if name == "ddpm" else {"eta": 1.0}

    def draw(seed):
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(n, generator=generator, dtype=torch.float64)

    levels = measure.grid("vp", 100)
    noise = NoiseLevel(0.0, 1e-9, 1.0)
    start = on_the_flow(draw(0), noise, levels[0])
    end = measure.ours(name, denoise, levels, start, lambda i: draw(i + 1), **options)[-1].x_t
    ranks = quantile_of(end, CLEAN).sort().values
    even = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    assert (ranks - even).abs().max().item() < 1.95 / math.sqrt(n) + steps_are_off_by
