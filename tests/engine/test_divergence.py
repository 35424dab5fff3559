"""The warning of a sampler that diverges: measured on data whose solution is known."""

from itertools import pairwise

import pytest

from diffview.engine import divergence, samplers, schedules
from diffview.engine.spec import RunSpec

COSINE = schedules.named("cosine")


def heun_in_edms_own_words(levels):
    """Algorithm 1 of the paper on data N(0, 1), in y = x / alpha, where D = y / (1 + sigma^2)."""
    sigmas = [level.ratio for level in levels]
    y = (1 + sigmas[0] ** 2) ** 0.5
    for sigma, after in pairwise(sigmas):
        d = (y - y / (1 + sigma**2)) / sigma
        ahead = y + (after - sigma) * d
        if after > 0:
            d = (d + (ahead - ahead / (1 + after**2)) / after) / 2
        y = y + (after - sigma) * d
    return abs(y)


@pytest.mark.parametrize("n_steps", [2, 5, 10, 20, 50, 100])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "karras"])
def test_heun_ends_as_wide_as_the_papers_algorithm_does(n_steps, spacing):
    run = RunSpec("m", "heun", n_steps, spacing)
    want = heun_in_edms_own_words(run.levels(COSINE))
    assert divergence.spread_at_end(run, COSINE) == pytest.approx(want, rel=1e-6)


def test_heun_on_cosine_and_trailing_is_warned_of_in_few_steps_and_not_in_many():
    few = divergence.warning(RunSpec("m", "heun", 10, "trailing"), COSINE)
    assert few.startswith("Heun diverges in 10 steps of spacing 'trailing'")
    assert divergence.warning(RunSpec("m", "heun", 50, "trailing"), COSINE) == ""
    assert divergence.warning(RunSpec("m", "heun", 10, "leading"), COSINE) == ""
    assert divergence.warning(RunSpec("m", "flow_heun", 10, "trailing"), COSINE) == ""


@pytest.mark.parametrize("schedule", ["linear", "scaled_linear", "cosine", "sigmoid_alphabar"])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace", "karras", "logsnr"])
def test_no_other_sampler_is_warned_of(schedule, spacing):
    for name in samplers.every():
        for n_steps in (5, 20):
            if name != "heun":
                run = RunSpec("m", name, n_steps, spacing)
                assert divergence.warning(run, schedules.named(schedule)) == ""


@pytest.mark.parametrize("name", ["heun", "unipc", "lms"])
def test_a_long_run_is_judged_by_a_coarser_one_while_the_window_waits(name, monkeypatch):
    asked = []

    def counted(x_t, level, denoise=divergence._denoise):
        asked.append(type(x_t))
        return denoise(x_t, level)

    monkeypatch.setattr(divergence, "_denoise", counted)
    assert divergence.warning(RunSpec("m", name, 1000, "trailing"), COSINE) == ""
    assert len(asked) < 2 * divergence.ENOUGH and set(asked) == {float}


def test_a_long_run_whose_coarser_one_diverges_is_judged_in_full(monkeypatch):
    monkeypatch.setattr(divergence, "ENOUGH", 10)
    assert "diverges in 20 steps" in divergence.warning(RunSpec("m", "heun", 20), COSINE)
    assert divergence.warning(RunSpec("m", "heun", 50), COSINE) == ""
