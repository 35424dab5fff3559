"""Runs side by side: the one that has used fewer evaluations goes on."""

import numpy as np
import torch

from diffview.engine.spec import Guidance, RunSpec
from diffview.errors import DiffviewError
from diffview.models import sampling
from diffview.models.together import Runner, together
from diffview.models.wrapped import wrap


def model(fails_at=None):
    calls = []

    def network(x_t, t, label):
        calls.append(len(x_t))
        if len(calls) == fails_at:
            raise RuntimeError("broken")
        return 0.5 * x_t.tanh()

    return wrap(network, shape=(1, 4, 4), classes=3, null=3, prediction="x0")


def runner(made, n_steps, guided=False):
    guidance = Guidance("cfg", 2.0) if guided else Guidance()
    condition = 1 if guided else None
    spec = RunSpec(made.card.id, n_steps=n_steps, guidance=guidance, condition=condition)
    return Runner(sampling.trajectory_for(made.card, spec), made)


def test_neither_is_ahead_by_more_than_one_step():
    cheap, dear = runner(model(), 20), runner(model(), 10, guided=True)
    for _ in together([cheap, dear]):
        if not cheap.trajectory.complete and not dear.trajectory.complete:
            assert abs(cheap.trajectory.nfe - dear.trajectory.nfe) <= 2
    assert (cheap.trajectory.nfe, dear.trajectory.nfe) == (20, 20)


def test_each_is_the_run_it_would_be_alone():
    beside, alone = runner(model(), 7), runner(model(), 7)
    for _ in together([runner(model(), 3), beside]):
        pass
    for _ in sampling.sample_into(alone.trajectory, alone.model):
        pass
    for one, other in zip(beside.trajectory, alone.trajectory, strict=True):
        np.testing.assert_array_equal(one.x_t, other.x_t)


def test_one_that_fails_leaves_the_other_running():
    broken, sound = runner(model(fails_at=3), 6), runner(model(), 6)
    told = list(together([broken, sound]))
    errors = [(k, what) for k, what in told if isinstance(what, DiffviewError)]
    assert len(errors) == 1
    assert errors[0][0] == 0
    assert len(broken.trajectory) == 2
    assert sound.trajectory.complete


def test_to_close_it_stops_all():
    torch.manual_seed(0)
    first, second = runner(model(), 5), runner(model(), 5)
    steps = together([first, second])
    next(steps)
    steps.close()
    assert len(first.trajectory) + len(second.trajectory) == 1
