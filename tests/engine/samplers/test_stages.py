"""What a step evaluated besides its own point: on the record, in the budget, beside the files."""

import re

import numpy as np
import pytest

from diffview.engine import schedules, session
from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import Trajectory, estimated_nbytes, stride_within
from diffview.errors import NonFiniteError

N = 7


def spec(sampler, *, guided=False, n_steps=N, options=()):
    guidance = Guidance("cfg", 3.0) if guided else Guidance()
    return RunSpec("plain", sampler, n_steps, guidance=guidance, seeds=(3, 1), options=options)


def recorded(denoiser, plan, stride=1):
    import torch

    trajectory = Trajectory(plan, denoiser.data_shape, stride)
    for record in run(denoiser, plan, torch.tensor([2, 5])):
        trajectory.append(record)
    return trajectory


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("sampler", ["heun", "flow_heun"])
def test_heuns_second_stage_lies_on_the_record_of_its_step(plain_denoiser, sampler, guided):
    denoiser = plain_denoiser()
    trajectory = recorded(denoiser, spec(sampler, guided=guided))
    assert denoiser.calls == 2 * N - 1
    assert [len(record.stages) for record in trajectory] == [1] * (N - 1) + [0, 0]
    for record, after in zip(list(trajectory)[: N - 1], list(trajectory)[1:], strict=False):
        (stage,) = record.stages
        assert stage.name == "second stage"
        assert stage.level == after.level
        assert stage.x_t.dtype == stage.x0_hat.dtype == np.float32
        assert not np.array_equal(stage.x_t, after.x_t)
        assert (stage.base is not None) == guided
        # x' = w0 x0_hat + w1 x_t + the second stage's own part: the numbers of the record suffice
        move = record.move
        rebuilt = move.w0 * record.x0_hat + move.w1 * record.x_t + move.w_stages[0] * stage.x0_hat
        np.testing.assert_allclose(rebuilt, after.x_t, rtol=1e-5, atol=1e-5)
    evaluations = [2 * k for k in range(1, N)] + [2 * N - 1] * 2
    assert [record.nfe for record in trajectory] == [
        (2 if guided else 1) * count for count in evaluations
    ]
    assert trajectory.stack("x_t").shape == (N + 1, 2, 1, 3, 3)


def test_unipcs_corrected_state_lies_beside_the_predicted_one(plain_denoiser):
    denoiser = plain_denoiser()
    trajectory = recorded(denoiser, spec("unipc"))
    assert denoiser.calls == N
    assert [len(record.stages) for record in trajectory] == [0] + [1] * (N - 1) + [0]
    for record in list(trajectory)[1:N]:
        (stage,) = record.stages
        assert (stage.name, stage.level, stage.x0_hat) == ("corrector", record.level, None)
        assert not np.array_equal(stage.x_t, record.x_t)


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3, 7])
@pytest.mark.parametrize("sampler", ["heun", "flow_heun", "unipc", "dpmpp_2m"])
def test_the_budget_counts_the_stages(plain_denoiser, sampler, stride, guided):
    plan = spec(sampler, guided=guided)
    kept = recorded(plain_denoiser(), plan, stride)
    estimated = estimated_nbytes(plan, (1, 3, 3), stride)
    one_step = max(record.nbytes for record in kept)
    assert kept.nbytes <= estimated <= kept.nbytes + one_step
    if sampler == "dpmpp_2m":
        assert kept.nbytes == estimated
    assert stride_within(plan, (1, 3, 3), estimated) <= stride


@pytest.mark.parametrize("sampler", ["heun", "unipc", "dpmpp_2m", "lms", "euler"])
def test_a_saved_run_comes_back_with_its_moves_and_without_its_stages(
    plain_denoiser, sampler, tmp_path
):
    options = (("churn", 1.0),) if sampler == "euler" else ()
    before = recorded(plain_denoiser(), spec(sampler, options=options))
    session.save(before, tmp_path / "run.dvsession")
    after, _ = session.load(tmp_path / "run.dvsession")
    for old, new in zip(before, after, strict=True):
        assert (new.level, new.move, new.nfe) == (old.level, old.move, old.nfe)
        assert new.stages == ()
        for name, array in old.arrays().items():
            np.testing.assert_array_equal(array, new.arrays()[name])


def test_a_run_with_churn_is_recorded_at_the_levels_the_network_saw(plain_denoiser):
    denoiser = plain_denoiser()
    trajectory = recorded(denoiser, spec("euler", options=(("churn", 1.4),)))
    plain = recorded(plain_denoiser(), spec("euler"))
    assert [record.level.t for record in trajectory][:-1] == denoiser.times
    for raised, record in zip(list(trajectory)[:-1], plain, strict=False):
        assert raised.level.ratio == pytest.approx(1.2 * record.level.ratio)


def test_a_second_stage_that_is_not_finite_ends_the_run_at_its_step(plain_denoiser):
    records = run(plain_denoiser(spoil_at=5), spec("heun"))
    kept = []
    with pytest.raises(NonFiniteError) as caught:
        for record in records:
            kept.append(record)
    assert len(kept) == 2
    assert re.match(
        "x0_hat of the second stage became NaN or infinite at step 2", str(caught.value)
    )


def test_a_variance_exploding_run_is_saved_and_comes_back(plain_denoiser, tmp_path):
    trajectory = recorded(plain_denoiser(schedule=schedules.named("edm")), spec("dpmpp_2m"))
    assert trajectory[0].level.sigma == pytest.approx(80)
    session.save(trajectory, tmp_path / "run.dvsession")
    after, _ = session.load(tmp_path / "run.dvsession")
    assert after.levels == trajectory.levels
