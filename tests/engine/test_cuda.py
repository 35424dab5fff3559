"""On a GPU: no step makes the host wait for the device, and the numbers are the CPU's."""

import numpy as np
import pytest
import torch
from torch import nn

from diffview.engine import samplers
from diffview.engine.run import run
from diffview.engine.spec import Guidance, RunSpec
from diffview.models import inverting
from diffview.models.wrapped import wrap

if not torch.cuda.is_available():
    pytest.skip("needs an NVIDIA GPU and a CUDA build of torch", allow_module_level=True)

OPTIONS = {"ddim": {"eta": 0.5}, "euler": {"churn": 2.0}}
FINISHES = [{}, {"clip": "clamp"}, {"clip": "threshold"}, {"rescale": 0.7}]


class Small(nn.Module):
    """Bounded, smooth, and of a label."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x_t, t, label):
        waves = torch.sin(t / 300 + label.float())[:, None, None, None]
        return torch.tanh(self.mix(x_t) + waves)


@pytest.fixture(scope="module")
def networks():
    """The same weights on the CPU and on the GPU."""
    torch.manual_seed(0)
    cpu = Small()
    gpu = Small().cuda()
    gpu.load_state_dict(cpu.state_dict())
    return [wrap(net, shape=(3, 8, 8), prediction="v", classes=4, null=4) for net in (cpu, gpu)]


def recipe(name, finish):
    options = {**OPTIONS.get(name, {}), **finish}
    return RunSpec("wrapped", name, 8, guidance=Guidance("cfg", 3.0), condition=1, seeds=(0, 1),
                   options=tuple(sorted(options.items())))  # fmt: skip


@pytest.fixture
def waiting_is_an_error():
    """Whatever makes the host wait for the device raises."""

    def switch(on):
        torch.cuda.set_sync_debug_mode("error" if on else "default")

    yield switch
    torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("finish", FINISHES, ids=str)
@pytest.mark.parametrize("name", samplers.every())
def test_no_step_of_a_run_waits_for_the_device(networks, waiting_is_an_error, name, finish):
    labels = torch.tensor([1, 1], device="cuda")
    records = run(networks[1], recipe(name, finish), labels)
    kept = [next(records)]  # the start is brought up, and the libraries are made ready
    waiting_is_an_error(True)
    kept += records
    waiting_is_an_error(False)
    assert len(kept) == 9
    assert all(record.seconds >= 0 for record in kept)


@pytest.mark.parametrize("refine", [0, 2])
def test_no_step_of_an_inversion_waits_for_the_device(networks, waiting_is_an_error, refine):
    cpu, gpu = networks
    spec = inverting.spec_for(gpu.card, steps=8, label=1, seeds=(0,), guidance=1.5)
    picture = np.linspace(-1, 1, 192, dtype=np.float32).reshape(1, 3, 8, 8)
    states = inverting.climb(gpu, spec, picture, refine=refine)
    up = [next(states)]
    waiting_is_an_error(True)
    up += states
    waiting_is_an_error(False)
    same = list(inverting.climb(cpu, spec, picture, refine=refine))
    np.testing.assert_allclose(up[-1].x_t, same[-1].x_t, atol=2e-3)


@pytest.mark.parametrize("name", samplers.every())
def test_a_run_on_the_gpu_is_that_on_the_cpu_within_float32(networks, name):
    runs = [
        list(run(network, recipe(name, {}), torch.tensor([1, 1], device=network.device)))
        for network in networks
    ]
    for one, other in zip(*runs, strict=True):
        scale = max(1.0, float(np.abs(one.x_t).max()))
        np.testing.assert_allclose(one.x_t, other.x_t, rtol=0, atol=2e-3 * scale)


def test_what_is_kept_lies_in_ordinary_memory(networks):
    records = list(run(networks[1], recipe("ddim", {}), torch.tensor([1, 1], device="cuda")))
    assert not torch.from_numpy(records[3].x_t).is_pinned()
