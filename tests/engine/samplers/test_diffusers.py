"""The whole loop of every sampler against diffusers', in doubles and with the same noise.

diffusers keeps sigmas in float32 and casts states to it; measure.py lends it doubles for both, and
takes the levels from its scheduler, so that nothing but the samplers can differ. The levels of its
DPM-Solver++ and UniPC are those of N + 1 points without the last, for linspace and leading.
"""

import math

import pytest
import torch

from diffview.engine import finishing, guidance
from diffview.engine.finishing import Finish
from diffview.engine.levels import CLEAN, NoiseLevel

SDE = {"algorithm_type": "sde-dpmsolver++"}
CASES = [
    ("euler", {}, {}),
    ("euler_ancestral", {}, {}),
    ("heun", {}, {}),
    ("lms", {}, {}),
    *(("lms", {"order": k}, {"step_options": {"order": k}}) for k in (2, 3)),
    ("dpmpp_2m", {}, {}),
    ("dpmpp_2m_sde", {}, SDE),
    ("dpmpp_2m_sde", {"solver": "heun"}, {**SDE, "solver_type": "heun"}),
    *(("unipc", {"order": k}, {"solver_order": k}) for k in (1, 2, 3)),
]
OF_N_PLUS_1 = ("dpmpp_2m", "dpmpp_2m_sde", "unipc")
COUNTS = (1, 2, 5, 7, 10, 13, 20, 25, 50, 100)


def compared(measure, name, options, config, prediction, n_steps):
    network, denoise = measure.predicting(prediction)
    theirs = measure.Theirs(name, network, prediction, n_steps, **config)
    steps = measure.ours(name, denoise, theirs.levels, **options)
    assert len(steps) == n_steps + 1
    # eps at r = 157 is divided by alpha = 0.006 on the way to x_0, as big as 1e3
    near = 1e-12 * max(1.0, theirs.end.abs().max().item())
    torch.testing.assert_close(steps[-1].x_t, theirs.end, rtol=1e-10, atol=10 * near)
    return steps, theirs


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize(("name", "options", "config"), CASES)
def test_the_whole_loop_equals_diffusers(measure, name, options, config, spacing, prediction):
    for n_steps in COUNTS:
        compared(
            measure, name, options, {**config, "timestep_spacing": spacing}, prediction, n_steps
        )


@pytest.mark.parametrize(("name", "options", "config"), CASES)
def test_the_whole_loop_of_a_thousand_steps_equals_diffusers(measure, name, options, config):
    config = {**config, "timestep_spacing": "trailing"}
    compared(measure, name, options, config, "v", 1000)


@pytest.mark.parametrize("schedule", ["scaled_linear", "squaredcos_cap_v2"])
@pytest.mark.parametrize("karras", [False, True])
@pytest.mark.parametrize(("name", "options", "config"), CASES)
def test_the_whole_loop_equals_diffusers_on_other_schedules(
    measure, name, options, config, karras, schedule
):
    if name == "euler_ancestral":
        config = {**config, "beta_schedule": schedule}  # it has no such grid
    else:
        config = {**config, "beta_schedule": schedule, "use_karras_sigmas": karras}
    compared(measure, name, options, config, "v", 13)


@pytest.mark.parametrize("shift", [1.0, 3.0])
@pytest.mark.parametrize("name", ["flow_euler", "flow_heun"])
def test_the_flow_samplers_equal_diffusers_flow_matching(measure, name, shift):
    for n_steps in (*COUNTS, 1000):
        compared(measure, name, {}, {"shift": shift}, "flow", n_steps)


@pytest.mark.parametrize(
    ("name", "options", "config"), [case for case in CASES if case[0][:3] in ("dpm", "uni")]
)
def test_the_multistep_solvers_equal_diffusers_on_flow_levels(measure, name, options, config):
    for n_steps in COUNTS:
        steps, _ = compared(
            measure, name, options, {**config, "use_flow_sigmas": True}, "flow", n_steps
        )
        assert steps[0].level.alpha < 0.0011  # theirs stop short of 0, where they divide by alpha


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize("name", ["euler", "euler_ancestral", "heun", "lms"])
def test_the_estimates_are_diffusers_pred_original_sample_at_every_evaluation(
    measure, name, prediction
):
    config = {"timestep_spacing": "trailing"}
    steps, theirs = compared(measure, name, {}, config, prediction, 10)
    points = [point for step in steps[:-1] for point in (step, *step.stages)]
    assert len(points) == (19 if name == "heun" else 10)
    for point, x0_hat in zip(points, theirs.estimates, strict=True):
        torch.testing.assert_close(point.estimate.x0_hat, x0_hat, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
def test_clipped_heun_equals_diffusers_which_derives_the_slope_from_the_clipped_estimate(
    measure, spacing, prediction
):
    network, raw = measure.predicting(prediction)
    for n_steps in COUNTS:
        theirs = measure.Theirs(
            "heun", network, prediction, n_steps, timestep_spacing=spacing, clip_sample=True
        )
        for rederive in (True, False):
            clipped = guidance.finish(
                raw, Finish(clip="clamp", low=-1, high=1), rederive_eps=rederive
            )
            steps = measure.ours("heun", clipped, theirs.levels)
            torch.testing.assert_close(steps[-1].x_t, theirs.end, rtol=1e-9, atol=1e-9)


THRESHOLDS = {"thresholding": True, "dynamic_thresholding_ratio": 0.8, "sample_max_value": 1e9}


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
@pytest.mark.parametrize(
    ("name", "options", "config"), [case for case in CASES if case[0] in OF_N_PLUS_1]
)
def test_the_multistep_solvers_with_dynamic_thresholding_equal_diffusers(
    measure, name, options, config, spacing, prediction
):
    network, raw = measure.predicting(prediction)
    how = finishing.Finish(clip="threshold", threshold=0.8)
    limited = guidance.finish(raw, how, rederive_eps=True)
    config = {**config, **THRESHOLDS, "timestep_spacing": spacing}
    for n_steps in COUNTS:
        theirs = measure.Theirs(name, network, prediction, n_steps, **config)
        steps = measure.ours(name, limited, theirs.levels, **options)
        torch.testing.assert_close(steps[-1].x_t, theirs.end, rtol=1e-9, atol=1e-9)


# Where diffusers is something else.


def test_diffusers_has_no_euler_ancestral_for_networks_that_predict_x0(measure):
    # Above it is told the eps that goes with their x_0.
    from diffusers import EulerAncestralDiscreteScheduler

    theirs = EulerAncestralDiscreteScheduler(prediction_type="sample")
    theirs.set_timesteps(5)
    x = measure.standard_normal(0)
    with pytest.raises(NotImplementedError):
        theirs.step(x, theirs.timesteps[0], theirs.scale_model_input(x, theirs.timesteps[0]))


@pytest.mark.parametrize("spacing", ["leading", "linspace"])
@pytest.mark.parametrize("name", OF_N_PLUS_1)
def test_of_a_thousand_steps_diffusers_dpm_solvers_take_some_twice_and_end_in_nan(
    measure, name, spacing
):
    network, _ = measure.predicting("v")
    config = {**(SDE if name == "dpmpp_2m_sde" else {}), "timestep_spacing": spacing}
    theirs = measure.Theirs(name, network, "v", 1000, **config)
    assert len({level.t for level in theirs.levels[:-1]}) < 1000
    assert not theirs.end.isfinite().any()


def test_diffusers_churn_asks_the_network_before_the_noise_is_put_back(measure):
    # EDM's algorithm 2 asks at the raised level; ours equals it (test_textbook.py).
    network, denoise = measure.predicting("x0")
    theirs = measure.Theirs("euler", network, "x0", 10, step_options={"s_churn": 2.0})
    asked = []

    def watched(x_t, level):
        asked.append(level.ratio)
        return denoise(x_t, level)

    ours = measure.ours("euler", watched, theirs.levels, family="vp", churn=2.0)
    planned = [level.ratio for level in theirs.levels[:-1]]
    assert asked == pytest.approx([1.2 * ratio for ratio in planned])
    assert (ours[-1].x_t - theirs.end).abs().max() > 1e-3


def test_diffusers_dpm_solvers_take_n_plus_1_points_and_drop_the_last(measure):
    network, _ = measure.predicting("v")
    times = {
        name: [level.t for level in measure.Theirs(name, network, "v", 10).levels[:-1]]
        for name in ("dpmpp_2m", "unipc")
    }
    published = [999, 899, 799, 699, 599, 500, 400, 300, 200, 100]  # and not down to t = 0
    assert times == {"dpmpp_2m": published, "unipc": published}


def test_diffusers_float32_moves_the_end_by_less_than_a_millionth(measure):
    # The floor of section 4's identities, and why the loops above lend it doubles.
    from diffusers import EulerDiscreteScheduler

    network, denoise = measure.predicting("v")
    scheduler = EulerDiscreteScheduler(prediction_type="v_prediction", timestep_spacing="trailing")
    scheduler.set_timesteps(20)
    acp = scheduler.alphas_cumprod.double()
    levels = [
        NoiseLevel(float(t), math.sqrt(acp[int(t)]), math.sqrt(1 - acp[int(t)]))
        for t in scheduler.timesteps
    ]
    y = measure.standard_normal(0) / levels[0].alpha
    for t in scheduler.timesteps:
        out = network(scheduler.scale_model_input(y, t), float(t))
        y = scheduler.step(out, t, y).prev_sample
    ours = measure.ours("euler", denoise, (*levels, CLEAN))[-1].x_t
    away = (ours - y).abs().max().item()
    assert 1e-12 < away < 1e-6
