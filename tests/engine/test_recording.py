"""Records of a device that works behind a queue: one step is begun before one is waited for.

A GPU is not needed to see that: here the CPU is treated as one that is a step ahead.
"""

import numpy as np
import pytest
import torch

from diffview.engine import host
from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec
from diffview.errors import DiffviewError, NonFiniteError

SPEC = RunSpec("plain", "dpmpp_2m", 6, guidance=Guidance("cfg", 3.0), seeds=(3, 1))
LABELS = torch.tensor([2, 5])


@pytest.fixture
def one_ahead(monkeypatch):
    monkeypatch.setattr(host, "AHEAD", {"cpu": 1})


def collected(records):
    kept = []
    try:
        for record in records:
            kept.append(record)
    except DiffviewError as error:
        return kept, error
    return kept, None


def test_the_next_step_is_begun_before_one_is_handed_over(plain_denoiser, one_ahead):
    denoiser = plain_denoiser()
    asked = [denoiser.calls for _ in run(denoiser, SPEC, LABELS)]
    assert asked == [2, 3, 4, 5, 6, 6, 6]


def test_without_a_queue_a_step_is_handed_over_before_the_next_is_begun(plain_denoiser):
    denoiser = plain_denoiser()
    asked = [denoiser.calls for _ in run(denoiser, SPEC, LABELS)]
    assert asked == [1, 2, 3, 4, 5, 6, 6]


def test_the_records_are_the_same_and_say_their_own_number_of_evaluations(
    plain_denoiser, monkeypatch
):
    plain = list(run(plain_denoiser(), SPEC, LABELS))
    monkeypatch.setattr(host, "AHEAD", {"cpu": 1})
    ahead = list(run(plain_denoiser(), SPEC, LABELS))
    for one, other in zip(plain, ahead, strict=True):
        assert (one.i, one.level, one.move, one.nfe) == (
            other.i,
            other.level,
            other.move,
            other.nfe,
        )
        for name, array in one.arrays().items():
            np.testing.assert_array_equal(array, other.arrays()[name])


@pytest.mark.parametrize("step", [0, 1, 4, 5])
def test_the_steps_before_a_failure_are_kept_also_those_in_the_queue(
    plain_denoiser, one_ahead, step
):
    kept, error = collected(run(plain_denoiser(fail_at=step), SPEC, LABELS))
    assert [record.i for record in kept] == list(range(step))
    assert f"the model failed at step {step}" in str(error)


def test_values_that_are_not_finite_are_found_at_their_own_step(plain_denoiser, one_ahead):
    kept, error = collected(run(plain_denoiser(spoil_at=3), SPEC, LABELS))
    assert len(kept) == 3
    assert isinstance(error, NonFiniteError)
    assert "at step 3" in str(error)


def test_what_a_device_could_not_do_is_named_when_it_is_waited_for(plain_denoiser, monkeypatch):
    def broken(self):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(host.Timed, "wait", broken)
    with pytest.raises(DiffviewError, match=r"failed at step 0 .*: RuntimeError: CUDA error"):
        next(run(plain_denoiser(), SPEC, LABELS))


def test_closing_ends_the_sampler_with_a_step_in_the_queue(plain_denoiser, one_ahead):
    denoiser = plain_denoiser()
    records = run(denoiser, SPEC, LABELS)
    next(records)
    records.close()
    assert denoiser.calls == 2


def test_noise_that_goes_up_is_the_noise_that_was_drawn():
    z = torch.randn(2, 3, dtype=torch.float64)
    there = host.to_device(z, torch.device("cpu"), torch.float32)
    assert torch.equal(there, z.float())
