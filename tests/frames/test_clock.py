"""One clock for runs of any kind, counted in network evaluations."""

import numpy as np
import pytest

from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import StepRecord, Trajectory
from diffview.frames import clock


def run_of(nfe, n_steps, guided=False):
    """A run whose records were made after so many evaluations."""
    guidance = Guidance("cfg", 2.0) if guided else Guidance()
    run = Trajectory(RunSpec("m", n_steps=n_steps, guidance=guidance), (1,))
    x = np.zeros((1, 1), np.float32)
    for i, count in enumerate(nfe):
        level = CLEAN if i == n_steps else NoiseLevel(float(n_steps - i), 0.5, 0.5)
        run.append(StepRecord(i, level, x, x, None, None, None, count, 0.0))
    return run


@pytest.fixture
def guided():
    """Three steps of two evaluations each, and the clean end, which needs none."""
    return run_of([2, 4, 6, 6], 3, guided=True)


def test_the_first_state_is_there_before_any_evaluation_but_no_estimate(guided):
    assert clock.record_at(guided, 0) == 0
    assert clock.record_at(guided, 0, "x0hat") is None
    assert clock.record_at(guided, 1, "x0hat") is None


def test_a_state_needs_the_steps_before_it_and_an_estimate_its_own(guided):
    assert [clock.record_at(guided, tick) for tick in range(8)] == [0, 0, 1, 1, 2, 2, 3, 3]
    estimates = [clock.record_at(guided, tick, "x0hat") for tick in range(2, 8)]
    assert estimates == [0, 0, 1, 1, 3, 3]


def test_no_run_uses_more_than_it_makes(guided):
    assert [clock.used(guided, tick) for tick in (-1, 0, 3, 6, 100)] == [0, 0, 3, 6, 6]


def test_what_is_expected_is_exact_at_the_end_and_goes_on_as_before_until_then(guided):
    assert clock.expected(guided) == 6
    assert clock.expected(run_of([2, 4], 50, guided=True)) == 100
    assert clock.expected(run_of([], 50, guided=True)) == 100
    assert clock.expected(run_of([], 50)) == 50
    assert clock.expected(run_of([1, 2, 3], 256)) == 256


def test_a_run_without_records_shows_nothing():
    assert clock.record_at(run_of([], 5), 3) is None
