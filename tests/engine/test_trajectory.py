"""The trajectory: what it keeps, what it costs, and how it is looked up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffview.engine.levels import CLEAN, NoiseLevel
from diffview.engine.spec import Guidance, RunSpec
from diffview.engine.trajectory import (
    StepRecord,
    Trajectory,
    estimated_nbytes,
    stride_within,
)
from diffview.errors import InputError

SHAPE = (1, 2, 3)


def spec(n_steps=10, *, guided=False, batch=2):
    kind = "cfg" if guided else "none"
    return RunSpec("m", n_steps=n_steps, guidance=Guidance(kind, 2.0), seeds=tuple(range(batch)))


def record(run, i, t=None):
    def array(value):
        return np.full((run.batch, *SHAPE), value, np.float32)

    guided = run.guidance.kind != "none"
    return StepRecord(
        i=i,
        level=CLEAN if i == run.n_steps else NoiseLevel(t or 1000.0 - i, 0.8, 0.6),
        x_t=array(i),
        x0_hat=array(100 + i),
        base=array(200 + i) if guided else None,
        direction=array(300 + i) if guided else None,
        move=None,
        nfe=i + 1,
        seconds=0.5,
    )


def recorded(run, stride=1, upto=None):
    trajectory = Trajectory(run, SHAPE, stride)
    for i in range((run.n_steps if upto is None else upto) + 1):
        trajectory.append(record(run, i))
    return trajectory


@given(
    n_steps=st.integers(1, 60),
    stride=st.integers(1, 70),
    guided=st.booleans(),
    batch=st.integers(1, 3),
)
def test_the_estimate_before_a_run_is_exactly_what_it_will_keep(n_steps, stride, guided, batch):
    run = spec(n_steps, guided=guided, batch=batch)
    trajectory = recorded(run, stride)
    assert estimated_nbytes(run, SHAPE, stride) == trajectory.nbytes
    assert trajectory.expected == len(trajectory)
    assert trajectory.complete


@given(n_steps=st.integers(1, 300), guided=st.booleans(), kilobytes=st.floats(0.2, 60))
def test_the_chosen_stride_fits_the_budget_and_a_smaller_one_would_not(n_steps, guided, kilobytes):
    run, budget = spec(n_steps, guided=guided), int(kilobytes * 1000)
    try:
        stride = stride_within(run, SHAPE, budget)
    except InputError:
        assert recorded(run, n_steps).nbytes > budget
        return
    assert recorded(run, stride).nbytes <= budget
    if stride > 1:
        assert recorded(run, stride - 1).nbytes > budget


def test_a_run_that_cannot_fit_is_refused_with_the_numbers():
    run = spec(batch=100)
    with pytest.raises(InputError, match=r"100 samples of shape 3x512x512 need 1258 MB .* 10 MB"):
        stride_within(run, (3, 512, 512), 10_000_000)
    # Two steps of x_t and x0_hat of two float32 each, and the two levels' numbers.
    with pytest.raises(InputError, match=r"1 sample of shape 2 need .*e-05 MB .* 1e-06 MB"):
        stride_within(spec(batch=1), (2,), 1)


def test_the_stride_of_an_endless_run_is_found_at_once():
    run = spec(10**12)
    stride = stride_within(run, (3, 64, 64), 2 * 1024**3)
    assert estimated_nbytes(run, (3, 64, 64), stride) <= 2 * 1024**3
    assert estimated_nbytes(run, (3, 64, 64), stride - 1) > 2 * 1024**3


def test_every_stride_keeps_the_first_and_the_clean_step():
    trajectory = recorded(spec(10), stride=4)
    assert [kept.i for kept in trajectory] == [0, 4, 8, 10]
    assert trajectory[-1].level == CLEAN


def test_append_says_whether_the_record_was_kept():
    run = spec(10)
    trajectory = Trajectory(run, SHAPE, stride=5)
    assert [trajectory.append(record(run, i)) for i in range(11)] == [
        i in (0, 5, 10) for i in range(11)
    ]


def test_a_run_that_stopped_early_is_not_complete():
    trajectory = recorded(spec(10), upto=6)
    assert not trajectory.complete
    assert (len(trajectory), trajectory.expected) == (7, 11)


def test_an_empty_trajectory_has_nothing_and_says_so():
    trajectory = Trajectory(spec(), SHAPE)
    assert not trajectory.complete
    assert not trajectory.guided
    assert (len(trajectory), trajectory.nbytes, trajectory.nfe) == (0, 0, 0)
    with pytest.raises(InputError, match="no steps yet"):
        trajectory.index_at(3)


@given(st.lists(st.integers(0, 999), min_size=1, unique=True), st.floats(-10, 1010))
def test_index_at_finds_the_record_nearest_in_time(times, t):
    times = sorted(times, reverse=True)
    run = spec(2000)
    trajectory = Trajectory(run, SHAPE)
    for i, time in enumerate(times):
        trajectory.append(record(run, i, float(time) + 0.25))
    found = trajectory.index_at(t)
    assert abs(times[found] + 0.25 - t) == min(abs(time + 0.25 - t) for time in times)


def test_of_two_equally_near_records_the_noisier_is_found():
    trajectory = recorded(spec(10), upto=3)
    assert trajectory.index_at(998.5) == 1


def test_stack_puts_the_kept_arrays_behind_each_other():
    trajectory = recorded(spec(4, guided=True), stride=2)
    assert trajectory.guided
    for name, offset in [("x_t", 0), ("x0_hat", 100), ("base", 200), ("direction", 300)]:
        stack = trajectory.stack(name)
        assert stack.shape == (3, 2, *SHAPE)
        assert stack[:, 0, 0, 0, 0].tolist() == [offset, offset + 2, offset + 4]


@pytest.mark.parametrize("name", ["base", "nonsense"])
def test_stack_refuses_what_was_not_recorded(name):
    with pytest.raises(InputError, match=f"recorded no '{name}'"):
        recorded(spec(4)).stack(name)
