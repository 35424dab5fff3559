"""wrap(): a callable becomes a model that runs, and everything unusable is an InputError."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from diffview.engine import schedules
from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec
from diffview.errors import InputError
from diffview.models.wrapped import wrap


def plain(x, t):
    return 0.5 * x


def labelled(x, t, label):
    return 0.5 * x + label.view(-1, 1, 1, 1)


@pytest.mark.parametrize("prediction", ["eps", "x0", "v"])
def test_a_function_of_x_and_t_is_sampled(prediction):
    denoiser = wrap(plain, shape=(1, 4, 4), prediction=prediction)
    *_, end = run(denoiser, RunSpec("wrapped", n_steps=3, seeds=(0, 1)))
    assert end.x_t.shape == (2, 1, 4, 4)
    assert np.isfinite(end.x_t).all()


@pytest.mark.parametrize(
    ("schedule", "prediction"),
    [("flow", "flow"), ("edm", "edm"), ("edm", "x0"), ("linear", "flow")],
)
def test_flows_and_edm_networks_are_sampled(schedule, prediction):
    denoiser = wrap(plain, shape=(1, 4, 4), schedule=schedule, prediction=prediction)
    *_, end = run(denoiser, RunSpec("wrapped", n_steps=5, seeds=(0, 1)))
    assert np.isfinite(end.x_t).all()


def test_a_network_of_learned_variance_is_sampled_with_it():
    def network(x, t):
        return torch.cat([0.1 * x, torch.tanh(x)], dim=1)

    denoiser = wrap(network, shape=(1, 4, 4), learned_variance=True, whole_times=True)
    spec = RunSpec("w", "ddpm", 4, "karras", options=(("variance", "learned"),))
    *_, end = run(denoiser, spec)
    assert np.isfinite(end.x_t).all()


@pytest.mark.parametrize("n_steps", [1, 7, 40])
def test_gaussian_data_through_a_flow_network_end_with_their_own_spread(n_steps):
    # Of N(0, 1) the velocity is known: x0_hat = a x / (a^2 + s^2), eps = s x / (a^2 + s^2).
    def velocity(x, t):
        s = t.view(-1, 1)
        return (2 * s - 1) / ((1 - s) ** 2 + s**2) * x

    denoiser = wrap(velocity, shape=(1,), schedule="flow", prediction="flow")
    spec = RunSpec("w", "ddim", n_steps, seeds=tuple(range(50)))
    records = list(run(denoiser, spec))
    # One straight step s -> s' multiplies x by 1 + (s' - s)(2 s - 1) / ((1 - s)^2 + s^2).
    gain, times = 1.0, [1 - k / n_steps for k in range(n_steps + 1)]
    for s, after in pairwise(times):
        gain *= 1 + (after - s) * (2 * s - 1) / ((1 - s) ** 2 + s**2)
    np.testing.assert_allclose(records[-1].x_t, gain * records[0].x_t, rtol=1e-4, atol=1e-5)


def test_classes_and_a_null_label_make_guidance_possible():
    denoiser = wrap(labelled, shape=(1, 4, 4), prediction="x0", classes=3, null=-1)
    assert denoiser.card.classes == ("0", "1", "2")
    spec = RunSpec("wrapped", n_steps=2, guidance=Guidance("cfg", 2.0))
    first = next(run(denoiser, spec, torch.tensor([2])))
    # Unconditional 0.5 x - 1, conditional 0.5 x + 2: the direction is 3 everywhere.
    np.testing.assert_allclose(first.direction, 3, rtol=1e-6)


def test_without_a_null_label_guidance_is_refused():
    denoiser = wrap(labelled, shape=(1, 4, 4), classes=3)
    with pytest.raises(InputError, match="cannot be guided"):
        next(run(denoiser, RunSpec("w", guidance=Guidance("cfg", 2.0)), torch.tensor([2])))


def test_class_names_are_kept():
    denoiser = wrap(labelled, shape=(1, 4, 4), classes=["cat", "dog"])
    assert denoiser.card.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("cosine", schedules.named("cosine")),
        (schedules.named("linear", 7), schedules.named("linear", 7)),
        ([0.1, 0.2, 0.3], schedules.given(betas=[0.1, 0.2, 0.3])),
        (np.array([0.9, 0.5, 0.2]), schedules.given(alphas_cumprod=[0.9, 0.5, 0.2])),
        (
            torch.tensor([0.9, 0.5], dtype=torch.float64),
            schedules.given(alphas_cumprod=[0.9, 0.5]),
        ),
        ([0.9, 0.5, 0.0], schedules.given(alphas_cumprod=[0.9, 0.5, 0.0])),
        ([0.01] * 5, schedules.given(betas=[0.01] * 5)),
        ([0.02], schedules.given(betas=[0.02])),
    ],
    ids=["name", "schedule", "betas", "array", "tensor", "to pure noise", "constant", "one"],
)
def test_a_schedule_is_a_name_a_schedule_alphas_cumprod_or_betas(given, expected):
    assert wrap(plain, shape=(1,), schedule=given).schedule == expected


def test_a_module_is_put_into_evaluation_counted_and_left_on_its_device():
    class Module(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 4)
            self.drop = torch.nn.Dropout(0.9)

        def forward(self, x, t):
            return self.drop(self.layer(x))

    network = Module().train()
    denoiser = wrap(network, shape=(4,))
    assert not network.training
    assert denoiser.card.parameters == 4 * 4 + 4
    assert denoiser.device == torch.device("cpu")


def test_a_run_leaves_the_networks_gradients_alone():
    network = torch.nn.Sequential(torch.nn.Linear(4, 4))

    def call(x, t):
        return network(x)

    list(run(wrap(call, shape=(4,)), RunSpec("w", n_steps=3)))
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": 5}, "needs a callable .*, not a int"),
        ({"network": None}, "needs a callable"),
        ({"shape": ()}, "shape"),
        ({"shape": (1, 0)}, "shape"),
        ({"shape": (1, -4)}, "shape"),
        ({"shape": (1, 4.5)}, "shape"),
        ({"shape": 5}, "shape"),
        ({"shape": None}, "shape"),
        ({"shape": ("a",)}, "shape"),
        ({"shape": (float("nan"),)}, "shape"),
        ({"shape": (float("inf"),)}, "shape"),
        ({"prediction": "score"}, "unknown prediction 'score'; known are eps, x0, v"),
        ({"schedule": "spiral"}, "unknown schedule 'spiral'"),
        ({"schedule": [0.5, 2.0]}, "betas must lie"),
        ({"schedule": []}, "one row of numbers"),
        ({"schedule": [[0.1, 0.2]]}, "one row of numbers"),
        ({"schedule": 0.5}, "one row of numbers"),
        ({"schedule": ["a"]}, "one row of numbers"),
        ({"schedule": {"betas": 1}}, "one row of numbers"),
        ({"schedule": None}, "one row of numbers"),
        ({"classes": 3}, "takes no label"),
        ({"classes": ["cat"]}, "takes no label"),
        ({"classes": -1}, "classes"),
        ({"classes": 2.5}, "classes"),
    ],
    ids=str,
)
def test_what_wrap_cannot_use_is_an_input_error_that_says_what(arguments, message):
    arguments = {"network": plain, "shape": (1, 4, 4), **arguments}
    with pytest.raises(InputError, match=message):
        wrap(arguments.pop("network"), **arguments)
