"""Networks are built without memory, and nobody else notices."""

from __future__ import annotations

import threading

import pytest
import torch
import transformers
from diffusers import UNet2DModel

from diffview.errors import InputError
from diffview.models import hf
from diffview.models.hf import build, empty, folder

WHERE = build.Place(torch.device("cpu"), torch.float32)


def part(pipelines, name, which):
    return folder.read(pipelines(name)[1], hf.FAMILIES).part(which)


def test_a_module_that_another_thread_makes_meanwhile_has_its_memory(pipelines, monkeypatch):
    """accelerate's init_empty_weights took it from every thread."""
    made, own = [], UNet2DModel.from_config.__func__

    def slowly(cls, *args, **more):
        thread = threading.Thread(target=lambda: made.append(torch.nn.Linear(3, 2)))
        thread.start()
        thread.join()
        return own(cls, *args, **more)

    monkeypatch.setattr(UNet2DModel, "from_config", classmethod(slowly))
    network = build.build(part(pipelines, "ddpm", "unet"), WHERE)
    assert not any(parameter.is_meta for linear in made for parameter in linear.parameters())
    assert made and all(bool(linear.weight.any()) for linear in made)
    assert not any(parameter.is_meta for parameter in network.parameters())
    assert torch.nn.Linear(3, 2).weight.device.type == "cpu"


@pytest.mark.parametrize(
    ("name", "which"), [("sd", "text_encoder"), ("pixart", "transformer"), ("sd3", "transformer")]
)
def test_what_a_network_computes_for_itself_is_as_its_library_makes_it(pipelines, name, which):
    """Places of tokens, which no file holds."""
    expected = dict(getattr(pipelines(name)[0], which).named_buffers())
    found = dict(build.build(part(pipelines, name, which), WHERE).named_buffers())
    assert found.keys() == expected.keys() and found
    assert all(torch.equal(found[key], expected[key]) for key in found)


@pytest.mark.parametrize(
    ("which", "change"),
    [
        ("unet", {"layers_per_block": 2**20}),
        ("unet", {"block_out_channels": [2**20, 2**20]}),
        ("unet", {"block_out_channels": [8] * 5000, "down_block_types": ["DownBlock2D"] * 5000}),
        ("text_encoder", {"num_hidden_layers": 2**20}),
        ("text_encoder", {"vocab_size": 2**20, "hidden_size": 2**20, "num_attention_heads": 1}),
    ],
)
def test_a_configuration_of_a_network_far_beyond_its_weights_builds_next_to_nothing(
    edited, which, change, monkeypatch
):
    made, own = [], torch.nn.Module.__init__

    def counting(self, *args, **more):
        made.append(type(self))
        own(self, *args, **more)

    where = edited(f"{which}/config.json", lambda v: v.update(change), "sd")
    monkeypatch.setattr(torch.nn.Module, "__init__", counting)
    with pytest.raises(InputError, match=f"{which}"):
        build.build(folder.read(where, hf.FAMILIES).part(which), WHERE)
    assert len(made) < 5000


def test_what_overflows_in_half_precision_stays_whole_as_in_its_library(pipelines):
    """T5's `wo`."""
    t5 = part(pipelines, "pixart", "text_encoder")
    theirs = transformers.T5EncoderModel.from_pretrained(t5.path, dtype=torch.float16)
    ours = build.build(t5, build.Place(torch.device("cpu"), torch.float16))
    expected = {name: tensor.dtype for name, tensor in theirs.named_parameters()}
    assert {name: tensor.dtype for name, tensor in ours.named_parameters()} == expected
    assert {torch.float16, torch.float32} == set(expected.values())


@pytest.mark.parametrize(
    "lack", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_memory_that_runs_out_while_a_network_is_made_is_no_damaged_file(
    pipelines, monkeypatch, lack
):
    monkeypatch.setattr(UNet2DModel, "from_config", raising(lack))
    with pytest.raises(type(lack)) as info:
        build.build(part(pipelines, "ddpm", "unet"), WHERE)
    assert info.value is lack


def test_a_package_that_is_missing_is_no_damaged_file(pipelines, monkeypatch):
    lack = ModuleNotFoundError("No module named 'xformers'", name="xformers")
    monkeypatch.setattr(UNet2DModel, "from_config", raising(lack))
    with pytest.raises(InputError, match="No module named 'xformers'") as info:
        build.build(part(pipelines, "ddpm", "unet"), WHERE)
    assert "damaged" not in str(info.value) and hf.INSTALL in str(info.value)


def raising(error):
    def call(*args, **more):
        raise error

    return call


def test_within_the_bound_of_one_network_another_may_be_made(monkeypatch):
    """The inner bound ends, the outer one still holds."""
    monkeypatch.setattr(empty, "ROOM", 0)
    with pytest.raises(InputError, match="far larger than its weights"), empty.shapes(4, 1):
        with empty.shapes(100, 10):
            torch.nn.Linear(10, 10)
        torch.nn.Linear(10, 10)
    assert not torch.nn.Linear(10, 10).weight.is_meta


def test_within_a_network_of_shapes_only_another_may_be_made():
    with empty.parameters():
        with empty.parameters():
            torch.nn.Linear(2, 2)
        assert torch.nn.Linear(2, 2).weight.is_meta
    assert not torch.nn.Linear(2, 2).weight.is_meta
