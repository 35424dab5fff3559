"""Replaying a recorded run: equal through branches, and what differs is named."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from diffview.engine.trajectory import Trajectory
from diffview.models import branching, replaying, sampling
from diffview.models.wrapped import wrap

N = 5
SEEDED = {"init_noise": "seeds"}
GIVEN = {"init_noise": "given"}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    network = torch.nn.Conv2d(1, 1, 3, padding=1)

    def f(x_t, t, label):
        return torch.tanh(network(x_t) + 0.2 * label.view(-1, 1, 1, 1))

    return wrap(f, shape=(1, 4, 4), classes=4, null=3, schedule="cosine", prediction="v")


def made(model, *, noise=None, stride=1, **choices):
    options = {"seeds": (5, 6, 7), "steps": N, "spacing": "leading"}
    spec = sampling.spec_for(model.card, **{**options, **choices})
    run = Trajectory(spec, model.data_shape, stride)
    for _ in sampling.sample_into(run, model, noise):
        pass
    return run


def branched(run, model, k, **changes):
    branch = branching.branch(run, model.card, k, **changes)
    for _ in branching.continue_into(branch, model):
        pass
    return branch.trajectory


def verdict(run, about, model, tolerance=0.0):
    found = [one for _, some in replaying.compared(run, about, model) for one in some]
    return replaying.verdict(found, tolerance, replaying.replayed_from(run, about))


def changed(run, step, name, row, by):
    """The run with one number of one tensor changed, in one step."""
    other = Trajectory(run.spec, run.data_shape, run.stride)
    for record in run:
        array = getattr(record, name).copy()
        array[row, 0, 2, 2] += by if record.i == step else 0
        other.append(replace(record, **{name: array}))
    return other


@pytest.mark.parametrize(
    "chosen",
    [
        {"sampler": "ddpm", "label": 1, "guidance": 2.0},
        {"sampler": "unipc"},
        {"sampler": "euler", "options": {"churn": 3.0}},
        {"options": {"clip": "clamp", "rederive_eps": False}},
        {"sampler": "dpmpp_2m", "stride": 2},
    ],
    ids=str,
)
def test_a_run_replays_to_the_last_bit(model, chosen):
    run = made(model, **chosen)
    found = verdict(run, SEEDED, model)
    assert (found.equal, found.largest, found.steps) == (True, 0.0, len(run))


@pytest.mark.parametrize("sampler", ["ddim", "euler", "lms"])
def test_a_run_from_given_noise_replays_from_it_with_churn_too(model, sampler):
    noise = np.random.default_rng(0).standard_normal((3, 1, 4, 4)).astype(np.float32)
    options = {"churn": 3.0} if sampler == "euler" else {}
    run = made(model, noise=noise, sampler=sampler, options=options)
    assert verdict(run, GIVEN, model).equal
    assert not verdict(run, SEEDED, model).equal


def test_a_run_of_many_branches_replays_from_its_seeds(model):
    run = made(model, sampler="dpmpp_2m_sde", label=0, guidance=2.0)
    one = branched(run, model, 1, guidance=4.0)
    edited = one[2].x_t + np.float32(0.5)
    two = branched(one, model, 2, x_t=edited)
    three = branched(two, model, 3, rows=(2, 0), sampler="ddpm", seeds=(9, 8))
    for each in (one, two):
        found = verdict(each, SEEDED, model)
        assert (found.equal, found.largest, found.steps, found.since) == (True, 0.0, N + 1, 0)
    # The samples that were not chosen are not in the file, and one state was given for all.
    found = verdict(three, SEEDED, model)
    assert (found.equal, found.largest, found.steps, found.since) == (True, 0.0, N - 2, 3)


def test_completions_of_a_seeded_run_replay_from_its_seeds(model):
    run = made(model, sampler="ddpm")
    many = branching.complete(run, model.card, 2, 4, sample=1)
    for _ in branching.continue_into(many, model):
        pass
    found = verdict(many.trajectory, SEEDED, model)
    assert (found.equal, found.largest, found.steps, found.since) == (True, 0.0, N + 1, 0)


@pytest.mark.parametrize("name", ["x_t", "x0_hat", "base", "direction"])
def test_the_first_difference_is_named_with_step_tensor_sample_and_size(model, name):
    run = made(model, sampler="ddpm", label=1, guidance=2.0)
    found = verdict(changed(run, 3, name, 1, 0.25), SEEDED, model)
    assert (found.first.i, found.first.name, found.first.sample) == (3, name, 1)
    assert found.first.t == run[3].level.t
    assert found.first.largest == pytest.approx(0.25, abs=1e-6)
    size = np.abs(getattr(changed(run, 3, name, 1, 0.25)[3], name)).max()
    assert found.first.relative == pytest.approx(0.25 / size, rel=1e-5)
    assert found.largest == found.first.largest
    assert verdict(changed(run, 3, name, 1, 0.25), SEEDED, model, tolerance=0.26).equal


def test_a_number_that_is_none_is_a_difference_and_the_largest(model):
    found = verdict(changed(made(model), 2, "x_t", 0, np.nan), SEEDED, model, tolerance=1e9)
    assert (found.equal, found.first.i) == (False, 2)
    assert np.isnan(found.largest)


def test_a_model_of_another_schedule_differs_in_its_levels_first(model):
    run = made(model)
    other = wrap(lambda x, t: x, shape=(1, 4, 4), schedule="linear", prediction="v")
    assert verdict(run, SEEDED, other).first.name == "level"
